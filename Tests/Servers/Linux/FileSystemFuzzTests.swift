import Testing

@testable import LinuxServer

/// Hostile names, numbers and flags: any errno will do, but nothing traps and the tree stays whole.
struct FileSystemFuzzTests {
    private static let pieces: [Bytes] = [
        bytes("a"), bytes("b"), bytes("proc"), bytes("self"), bytes("fd"), bytes("sys"),
        bytes("dev"), bytes("tmp"),
        bytes("."), bytes(".."), bytes("..."), bytes("/"), bytes("//"), bytes("/../"), [], [0xFF],
        [0x80, 0xC0],
        Bytes(repeating: 0x6E, count: 255), Bytes(repeating: 0x6E, count: 256),
        Bytes(repeating: 0x2F, count: 4100),
    ]

    private func path(_ random: inout SeededGenerator) -> Bytes {
        var path: Bytes = random.chance(60) ? [.slash] : []
        for _ in 0..<random.below(6) {
            path += random.pick(Self.pieces)
            if random.chance(80) { path.append(.slash) }
        }
        return path
    }

    private func number(_ random: inout SeededGenerator) -> UInt64 {
        random.pick([
            0, 1, 2, 3, 0o777, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max, random.next(),
            random.next() >> 40,
        ])
    }

    @Test(arguments: 0..<30) func randomCalls(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let bench = Bench(defaults: true)
        for step in 0..<400 {
            let caller = random.chance(70) ? bench.superuser : bench.user
            perform(&random, bench.fileSystem, caller)
            if step % 40 == 0 {
                #expect(bench.fileSystem.fault() == nil, "seed \(seed) step \(step)")
            }
        }
        #expect(bench.fileSystem.fault() == nil, "seed \(seed)")
    }

    private func perform(_ random: inout SeededGenerator, _ fs: FileSystem, _ caller: Caller) {
        let (first, second) = (path(&random), path(&random))
        let wide = number(&random)
        let narrow = UInt32(truncatingIfNeeded: number(&random))
        fs.now = Timestamp(seconds: Int64(bitPattern: number(&random)), nanoseconds: narrow)
        _ = errno { () throws(Errno) in
            switch random.below(12) {
            case 0: try fs.makeDirectory(first, at: nil, mode: narrow, caller)
            case 1: try fs.makeNode(first, at: nil, mode: narrow, deviceNumber: wide, caller)
            case 2: try fs.makeSymbolicLink(target: second, first, at: nil, caller)
            case 3: try fs.rename(first, oldAt: nil, second, newAt: nil, flags: narrow % 4, caller)
            case 4 where random.chance(30): try fs.unlink(first, at: nil, caller)
            case 5 where random.chance(30): try fs.removeDirectory(first, at: nil, caller)
            case 6...7: try open(first, narrow, fs, caller)
            default: try change(first, second, wide, narrow, fs, caller)
            }
        }
    }

    private func open(_ path: Bytes, _ flags: UInt32, _ fs: FileSystem, _ caller: Caller)
        throws(Errno)
    {
        let inode = try fs.open(path, at: nil, flags: flags, mode: flags, caller).inode
        fs.release(inode)
        fs.release(inode)
    }

    private func change(
        _ first: Bytes, _ second: Bytes, _ wide: UInt64, _ narrow: UInt32, _ fs: FileSystem,
        _ caller: Caller
    ) throws(Errno) {
        let flags = ResolveFlags(rawValue: narrow)
        guard let inode = try fs.resolve(first, at: nil, flags: flags, caller).inode else { return }
        _ = fs.path(of: inode, root: caller.root)
        _ = inode.status.encodeStat() + inode.status.encodeStatx()
        _ = errno { () throws(Errno) in try fs.truncate(inode, to: wide, caller) }
        _ = errno { () throws(Errno) in try fs.setPermissions(inode, narrow, caller) }
        _ = errno { () throws(Errno) in
            try fs.setOwner(inode, user: narrow, group: narrow / 2, caller)
        }
        _ = errno { () throws(Errno) in
            let time = Timestamp(seconds: Int64(bitPattern: wide), nanoseconds: narrow)
            try fs.setTimes(inode, accessed: time, modified: time, isNow: false, caller)
        }
        _ = errno { () throws(Errno) in try fs.link(from: inode, second, at: inode, caller) }
        _ = errno { () throws(Errno) in try inode.generated?.write(second, caller) }
        _ = errno { () throws(Errno) in _ = try inode.generated?.text(caller) }
        _ = errno { () throws(Errno) in _ = try fs.readLink(inode, caller) }
        try fs.readDirectory(inode, from: wide, caller) { entry in
            var buffer = Bytes()
            return entry.encode(into: &buffer, limit: Int(narrow % 512))
        }
    }
}
