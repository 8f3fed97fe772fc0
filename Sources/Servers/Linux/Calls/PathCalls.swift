import ABI

/// Directories and names: chdir(2), getcwd(2), mkdir(2), rename(2), link(2), unlink(2), symlink(2),
/// readlink(2), mknod(2), getdents64(2), chroot(2).
extension CallTable {
    static func pathCalls() -> [CallEntry] {
        [
            CallEntry(79, "getcwd", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callWorkingDirectory(a)
            },
            CallEntry(80, "chdir", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeDirectory(try t.target(a.a, at: -100, flags: 0))
            },
            CallEntry(81, "fchdir", .full) { (t, a) throws(Errno) -> Int64 in
                guard let inode = try t.file(a.a).inode else { throw .EBADF }
                return try t.changeDirectory(inode)
            },
            CallEntry(161, "chroot", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callChangeRoot(a)
            },
            CallEntry(82, "rename", .full) { (t, a) throws(Errno) -> Int64 in
                try t.rename(a.a, at: -100, a.b, at: -100, flags: 0)
            },
            CallEntry(264, "renameat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.rename(a.b, at: a.a.int, a.d, at: a.c.int, flags: 0)
            },
            CallEntry(316, "renameat2", .full) { (t, a) throws(Errno) -> Int64 in
                try t.rename(a.b, at: a.a.int, a.d, at: a.c.int, flags: a.e.word)
            },
            CallEntry(83, "mkdir", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeDirectory(a.a, at: -100, mode: a.b.word)
            },
            CallEntry(258, "mkdirat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeDirectory(a.b, at: a.a.int, mode: a.c.word)
            },
            CallEntry(84, "rmdir", .full) { (t, a) throws(Errno) -> Int64 in
                try t.unlink(a.a, at: -100, flags: PathFlags.removeDirectory)
            },
            CallEntry(87, "unlink", .full) { (t, a) throws(Errno) -> Int64 in
                try t.unlink(a.a, at: -100, flags: 0)
            },
            CallEntry(263, "unlinkat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.unlink(a.b, at: a.a.int, flags: a.c.word)
            },
            CallEntry(86, "link", .full) { (t, a) throws(Errno) -> Int64 in
                try t.link(a.a, at: -100, a.b, at: -100, flags: 0)
            },
            CallEntry(265, "linkat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.link(a.b, at: a.a.int, a.d, at: a.c.int, flags: a.e.word)
            },
            CallEntry(88, "symlink", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeLink(to: a.a, a.b, at: -100)
            },
            CallEntry(266, "symlinkat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeLink(to: a.a, a.c, at: a.b.int)
            },
            CallEntry(89, "readlink", .full) { (t, a) throws(Errno) -> Int64 in
                try t.readLink(a.a, at: -100, to: a.b, size: a.c)
            },
            CallEntry(267, "readlinkat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.readLink(a.b, at: a.a.int, to: a.c, size: a.d)
            },
            CallEntry(133, "mknod", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeNode(a.a, at: -100, mode: a.b.word, device: a.c)
            },
            CallEntry(259, "mknodat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.makeNode(a.b, at: a.a.int, mode: a.c.word, device: a.d)
            },
            CallEntry(217, "getdents64", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callReadDirectory(a)
            },
        ]
    }
}

extension GuestThread {
    /// A path argument and where it starts.
    private func named(_ address: UInt64, at descriptor: Int32) throws(Errno) -> (
        path: Bytes, base: Inode?
    ) {
        let path = try memory.readPath(address)
        server.stampTime()
        return (path, path.first == 0x2F ? nil : try directory(descriptor))
    }

    func callWorkingDirectory(_ a: Arguments) throws(Errno) -> Int64 {
        let view = process.view
        guard var path = server.fileSystem.path(of: view.workingDirectory, root: view.root) else {
            throw .ENOENT
        }
        path.append(0)
        if UInt64(path.count) > a.b { throw .ERANGE }
        try memory.write(path, to: a.a)
        return Int64(path.count)
    }

    func changeDirectory(_ inode: Inode) throws(Errno) -> Int64 {
        guard inode.kind == .directory else { throw .ENOTDIR }
        try server.fileSystem.access(inode, AccessMask.execute, caller)
        process.view.workingDirectory = inode
        return 0
    }

