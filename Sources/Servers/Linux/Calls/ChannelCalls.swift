import ABI

/// pipe(2), eventfd(2), timerfd_create(2), memfd_create(2).
extension CallTable {
    static func channelCalls() -> [CallEntry] {
        [
            CallEntry(22, "pipe", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makePipe(a.a, flags: 0)
            },
            CallEntry(293, "pipe2", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makePipe(a.a, flags: a.b.word)
            },
            CallEntry(284, "eventfd", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeEventFile(value: a.a.word, flags: 0)
            },
            CallEntry(290, "eventfd2", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeEventFile(value: a.a.word, flags: a.b.word)
            },
            CallEntry(283, "timerfd_create", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callTimerCreate(a)
            },
            CallEntry(286, "timerfd_settime", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callTimerSet(a)
            },
            CallEntry(287, "timerfd_gettime", .full) { (t, a) throws(Errno) -> Int64 in
                guard let file = try t.file(a.a) as? TimerFile, let timer = file.timer else {
                    throw .EINVAL
                }
                return try t.store(TimeRecord.pair(timer.interval, timer.remaining), to: a.b)
            },
            CallEntry(319, "memfd_create", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callMemoryFile(a)
            },
        ]
    }
}

extension GuestThread {
    /// A nameless inode that the new open file holds.
    private func heldInode(_ kind: NodeKind, _ permissions: UInt32) -> Inode {
        server.stampTime()
        let inode = server.fileSystem.makeAnonymous(kind: kind, permissions: permissions)
        inode.owner = process.identity.effectiveUser
        inode.group = process.identity.effectiveGroup
        server.fileSystem.retain(inode)
        return inode
    }

    func install(_ file: OpenFile, flags: UInt32) throws(Errno) -> Int32 {
        try process.descriptors.add(
            file, closesOnExec: flags & OpenFlags.closeOnExec != 0, limit: process.limits.openFiles)
    }

    func makePipe(_ address: UInt64, flags: UInt32) throws(Errno) -> Int64 {
        guard flags & ~(OpenFlags.nonBlocking | OpenFlags.closeOnExec | 0o40000) == 0 else {
            throw .EINVAL
        }
        let inode = heldInode(.fifo, 0o600)
        server.fileSystem.retain(inode)
        let pipe = Pipe()
        inode.attachment = pipe
        var path = Bytes("pipe:[")
        path.append(decimal: inode.number)
        path.append("]")
        let kept = flags & OpenFlags.nonBlocking
        let reader = PipeFile(server: server, inode: inode, path: path, flags: kept, pipe: pipe)
        let writer = PipeFile(
            server: server, inode: inode, path: path, flags: kept | OpenFlags.writeOnly, pipe: pipe)
        let first: Int32
        do throws(Errno) {
            first = try install(reader, flags: flags)
        } catch {
            writer.use()
            writer.drop()
            throw error
        }
        do throws(Errno) {
            let second = try install(writer, flags: flags)
            do throws(Errno) {
                let pair =
                    UInt64(UInt32(bitPattern: first)) | UInt64(UInt32(bitPattern: second)) << 32
                try memory.store64(pair, to: address)
            } catch {
                try? process.descriptors.close(second)
                throw error
            }
        } catch {
            try? process.descriptors.close(first)
            throw error
        }
        return 0
    }

    func makeEventFile(value: UInt32, flags: UInt32) throws(Errno) -> Int64 {
        guard flags & ~(OpenFlags.nonBlocking | OpenFlags.closeOnExec | 1) == 0 else {
            throw .EINVAL
        }
        let file = EventFile(
            server: server, inode: heldInode(.regular, 0o600),
            flags: flags & OpenFlags.nonBlocking | OpenFlags.readWrite,
            value: value, isSemaphore: flags & 1 != 0)
        return Int64(try install(file, flags: flags))
    }

    func callTimerCreate(_ a: Arguments) throws(Errno) -> Int64 {
        guard [0, 1, 7, 8, 9].contains(a.a.word),
            a.b.word & ~(OpenFlags.nonBlocking | OpenFlags.closeOnExec) == 0
        else { throw .EINVAL }
        let file = TimerFile(
            server: server, inode: heldInode(.regular, 0o600),
            flags: a.b.word & OpenFlags.nonBlocking,
            isWallClock: a.a.word == 0 || a.a.word == 8)
        return Int64(try install(file, flags: a.b.word))
    }

    func callTimerSet(_ a: Arguments) throws(Errno) -> Int64 {
        guard let file = try file(a.a) as? TimerFile, let timer = file.timer else { throw .EINVAL }
        let record = try memory.read(a.c, count: 32)
        let interval = try TimeRecord.nanoseconds(record, 0, unit: 1)
        let value = try TimeRecord.nanoseconds(record, 16, unit: 1)
        let old = TimeRecord.pair(timer.interval, timer.remaining)
        if value == 0 {
            file.arm(deadline: nil, interval: 0)
        } else if a.b & 1 != 0 {
            let now = file.isWallClock ? Native.wallClock() : Native.monotonic()
            let left = value > now ? value - now : 0
            file.arm(deadline: Native.monotonic() &+ left, interval: interval)
        } else {
            file.arm(deadline: TimeRecord.deadline(after: value), interval: interval)
        }
        if a.d != 0 { try memory.write(old, to: a.d) }
        return 0
    }

    func callMemoryFile(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.b.word & ~3 == 0 else { throw .EINVAL }
        let name = try memory.readString(a.a, limit: 250, tooLong: .EINVAL)
        let inode = heldInode(.regular, 0o777)
        inode.seals = a.b & 2 != 0 ? 0 : Seals.seal
        let file = RegularFile(
            server: server, inode: inode, path: Bytes("/memfd:") + name,
            flags: OpenFlags.readWrite)
        return Int64(try install(file, flags: a.b & 1 != 0 ? OpenFlags.closeOnExec : 0))
    }
}
