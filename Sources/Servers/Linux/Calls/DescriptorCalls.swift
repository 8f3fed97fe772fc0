import ABI

/// dup(2), fcntl(2), ioctl(2), close_range(2).
extension CallTable {
    static func descriptorCalls() -> [CallEntry] {
        [
            CallEntry(32, "dup", .full) { (t, a) throws(Errno) -> Int64 in
                try t.duplicate(a.a, lowest: 0, closesOnExec: false)
            },
            CallEntry(33, "dup2", .full) { (t, a) throws(Errno) -> Int64 in
                let file = try t.file(a.a)
                if a.a.int == a.b.int { return Int64(a.b.int) }
                return try t.duplicate(file, to: a.b.int, closesOnExec: false)
            },
            CallEntry(292, "dup3", .full) { (t, a) throws(Errno) -> Int64 in
                let file = try t.file(a.a)
                guard a.a.int != a.b.int, a.c.word & ~OpenFlags.closeOnExec == 0 else {
                    throw .EINVAL
                }
                return try t.duplicate(file, to: a.b.int, closesOnExec: a.c.word != 0)
            },
            CallEntry(72, "fcntl", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callDescriptorControl(a)
            },
            CallEntry(16, "ioctl", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callDeviceControl(a)
            },
            CallEntry(436, "close_range", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callCloseRange(a)
            },
        ]
    }
}

/// Commands of fcntl(2).
private enum Command {
    static let duplicate: UInt32 = 0, getFlags: UInt32 = 1, setFlags: UInt32 = 2,
        getStatus: UInt32 = 3
    static let setStatus: UInt32 = 4, getLock: UInt32 = 5, setLock: UInt32 = 6,
        setLockWait: UInt32 = 7
    static let setOwner: UInt32 = 8, getOwner: UInt32 = 9, duplicateCloseOnExec: UInt32 = 1030
    static let addSeals: UInt32 = 1033, getSeals: UInt32 = 1034
    static let setPipeSize: UInt32 = 1031, getPipeSize: UInt32 = 1032
    static let openLocks = RecordLockCommand.ofDescriptions
    /// What a descriptor of O_PATH can do (open(2)).
    static let ofPaths = [duplicate, duplicateCloseOnExec, getFlags, setFlags, getStatus]
}

extension GuestThread {
    func duplicate(_ descriptor: UInt64, lowest: UInt64, closesOnExec: Bool) throws(Errno) -> Int64
    {
        let file = try file(descriptor)
        guard lowest < process.limits.openFiles else { throw .EINVAL }
        return Int64(
            try process.descriptors.add(
                file, closesOnExec: closesOnExec, lowest: Int(lowest),
                limit: process.limits.openFiles))
    }

    func duplicate(_ file: OpenFile, to descriptor: Int32, closesOnExec: Bool) throws(Errno)
        -> Int64
    {
        try process.descriptors.replace(
            descriptor, with: file, closesOnExec: closesOnExec, limit: process.limits.openFiles)
        return Int64(descriptor)
    }

    func callDescriptorControl(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        if file.flags & OpenFlags.path != 0, !Command.ofPaths.contains(a.b.word) { throw .EBADF }
        switch a.b.word {
        case Command.duplicate: return try duplicate(a.a, lowest: a.c, closesOnExec: false)
        case Command.duplicateCloseOnExec:
            return try duplicate(a.a, lowest: a.c, closesOnExec: true)
        case Command.getFlags:
            return process.descriptors.entry(a.a.int)?.closesOnExec == true ? 1 : 0
        case Command.setFlags:
            try process.descriptors.setClosesOnExec(a.a.int, a.c & 1 != 0)
            return 0
        case Command.getStatus:
            return Int64(file.flags | (file.isSeekable ? OpenFlags.largeFile : 0))
        case Command.setStatus:
            file.flags = file.flags & ~OpenFlags.changeable | a.c.word & OpenFlags.changeable
            return 0
        case Command.getLock, Command.setLock, Command.setLockWait, Command.openLocks:
            return try callRecordLock(file, command: a.b.word, at: a.c)
        case Command.setOwner:
            file.owner = a.c.int
            return 0
        case Command.getOwner: return Int64(file.owner)
        case Command.addSeals: return try callAddSeals(file, a.c.word)
        case Command.getSeals: return try callGetSeals(file)
        case Command.setPipeSize:
            guard let end = file as? PipeFile else { throw .EBADF }
            return Int64(try end.pipe.resize(to: a.c))
        case Command.getPipeSize:
            guard let end = file as? PipeFile else { throw .EBADF }
            return Int64(end.pipe.capacity)
        default: throw .EINVAL
        }
    }

    func callDeviceControl(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        switch a.b.word {
        case TerminalRequest.closeOnExec: try process.descriptors.setClosesOnExec(a.a.int, true)
        case TerminalRequest.keepOnExec: try process.descriptors.setClosesOnExec(a.a.int, false)
        case TerminalRequest.nonBlocking:
            let isOn = try memory.load32(a.c) != 0
            file.flags = file.flags & ~OpenFlags.nonBlocking | (isOn ? OpenFlags.nonBlocking : 0)
        case TerminalRequest.asynchronous: _ = try memory.load32(a.c)
        default: return try file.control(a.b.word, a.c, self)
        }
        return 0
    }

    func callCloseRange(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.a.word <= a.b.word, a.c.word & ~6 == 0 else { throw .EINVAL }
        if a.c.word & 2 != 0 { process.descriptors = process.descriptors.unshared() }
        for descriptor in process.descriptors.descriptors
        where UInt32(bitPattern: descriptor) >= a.a.word
            && UInt32(bitPattern: descriptor) <= a.b.word
        {
            if a.c.word & 4 != 0 {
                try process.descriptors.setClosesOnExec(descriptor, true)
            } else {
                try process.descriptors.close(descriptor)
            }
        }
        return 0
    }
}