    func callChangeRoot(_ a: Arguments) throws(Errno) -> Int64 {
        let inode = try target(a.a, at: -100, flags: 0)
        guard inode.kind == .directory else { throw .ENOTDIR }
        guard process.identity.isSuperuser else { throw .EPERM }
        process.view.root = inode
        return 0
    }

    func rename(
        _ old: UInt64, at oldDescriptor: Int32, _ new: UInt64, at newDescriptor: Int32,
        flags: UInt32
    ) throws(Errno) -> Int64 {
        let from = try named(old, at: oldDescriptor)
        let to = try named(new, at: newDescriptor)
        try server.fileSystem.rename(
            from.path, oldAt: from.base, to.path, newAt: to.base, flags: flags, caller)
        return 0
    }

    func makeDirectory(_ path: UInt64, at descriptor: Int32, mode: UInt32) throws(Errno) -> Int64 {
        let place = try named(path, at: descriptor)
        try server.fileSystem.makeDirectory(place.path, at: place.base, mode: mode, caller)
        return 0
    }

    func unlink(_ path: UInt64, at descriptor: Int32, flags: UInt32) throws(Errno) -> Int64 {
        guard flags & ~PathFlags.removeDirectory == 0 else { throw .EINVAL }
        let place = try named(path, at: descriptor)
        if flags & PathFlags.removeDirectory != 0 {
            try server.fileSystem.removeDirectory(place.path, at: place.base, caller)
        } else {
            try server.fileSystem.unlink(place.path, at: place.base, caller)
        }
        return 0
    }

    func link(
        _ old: UInt64, at oldDescriptor: Int32, _ new: UInt64, at newDescriptor: Int32,
        flags: UInt32
    ) throws(Errno) -> Int64 {
        guard flags & ~(PathFlags.follow | PathFlags.emptyPath) == 0 else { throw .EINVAL }
        let follow = flags & PathFlags.follow != 0 ? 0 : PathFlags.noFollow
        let inode = try target(old, at: oldDescriptor, flags: flags & PathFlags.emptyPath | follow)
        let place = try named(new, at: newDescriptor)
        try server.fileSystem.link(from: inode, place.path, at: place.base, caller)
        return 0
    }

    func makeLink(to targetAddress: UInt64, _ path: UInt64, at descriptor: Int32) throws(Errno)
        -> Int64
    {
        let target = try memory.readPath(targetAddress)
        let place = try named(path, at: descriptor)
        try server.fileSystem.makeSymbolicLink(target: target, place.path, at: place.base, caller)
        return 0
    }

    func readLink(
        _ path: UInt64, at descriptor: Int32, to address: UInt64, size: UInt64
    ) throws(Errno) -> Int64 {
        guard size.signed > 0, size <= UInt64(Int32.max) else { throw .EINVAL }
        let inode = try target(
            path, at: descriptor, flags: PathFlags.noFollow | PathFlags.emptyPath)
        let text = try server.fileSystem.readLink(inode, caller)
        let part = Bytes(text.prefix(Int(size)))
        try memory.write(part, to: address)
        return Int64(part.count)
    }

    func makeNode(_ path: UInt64, at descriptor: Int32, mode: UInt32, device: UInt64) throws(Errno)
        -> Int64
    {
        let place = try named(path, at: descriptor)
        try server.fileSystem.makeNode(
            place.path, at: place.base, mode: mode & ~process.view.umask, deviceNumber: device,
            caller)
        return 0
    }

    func callReadDirectory(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        guard let inode = file.inode, inode.kind == .directory, file.isReadable else {
            throw .ENOTDIR
        }
        let limit = Int(min(a.c, 65536))
        var bytes = Bytes()
        bytes.reserveCapacity(min(limit, 4096))
        var next = file.offset
        var isFull = false
        server.stampTime()
        try server.fileSystem.readDirectory(inode, from: file.offset, caller) { entry in
            if !entry.encode(into: &bytes, limit: limit) {
                isFull = true
                return false
            }
            next = entry.next
            return true
        }
        if bytes.isEmpty, isFull { throw .EINVAL }
        try memory.write(bytes, to: a.b)
        file.offset = next
        return Int64(bytes.count)
    }
}
