import ABI

/// open(2), close(2), read(2), write(2), lseek(2) and their variants; truncate(2), fsync(2),
/// sendfile(2), flock(2).
extension CallTable {
    static func fileCalls() -> [CallEntry] {
        [
            CallEntry(0, "read", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callRead(a, at: nil)
            },
            CallEntry(1, "write", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callWrite(a, at: nil)
            },
            CallEntry(2, "open", .full) { (t, a) throws(Errno) -> Int64 in
                try t.openFile(a.a, at: -100, flags: a.b.word, mode: a.c.word)
            },
            CallEntry(3, "close", .full) { (t, a) throws(Errno) -> Int64 in
                try t.process.descriptors.close(a.a.int)
                return 0
            },
            CallEntry(8, "lseek", .full) { (t, a) throws(Errno) -> Int64 in
                Int64(bitPattern: try t.file(a.a).seek(a.b.signed, whence: a.c.word))
            },
            CallEntry(17, "pread64", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callRead(a, at: a.d)
            },
            CallEntry(18, "pwrite64", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callWrite(a, at: a.d)
            },
            CallEntry(19, "readv", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callVector(a, at: nil, isWrite: false)
            },
            CallEntry(20, "writev", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callVector(a, at: nil, isWrite: true)
            },
            CallEntry(295, "preadv", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callVector(a, at: a.d, isWrite: false)
            },
            CallEntry(296, "pwritev", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callVector(a, at: a.d, isWrite: true)
            },
            CallEntry(40, "sendfile", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSendFile(a)
            },
            CallEntry(73, "flock", .full) { (t, a) throws(Errno) -> Int64 in try t.callLock(a) },
            CallEntry(74, "fsync", .full) { (t, a) throws(Errno) -> Int64 in try t.callSync(a) },
            CallEntry(75, "fdatasync", .full) { (t, a) throws(Errno) -> Int64 in try t.callSync(a)
            },
            CallEntry(76, "truncate", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callTruncate(a)
            },
            CallEntry(77, "ftruncate", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callTruncateOpen(a)
            },
            CallEntry(85, "creat", .full) { (t, a) throws(Errno) -> Int64 in
                let flags = OpenFlags.writeOnly | OpenFlags.create | OpenFlags.truncate
                return try t.openFile(a.a, at: -100, flags: flags, mode: a.b.word)
            },
            CallEntry(162, "sync", .full) { (_, _) throws(Errno) -> Int64 in
                Native.checkpoint()
                return 0
            },
            CallEntry(187, "readahead", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(221, "fadvise64", .accepted) { (t, a) throws(Errno) -> Int64 in
                _ = try t.file(a.a)
                return 0
            },
            CallEntry(257, "openat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.openFile(a.b, at: a.a.int, flags: a.c.word, mode: a.d.word)
            },
            CallEntry(285, "fallocate", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAllocate(a)
            },
            CallEntry(306, "syncfs", .full) { (t, a) throws(Errno) -> Int64 in try t.callSync(a) },
        ]
    }
}

extension GuestThread {
    /// The file behind a descriptor.
    func file(_ descriptor: UInt64) throws(Errno) -> OpenFile {
        try process.descriptors.file(descriptor.int)
    }

    func transfer(_ address: UInt64, _ count: UInt64, at offset: UInt64? = nil) -> Transfer {
        Transfer(
            memory: memory.reference(address), count: min(count, Transfer.maximumCount),
            offset: offset)
    }

    func callRead(_ a: Arguments, at offset: UInt64?) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard file.isReadable else { throw .EBADF }
        if a.c.signed < 0 || (offset?.signed ?? 0) < 0 { throw .EINVAL }
        if file.isSeekable { server.stampTime() }
        return Int64(bitPattern: try file.read(transfer(a.b, a.c, at: offset), self))
    }

