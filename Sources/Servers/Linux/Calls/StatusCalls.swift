import ABI

/// stat(2), statx(2), statfs(2), access(2), chmod(2), chown(2), utimensat(2), umask(2).
extension CallTable {
    static func statusCalls() -> [CallEntry] {
        [
            CallEntry(4, "stat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.status(path: a.a, at: -100, flags: 0, to: a.b)
            },
            CallEntry(5, "fstat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.store(try t.statusOpen(a.a).encodeStat(), to: a.b)
            },
            CallEntry(6, "lstat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.status(path: a.a, at: -100, flags: PathFlags.noFollow, to: a.b)
            },
            CallEntry(262, "newfstatat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.status(path: a.b, at: a.a.int, flags: a.d.word, to: a.c)
            },
            CallEntry(332, "statx", .full) { (t, a) throws(Errno) -> Int64 in
                let inode = try t.target(a.b, at: a.a.int, flags: a.c.word)
                return try t.store(inode.status.encodeStatx(), to: a.e)
            },
            CallEntry(137, "statfs", .full) { (t, a) throws(Errno) -> Int64 in
                try t.store(t.fileSystemStatus(try t.target(a.a, at: -100, flags: 0)), to: a.b)
            },
            CallEntry(138, "fstatfs", .full) { (t, a) throws(Errno) -> Int64 in
                guard let inode = try t.file(a.a).inode else { throw .EBADF }
                return try t.store(t.fileSystemStatus(inode), to: a.b)
            },
            CallEntry(21, "access", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAccess(path: a.a, at: -100, mode: a.b.word, flags: 0)
            },
            CallEntry(269, "faccessat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAccess(path: a.b, at: a.a.int, mode: a.c.word, flags: 0)
            },
            CallEntry(439, "faccessat2", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAccess(path: a.b, at: a.a.int, mode: a.c.word, flags: a.d.word)
            },
            CallEntry(90, "chmod", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeMode(try t.target(a.a, at: -100, flags: 0), a.b.word)
            },
            CallEntry(91, "fchmod", .full) { (t, a) throws(Errno) -> Int64 in
                guard let inode = try t.file(a.a).inode else { throw .EBADF }
                return try t.changeMode(inode, a.b.word)
            },
            CallEntry(268, "fchmodat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeMode(try t.target(a.b, at: a.a.int, flags: 0), a.c.word)
            },
            CallEntry(92, "chown", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeOwner(try t.target(a.a, at: -100, flags: 0), a.b.word, a.c.word)
            },
            CallEntry(93, "fchown", .full) { (t, a) throws(Errno) -> Int64 in
                guard let inode = try t.file(a.a).inode else { throw .EBADF }
                return try t.changeOwner(inode, a.b.word, a.c.word)
            },
            CallEntry(94, "lchown", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeOwner(
                    try t.target(a.a, at: -100, flags: PathFlags.noFollow), a.b.word, a.c.word)
            },
            CallEntry(260, "fchownat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.changeOwner(
                    try t.target(a.b, at: a.a.int, flags: a.e.word), a.c.word, a.d.word)
            },
            CallEntry(280, "utimensat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSetTimes(a)
            },
            CallEntry(132, "utime", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setTimes(path: a.a, at: -100, record: a.b, unit: .seconds)
            },
            CallEntry(235, "utimes", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setTimes(path: a.a, at: -100, record: a.b, unit: .microseconds)
            },
            CallEntry(261, "futimesat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setTimes(path: a.b, at: a.a.int, record: a.c, unit: .microseconds)
            },
            CallEntry(95, "umask", .full) { (t, a) throws(Errno) -> Int64 in
                let old = t.process.view.umask
                t.process.view.umask = a.a.word & 0o777
                return Int64(old)
            },
        ] + attributeCalls()
    }

    /// Extended attributes (xattr(7)): the file system has none, and says so.
    private static func attributeCalls() -> [CallEntry] {
        let numbers: [(Int, StaticString)] = [
            (188, "setxattr"), (189, "lsetxattr"), (190, "fsetxattr"), (191, "getxattr"),
            (192, "lgetxattr"),
            (193, "fgetxattr"), (194, "listxattr"), (195, "llistxattr"), (196, "flistxattr"),
            (197, "removexattr"),
            (198, "lremovexattr"), (199, "fremovexattr"),
        ]
        return numbers.map { number, name in
            CallEntry(number, name, .partial) { (_, _) throws(Errno) -> Int64 in throw .EOPNOTSUPP }
        }
    }
}

/// Flags of the `*at` calls.
enum PathFlags {
    static let noFollow: UInt32 = 0x100, effectiveAccess: UInt32 = 0x200,
        removeDirectory: UInt32 = 0x200
    static let follow: UInt32 = 0x400, noAutomount: UInt32 = 0x800, emptyPath: UInt32 = 0x1000
}

enum TimeUnit { case seconds, microseconds, nanoseconds }

extension GuestThread {
    func store(_ bytes: Bytes, to address: UInt64) throws(Errno) -> Int64 {
        try memory.write(bytes, to: address)
        return 0
    }

