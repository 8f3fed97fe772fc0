import ABI

/// Calls that move bytes between files: copy_file_range(2), splice(2), tee(2), vmsplice(2);
/// preadv2(2), pwritev2(2); sync_file_range(2).
extension CallTable {
    static func transferCalls() -> [CallEntry] {
        [
            CallEntry(275, "splice", .full) { (t, a) throws(Errno) -> Int64 in try t.callSplice(a)
            },
            CallEntry(276, "tee", .full) { (t, a) throws(Errno) -> Int64 in try t.callTee(a) },
            CallEntry(277, "sync_file_range", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSyncRange(a)
            },
            CallEntry(278, "vmsplice", .full) { (t, a) throws(Errno) -> Int64 in
                guard let end = try t.file(a.a) as? PipeFile, a.d.word & ~15 == 0 else {
                    throw .EBADF
                }
                return try t.callVector(a, at: nil, isWrite: end.isWritable)
            },
            CallEntry(326, "copy_file_range", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callCopyRange(a)
            },
            CallEntry(327, "preadv2", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callVectorWithFlags(a, isWrite: false)
            },
            CallEntry(328, "pwritev2", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callVectorWithFlags(a, isWrite: true)
            },
        ]
    }
}

/// Flags of splice(2) and of preadv2(2).
private enum TransferFlags {
    static let spliceNonBlocking: UInt32 = 2, spliceAll: UInt32 = 15
    static let noWait: UInt32 = 8, append: UInt32 = 0x10, all: UInt32 = 0x1F
    /// Most that one step moves.
    static let step: UInt64 = 65536
}

extension GuestThread {
    /// As readv(2) and writev(2). High priority and synchronous writes need nothing here.
    func callVectorWithFlags(_ a: Arguments, isWrite: Bool) throws(Errno) -> Int64 {
        let flags = a.f.word
        guard flags & ~TransferFlags.all == 0, isWrite || flags & TransferFlags.append == 0 else {
            throw .EOPNOTSUPP
        }
        let file = try file(a.a)
        let usesOffset = a.d != .max
        if a.d.signed < -1 { throw .EINVAL }
        if flags & TransferFlags.noWait != 0, !file.isSeekable,
            file.readiness & (isWrite ? PollEvents.output : PollEvents.input) == 0
        {
            throw .EAGAIN
        }
        if flags & TransferFlags.append != 0, let contents = file.inode?.contents {
            let end = contents.size
            let done = try callVector(a, at: end, isWrite: true)
            if !usesOffset { file.offset = end &+ UInt64(done) }
            return done
        }
        return try callVector(a, at: usesOffset ? a.d : nil, isWrite: isWrite)
    }

    /// As fsync(2): what is written is in the next commit.
    func callSyncRange(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        let (_, overflow) = a.b.signed.addingReportingOverflow(a.c.signed)
        guard a.d.word & ~7 == 0, a.b.signed >= 0, a.c.signed >= 0, !overflow else {
            throw .EINVAL
        }
        guard file.isSeekable else { throw .ESPIPE }
        return 0
    }

    // MARK: copy_file_range

    func callCopyRange(_ a: Arguments) throws(Errno) -> Int64 {
        let input = try file(a.a)
        let output = try file(a.c)
        guard a.f == 0 else { throw .EINVAL }
        guard input.isReadable, output.isWritable, output.flags & OpenFlags.append == 0 else {
            throw .EBADF
        }
        if input is DirectoryFile || output is DirectoryFile { throw .EISDIR }
        guard let source = input.inode?.contents, let from = input.inode, let to = output.inode,
            to.contents != nil
        else { throw .EINVAL }
        let start = a.b == 0 ? input.offset : try memory.load64(a.b)
        let target = a.d == 0 ? output.offset : try memory.load64(a.d)
        guard start.signed >= 0, target.signed >= 0 else { throw .EINVAL }
        var left = min(a.e, Transfer.maximumCount, source.size > start ? source.size - start : 0)
        if from === to, start < target &+ left, target < start &+ left { throw .EINVAL }
        server.stampTime()
        var done: UInt64 = 0
        while left > 0 {
            let step = min(left, TransferFlags.step * 16)
            let bytes = try source.mappable(bytes: start + done + step)
            let part = Transfer(
                memory: bytes.reference(start + done), count: step, offset: target + done)
            let moved: UInt64
            do throws(Errno) {
                moved = try output.write(part, self)
            } catch {
                if done == 0 { throw error }
                break
            }
            done += moved
            left -= moved
            if moved < step { break }
        }
        if a.b == 0 { input.offset = start + done } else {
            try memory.store64(start + done, to: a.b)
        }
        if a.d == 0 { output.offset = target + done } else {
            try memory.store64(target + done, to: a.d)
        }
        return Int64(bitPattern: done)
    }

    // MARK: splice

