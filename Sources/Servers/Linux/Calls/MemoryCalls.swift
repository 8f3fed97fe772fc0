import ABI

/// mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2), msync(2), mlock(2).
extension CallTable {
    static func memoryCalls() -> [CallEntry] {
        [
            CallEntry(9, "mmap", .partial) { (t, a) throws(Errno) -> Int64 in try t.callMap(a) },
            CallEntry(10, "mprotect", .full) { (t, a) throws(Errno) -> Int64 in
                if a.b == 0, a.a % pageSize == 0 { return 0 }
                let end = try AddressSpace.checkRange(a.a, a.b)
                try t.process.space.protect(a.a, end, try t.protection(a.c))
                return 0
            },
            CallEntry(11, "munmap", .full) { (t, a) throws(Errno) -> Int64 in
                guard let end = try? AddressSpace.checkRange(a.a, a.b) else { throw .EINVAL }
                try t.process.space.remove(a.a, end)
                return 0
            },
            CallEntry(12, "brk", .full) { (t, a) throws(Errno) -> Int64 in
                Int64(bitPattern: t.process.space.setBreak(a.a))
            },
            CallEntry(25, "mremap", .partial) { (t, a) throws(Errno) -> Int64 in try t.callRemap(a)
            },
            CallEntry(26, "msync", .full) { (t, a) throws(Errno) -> Int64 in
                if a.b == 0 { return 0 }
                let end = try AddressSpace.checkRange(a.a, a.b)
                guard t.process.space.isCovered(a.a, end) else { throw .ENOMEM }
                return 0
            },
            CallEntry(27, "mincore", .partial) { (t, a) throws(Errno) -> Int64 in
                let end = try AddressSpace.checkRange(a.a, a.b)
                guard t.process.space.isCovered(a.a, end) else { throw .ENOMEM }
                let pages = (end - a.a) / pageSize
                guard pages <= 1 << 20 else { throw .EINVAL }
                return try t.store(Bytes(repeating: 1, count: Int(pages)), to: a.c)
            },
            CallEntry(28, "madvise", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callAdvise(a)
            },
            CallEntry(149, "mlock", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(150, "munlock", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(151, "mlockall", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(152, "munlockall", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(324, "membarrier", .partial) { (_, a) throws(Errno) -> Int64 in
                guard a.a == 0 else { throw .EINVAL }
                return 0
            },
        ]
    }
}

private enum MapFlags {
    static let shared: UInt64 = 1, privateCopy: UInt64 = 2, sharedValidate: UInt64 = 3,
        type: UInt64 = 15
    static let fixed: UInt64 = 0x10, anonymous: UInt64 = 0x20, fixedNoReplace: UInt64 = 0x10_0000
}

extension GuestThread {
    func protection(_ bits: UInt64) throws(Errno) -> Protection {
        // PROT_GROWSDOWN and PROT_GROWSUP are not here.
        guard bits & ~7 == 0 else { throw .EINVAL }
        var result: Protection = []
        if bits & 1 != 0 { result.insert(.read) }
        if bits & 2 != 0 { result.formUnion([.read, .write]) }
        if bits & 4 != 0 { result.formUnion([.read, .execute]) }
        return result
    }

    func callMap(_ a: Arguments) throws(Errno) -> Int64 {
        let space = process.space
        guard a.b > 0, a.f % pageSize == 0 else { throw .EINVAL }
        guard let length = pageCeiling(a.b), length < AddressSpace.top else { throw .ENOMEM }
        let protection = try protection(a.c & 7)
        let type = a.d & MapFlags.type
        guard type >= MapFlags.shared, type <= MapFlags.sharedValidate else { throw .EINVAL }
        var file: OpenFile?
        if a.d & MapFlags.anonymous == 0 {
            file = try mappableFile(a.e, protection, isShared: type != MapFlags.privateCopy)
        }
        let start: UInt64
        if a.d & (MapFlags.fixed | MapFlags.fixedNoReplace) != 0 {
            let end = try AddressSpace.checkRange(a.a, length)
            if a.d & MapFlags.fixedNoReplace != 0, !space.isFree(a.a, end) { throw .EEXIST }
            start = a.a
        } else {
            start = try space.findRoom(length, hint: a.a)
        }
        var area = MemoryArea(start: start, end: start + length, protection: protection)
        area.isShared = type != MapFlags.privateCopy
        if let file {
            try mapFile(file, area, at: a.f)
        } else {
            if area.isShared || !protection.isEmpty {
                area.memory = try MemoryObject(pageCount: length / pageSize)
            }
            try space.insert(area)
        }
        return Int64(bitPattern: start)
    }

    private func mappableFile(_ descriptor: UInt64, _ protection: Protection, isShared: Bool)
        throws(Errno) -> OpenFile
    {
        let file = try file(descriptor)
        guard file.isReadable else { throw .EACCES }
        if isShared, protection.contains(.write), !file.isWritable { throw .EACCES }
        if let device = file as? DeviceFile, device.mapsAsZeros { return file }
        guard file.mappableContents != nil else { throw .ENODEV }
        return file
    }

    /// The part of the area that the file reaches is mapped; what lies beyond is SIGBUS.
    private func mapFile(_ file: OpenFile, _ whole: MemoryArea, at offset: UInt64) throws(Errno) {
        var area = whole
        guard let contents = file.mappableContents, let inode = file.inode else {
            area.memory = try MemoryObject(pageCount: area.length / pageSize)
            return try process.space.insert(area)
        }
        let isWritable = area.isShared && file.isWritable
        if isWritable, inode.isSealed(Seals.write) { throw .EPERM }
        area.isReadOnlyForGood =
            area.isShared && (!file.isWritable || inode.isSealed(Seals.futureWrite))
        if area.isReadOnlyForGood, area.protection.contains(.write) { throw .EPERM }
        area.file = FileMapping(
            inode: inode, path: file.path, fileSystem: server.fileSystem, isWritable: isWritable)
        area.fileOffset = offset
        let reach = pageCeiling(contents.size) ?? 0
        let available = min(area.length, reach > offset ? reach - offset : 0)
        if available > 0 {
            var visible = area.part(area.start, area.start + available)
            let memory = try contents.mappable(bytes: offset + available)
            if !area.isShared, area.protection.contains(.write) {
                visible.memory = try memory.copy(offset: offset, length: available, from: 0)
                visible.offset = 0
            } else {
                visible.memory = memory
                visible.offset = offset
                visible.isFileView = !area.isShared
            }
            try process.space.insert(visible)
        }
        if available < area.length {
            try process.space.insert(area.part(area.start + available, area.end))
        }
    }

    func callRemap(_ a: Arguments) throws(Errno) -> Int64 {
        let space = process.space
        guard a.a % pageSize == 0, a.c > 0, a.d & ~3 == 0, let newLength = pageCeiling(a.c),
            a.b > 0,
            newLength < AddressSpace.top
        else { throw .EINVAL }
        let oldEnd = try AddressSpace.checkRange(a.a, a.b)
        guard let area = space.area(at: a.a), area.end >= oldEnd else { throw .EFAULT }
        let oldLength = oldEnd - a.a
        if a.d & 2 != 0 {
            guard a.d & 1 != 0 else { throw .EINVAL }
            let targetEnd = try AddressSpace.checkRange(a.e, newLength)
            guard a.e >= oldEnd || targetEnd <= a.a else { throw .EINVAL }
            try space.move(area.part(a.a, oldEnd), to: a.e, length: newLength)
            return Int64(bitPattern: a.e)
        }
        if newLength <= oldLength {
            if newLength < oldLength { try space.remove(a.a + newLength, oldEnd) }
            return Int64(bitPattern: a.a)
        }
        guard a.d & 1 != 0 else { throw .ENOMEM }
        let target = try space.findRoom(newLength, hint: 0)
        try space.move(area.part(a.a, oldEnd), to: target, length: newLength)
        return Int64(bitPattern: target)
    }

    func callAdvise(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.a % pageSize == 0 else { throw .EINVAL }
        if a.b == 0 { return 0 }
        let end = try AddressSpace.checkRange(a.a, a.b)
        switch a.c.word {
        case 4, 8: try process.space.discard(a.a, end)
        case 10, 11, 18, 19: try process.space.adviseFork(a.a, end, a.c.word)
        case 0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, 21:
            guard process.space.isCovered(a.a, end) else { throw .ENOMEM }
        default: throw .EINVAL
        }
        return 0
    }
}

extension DeviceFile {
    /// /dev/zero maps as anonymous memory.
    var mapsAsZeros: Bool { inode?.deviceNumber == 0x105 }
}