    func callWrite(_ a: Arguments, at offset: UInt64?) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard file.isWritable else { throw .EBADF }
        if a.c.signed < 0 || (offset?.signed ?? 0) < 0 { throw .EINVAL }
        if a.c == 0 { return 0 }
        if file.isSeekable { server.stampTime() }
        return Int64(bitPattern: try file.write(transfer(a.b, a.c, at: offset), self))
    }

    /// readv(2), writev(2): one piece after the other until one is short.
    func callVector(_ a: Arguments, at offset: UInt64?, isWrite: Bool) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard isWrite ? file.isWritable : file.isReadable else { throw .EBADF }
        if (offset?.signed ?? 0) < 0 { throw .EINVAL }
        if let socket = file as? Socket {
            if offset != nil { throw .ESPIPE }
            return try socketVector(socket, a, isWrite: isWrite)
        }
        server.stampTime()
        var done: UInt64 = 0
        for piece in try vector(a.b, count: a.c) where piece.length > 0 {
            let part = transfer(piece.address, piece.length, at: offset.map { $0 &+ done })
            do throws(Errno) {
                let moved = isWrite ? try file.write(part, self) : try file.read(part, self)
                done = done &+ moved
                if moved < part.count { break }
            } catch {
                if done > 0 { break }
                throw error
            }
            // What has come is delivered; only the first piece waits.
            if !isWrite, !file.isSeekable, file.readiness & PollEvents.input == 0 { break }
        }
        return Int64(bitPattern: done)
    }

    func vector(_ address: UInt64, count: UInt64) throws(Errno) -> [(
        address: UInt64, length: UInt64
    )] {
        guard count <= 1024 else { throw .EINVAL }
        let table = try memory.read(address, count: Int(count) * 16)
        var total: UInt64 = 0
        var pieces: [(address: UInt64, length: UInt64)] = []
        for index in 0..<Int(count) {
            let length = table.load64(index * 16 + 8)
            guard length.signed >= 0 else { throw .EINVAL }
            let room = Transfer.maximumCount - total
            pieces.append((table.load64(index * 16), min(length, room)))
            total += min(length, room)
        }
        return pieces
    }

    /// The directory that `*at` calls start from; nil: the working directory.
    func directory(_ descriptor: Int32) throws(Errno) -> Inode? {
        if descriptor == -100 { return nil }
        guard let inode = try process.descriptors.file(descriptor).inode else { throw .ENOTDIR }
        return inode
    }

    /// As `directory`, but an absolute path does not care what the descriptor is.
    func start(_ descriptor: UInt64, _ path: Bytes) throws(Errno) -> Inode? {
        path.first == 0x2F ? nil : try directory(descriptor.int)
    }

    func openFile(_ pathAddress: UInt64, at descriptor: Int32, flags: UInt32, mode: UInt32)
        throws(Errno) -> Int64
    {
        let path = try memory.readPath(pathAddress)
        let base = path.first == 0x2F ? nil : try directory(descriptor)
        server.stampTime()
        if flags & (OpenFlags.accessMode | OpenFlags.truncate) != 0, flags & OpenFlags.path == 0 {
            let found = try? server.fileSystem.resolve(path, at: base, flags: .followFinal, caller)
            if let inode = found?.inode, server.isExecuting(inode) { throw .ETXTBSY }
        }
        let opened = try server.fileSystem.open(
            path, at: base, flags: flags, mode: mode & 0o7777, caller)
        let file = try makeFile(opened.inode, opened.path, flags & ~OpenFlags.closeOnExec)
        if flags & OpenFlags.path == 0, opened.inode.kind == .fifo,
            opened.inode.device != FileSystemDevice.anonymous, let end = file as? PipeFile
        {
            do throws(Errno) {
                try waitForPeer(end)
            } catch {
                file.use()
                file.drop()
                throw error
            }
        }
        return Int64(
            try process.descriptors.add(
                file, closesOnExec: flags & OpenFlags.closeOnExec != 0,
                limit: process.limits.openFiles))
    }

    /// The kind of open file that an inode asks for.
    private func makeFile(_ inode: Inode, _ path: Bytes, _ flags: UInt32) throws(Errno) -> OpenFile
    {
        let kept =
            flags
            & ~(OpenFlags.create | OpenFlags.exclusive | OpenFlags.noTerminal | OpenFlags.truncate)
        if flags & OpenFlags.path != 0 {
            return OpenFile(server: server, inode: inode, path: path, flags: kept)
        }
        switch inode.kind {
        case .directory: return DirectoryFile(server: server, inode: inode, path: path, flags: kept)
        case .regular:
            if inode.generated != nil {
                return GeneratedFile(server: server, inode: inode, path: path, flags: kept)
            }
            return RegularFile(server: server, inode: inode, path: path, flags: kept)
        case .characterDevice: return try openDevice(inode, path, kept)
        case .fifo:
            if let stream = inode.attachment as? StreamEnd {
                return StreamFile(server: server, inode: inode, kind: stream.kind, flags: kept)
            }
            let pipe = (inode.attachment as? Pipe) ?? Pipe()
            inode.attachment = pipe
            return PipeFile(server: server, inode: inode, path: path, flags: kept, pipe: pipe)
        case .blockDevice, .socket, .symbolicLink:
            server.fileSystem.release(inode)
            throw .ENXIO
        }
    }

    private func openDevice(_ inode: Inode, _ path: Bytes, _ flags: UInt32) throws(Errno)
        -> OpenFile
    {
        if let kind = DeviceFile.kind(of: inode.deviceNumber) {
            return DeviceFile(server: server, inode: inode, path: path, flags: flags, kind: kind)
        }
        let isTerminalDevice = inode.deviceNumber >> 8 == 5 || inode.deviceNumber >> 8 == 4
        if isTerminalDevice, process.hasTerminal || inode.deviceNumber != 0x500 {
            return TerminalFile(server: server, inode: inode, path: path, flags: flags)
        }
        server.fileSystem.release(inode)
        throw .ENXIO
    }

    /// fifo(7): opening one end waits for the other.
    private func waitForPeer(_ end: PipeFile) throws(Errno) {
        let pipe = end.pipe
        if end.isReadable, end.isWritable { return }
        if end.isReadable {
            if pipe.writers > 0 || end.isNonBlocking { return }
            let before = pipe.writerOpens
            while pipe.writerOpens == before { try wait(on: pipe.queue) }
        } else {
            if pipe.readers > 0 { return }
            if end.isNonBlocking { throw .ENXIO }
            let before = pipe.readerOpens
            while pipe.readerOpens == before { try wait(on: pipe.queue) }
        }
    }

    /// Nothing to wait for: memory is the disk, the next commit has everything, and whatever the
    /// program tells the outside waits for that commit. Who wants the commit now calls sync(2).
    func callSync(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard file.isSeekable else { throw .EINVAL }
        return 0
    }

    func callTruncate(_ a: Arguments) throws(Errno) -> Int64 {
        let path = try memory.readPath(a.a)
        if a.b.signed < 0 { throw .EINVAL }
        server.stampTime()
        guard
            let inode = try server.fileSystem.resolve(path, at: nil, flags: .followFinal, caller)
                .inode
        else {
            throw .ENOENT
        }
        try server.fileSystem.access(inode, AccessMask.write, caller)
        if server.isExecuting(inode) { throw .ETXTBSY }
        try server.fileSystem.truncate(inode, to: a.b, caller)
        return 0
    }

    func callTruncateOpen(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard file.isWritable, let inode = file.inode, inode.contents != nil, a.b.signed >= 0 else {
            throw .EINVAL
        }
        server.stampTime()
        try server.fileSystem.truncate(inode, to: a.b, caller)
        return 0
    }

    /// sendfile(2), through a buffer of the server's.
    func callSendFile(_ a: Arguments) throws(Errno) -> Int64 {
        let output = try file(a.a)
        let input = try file(a.b)
        guard output.isWritable, input.isReadable else { throw .EBADF }
        guard let contents = input.inode?.contents else { throw .EINVAL }
        var position = a.c == 0 ? input.offset : try memory.load64(a.c)
        var left = min(a.d, Transfer.maximumCount)
        var done: UInt64 = 0
        server.stampTime()
        while left > 0 {
            let chunk = try contents.readBytes(offset: position, count: Int(min(left, 65536)))
            if chunk.isEmpty { break }
            let moved: UInt64
            do throws(Errno) {
                moved = try writeOwn(chunk, to: output)
            } catch {
                if done > 0 { break }
                throw error
            }
            position = position &+ moved
            left -= moved
            done += moved
            if moved < UInt64(chunk.count) { break }
        }
        if a.c == 0 { input.offset = position } else { try memory.store64(position, to: a.c) }
        return Int64(bitPattern: done)
    }

    /// Writes bytes of the server's own as if the guest had them.
    func writeOwn(_ bytes: Bytes, to file: OpenFile, at offset: UInt64? = nil) throws(Errno)
        -> UInt64
    {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 16)
        defer { copy.deallocate() }
        bytes.withUnsafeBytes {
            copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count)
        }
        return try file.write(
            Transfer(memory: MemoryReference(copy), count: UInt64(bytes.count), offset: offset),
            self)
    }
}