    /// The inode that a path or, with AT_EMPTY_PATH, a descriptor names.
    func target(_ pathAddress: UInt64, at descriptor: Int32, flags: UInt32) throws(Errno) -> Inode {
        let path = try memory.readPath(pathAddress)
        if path.isEmpty, flags & PathFlags.emptyPath != 0 {
            if descriptor == -100 { return process.view.workingDirectory }
            guard let inode = try process.descriptors.file(descriptor).inode else { throw .EBADF }
            return inode
        }
        server.stampTime()
        let base = path.first == 0x2F ? nil : try directory(descriptor)
        let resolve: ResolveFlags = flags & PathFlags.noFollow != 0 ? [] : .followFinal
        guard
            let inode = try server.fileSystem.resolve(path, at: base, flags: resolve, caller).inode
        else {
            throw .ENOENT
        }
        return inode
    }

    func status(path: UInt64, at descriptor: Int32, flags: UInt32, to address: UInt64) throws(Errno)
        -> Int64
    {
        try store(try target(path, at: descriptor, flags: flags).status.encodeStat(), to: address)
    }

    func statusOpen(_ descriptor: UInt64) throws(Errno) -> FileStatus {
        guard let inode = try file(descriptor).inode else { throw .EBADF }
        return inode.status
    }

    func fileSystemStatus(_ inode: Inode) -> Bytes {
        let pages = server.processInformation.memoryPages()
        let count = server.fileSystem.statistics().inodes
        return FileSystemStatus(
            magic: inode.fileSystemMagic, totalPages: pages.total, freePages: pages.free,
            totalInodes: 1 << 20,
            freeInodes: (1 << 20) &- min(count, 1 << 20)
        ).encode()
    }

    /// access(2) asks for the real user unless AT_EACCESS says otherwise.
    func callAccess(path: UInt64, at descriptor: Int32, mode: UInt32, flags: UInt32) throws(Errno)
        -> Int64
    {
        guard mode & ~7 == 0 else { throw .EINVAL }
        let inode = try target(path, at: descriptor, flags: flags & ~PathFlags.effectiveAccess)
        var asker = caller
        if flags & PathFlags.effectiveAccess == 0 {
            asker.credentials.user = process.identity.realUser
            asker.credentials.group = process.identity.realGroup
        }
        if mode != 0 { try server.fileSystem.access(inode, mode, asker) }
        return 0
    }

    func changeMode(_ inode: Inode, _ mode: UInt32) throws(Errno) -> Int64 {
        server.stampTime()
        try server.fileSystem.setPermissions(inode, mode & 0o7777, caller)
        return 0
    }

    func changeOwner(_ inode: Inode, _ user: UInt32, _ group: UInt32) throws(Errno) -> Int64 {
        server.stampTime()
        try server.fileSystem.setOwner(
            inode, user: user == .max ? nil : user, group: group == .max ? nil : group, caller)
        return 0
    }

    func callSetTimes(_ a: Arguments) throws(Errno) -> Int64 {
        if a.b == 0 {
            guard let inode = try file(a.a).inode else { throw .EBADF }
            return try setTimes(inode, record: a.c, unit: .nanoseconds)
        }
        return try setTimes(
            path: a.b, at: a.a.int, record: a.c, unit: .nanoseconds, flags: a.d.word)
    }

    func setTimes(
        path: UInt64, at descriptor: Int32, record: UInt64, unit: TimeUnit, flags: UInt32 = 0
    ) throws(Errno) -> Int64 {
        try setTimes(try target(path, at: descriptor, flags: flags), record: record, unit: unit)
    }

    private func setTimes(_ inode: Inode, record: UInt64, unit: TimeUnit) throws(Errno) -> Int64 {
        server.stampTime()
        let now = server.fileSystem.now
        if record == 0 {
            try server.fileSystem.setTimes(inode, accessed: now, modified: now, isNow: true, caller)
            return 0
        }
        let bytes = try memory.read(record, count: unit == .seconds ? 16 : 32)
        if unit == .seconds {
            try server.fileSystem.setTimes(
                inode, accessed: Timestamp(seconds: bytes.loadInt64(0)),
                modified: Timestamp(seconds: bytes.loadInt64(8)), isNow: false, caller)
            return 0
        }
        let accessed = try timestamp(bytes, 0, unit, now)
        let modified = try timestamp(bytes, 16, unit, now)
        let isNow =
            unit == .nanoseconds && bytes.load64(8) == Self.timeNow
            && bytes.load64(24) == Self.timeNow
        try server.fileSystem.setTimes(
            inode, accessed: accessed, modified: modified, isNow: isNow, caller)
        return 0
    }

    private static let timeNow: UInt64 = 0x3FFF_FFFF
    private static let timeOmit: UInt64 = 0x3FFF_FFFE

    /// One time of a pair; nil: leave it (UTIME_OMIT).
    private func timestamp(
        _ bytes: Bytes, _ at: Int, _ unit: TimeUnit, _ now: Timestamp
    ) throws(Errno) -> Timestamp? {
        let fraction = bytes.load64(at + 8)
        if unit == .microseconds {
            guard fraction < 1_000_000 else { throw .EINVAL }
            return Timestamp(seconds: bytes.loadInt64(at), nanoseconds: UInt32(fraction) * 1000)
        }
        if fraction == Self.timeNow { return now }
        if fraction == Self.timeOmit { return nil }
        guard fraction < 1_000_000_000 else { throw .EINVAL }
        return Timestamp(seconds: bytes.loadInt64(at), nanoseconds: UInt32(fraction))
    }
}