    func callSplice(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.f.word & ~TransferFlags.spliceAll == 0 else { throw .EINVAL }
        if a.e == 0 { return 0 }
        let input = try file(a.a)
        let output = try file(a.c)
        guard input.isReadable, output.isWritable else { throw .EBADF }
        let isPatient = a.f.word & TransferFlags.spliceNonBlocking == 0
        let count = min(a.e, Transfer.maximumCount)
        server.stampTime()
        switch (input as? PipeFile, output as? PipeFile) {
        case (let source?, let target?):
            guard a.b == 0, a.d == 0 else { throw .ESPIPE }
            return try move(source, target, count, isPatient: isPatient, keeps: false)
        case (let source?, nil):
            guard a.b == 0 else { throw .ESPIPE }
            if output.flags & OpenFlags.append != 0 { throw .EINVAL }
            return try move(source, to: output, count, offset: a.d, isPatient: isPatient)
        case (nil, let target?):
            guard a.d == 0 else { throw .ESPIPE }
            return try move(input, into: target, count, offset: a.b, isPatient: isPatient)
        default: throw .EINVAL
        }
    }

    func callTee(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.d.word & ~TransferFlags.spliceAll == 0 else { throw .EINVAL }
        if a.c == 0 { return 0 }
        let input = try file(a.a)
        let output = try file(a.b)
        guard input.isReadable, output.isWritable else { throw .EBADF }
        guard let source = input as? PipeFile, let target = output as? PipeFile else {
            throw .EINVAL
        }
        return try move(
            source, target, min(a.c, Transfer.maximumCount),
            isPatient: a.d.word & TransferFlags.spliceNonBlocking == 0, keeps: true)
    }

    /// Waits until a pipe has bytes; false at its end.
    private func waitForBytes(_ end: PipeFile, isPatient: Bool) throws(Errno) -> Bool {
        while end.pipe.count == 0 {
            if end.pipe.writers == 0 { return false }
            if !isPatient || end.isNonBlocking { throw .EAGAIN }
            try wait(on: end.pipe.queue)
        }
        return true
    }

    private func waitForRoom(_ end: PipeFile, isPatient: Bool) throws(Errno) {
        while end.pipe.readers > 0, end.pipe.room == 0 {
            if !isPatient || end.isNonBlocking { throw .EAGAIN }
            try wait(on: end.pipe.queue)
        }
        if end.pipe.readers == 0 { _ = try end.broken(0, self) }
    }

    private func move(
        _ source: PipeFile, _ target: PipeFile, _ count: UInt64, isPatient: Bool, keeps: Bool
    ) throws(Errno) -> Int64 {
        guard source.pipe !== target.pipe else { throw .EINVAL }
        repeat {
            guard try waitForBytes(source, isPatient: isPatient) else { return 0 }
            try waitForRoom(target, isPatient: isPatient)
            // Others may have emptied the source while this waited for room.
        } while source.pipe.count == 0
        let bytes = source.pipe.peek(Int(min(count, UInt64(target.pipe.room))))
        let moved = target.pipe.put(bytes)
        if !keeps { source.pipe.skip(moved) }
        source.pipe.queue.wakeAll()
        target.pipe.queue.wakeAll()
        return Int64(moved)
    }

    /// From a pipe. What could not be written goes back to its front.
    private func move(
        _ source: PipeFile, to output: OpenFile, _ count: UInt64, offset: UInt64, isPatient: Bool
    ) throws(Errno) -> Int64 {
        let start: UInt64? = offset == 0 ? nil : try memory.load64(offset)
        guard start == nil || output.isSeekable else { throw .ESPIPE }
        guard try waitForBytes(source, isPatient: isPatient) else { return 0 }
        let bytes = source.pipe.peek(Int(min(count, TransferFlags.step)))
        source.pipe.skip(bytes.count)
        var moved: UInt64 = 0
        defer {
            if moved < UInt64(bytes.count) { source.pipe.putBack(Bytes(bytes[Int(moved)...])) }
            source.pipe.queue.wakeAll()
        }
        moved = try writeOwn(bytes, to: output, at: start)
        if let start { try memory.store64(start &+ moved, to: offset) }
        return Int64(bitPattern: moved)
    }

    private func move(
        _ input: OpenFile, into target: PipeFile, _ count: UInt64, offset: UInt64, isPatient: Bool
    ) throws(Errno) -> Int64 {
        let start: UInt64? = offset == 0 ? nil : try memory.load64(offset)
        guard start == nil || input.isSeekable else { throw .ESPIPE }
        try waitForRoom(target, isPatient: isPatient)
        let room = min(count, UInt64(target.pipe.room))
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Int(room), alignment: 16)
        defer { buffer.deallocate() }
        let part = Transfer(memory: MemoryReference(buffer), count: room, offset: start)
        let moved = try input.read(part, self)
        var bytes = Bytes(UnsafeRawBufferPointer(start: buffer, count: Int(moved)))
        // The read may have waited, and others may have written meanwhile.
        var done: UInt64 = 0
        while !bytes.isEmpty {
            if target.pipe.readers == 0 { return Int64(try target.broken(Int(done), self)) }
            let taken = target.pipe.put(bytes)
            bytes.removeFirst(taken)
            done += UInt64(taken)
            target.pipe.queue.wakeAll()
            if !bytes.isEmpty { _ = park(on: [target.pipe.queue]) }
            if mustLeave { break }
        }
        if let start { try memory.store64(start &+ moved, to: offset) }
        return Int64(bitPattern: moved)
    }
}
