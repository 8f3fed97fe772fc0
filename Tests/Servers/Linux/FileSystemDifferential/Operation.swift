/// One call that is made on Linux and on our file system.
enum Operation {
    case open(path: String, flags: UInt32, mode: UInt32, keep: Bool)
    case closeHandle(Int)
    case statusOfHandle(Int)
    case truncateHandle(Int, size: Int64)
    case makeDirectory(String, mode: UInt32)
    case makeNode(String, mode: UInt32)
    case unlink(String)
    case removeDirectory(String)
    case rename(String, String, flags: UInt32)
    case link(String, String, follow: Bool)
    case symbolicLink(target: String, String)
    case readLink(String)
    case setPermissions(String, mode: UInt32)
    case setOwner(String, user: UInt32, group: UInt32, follow: Bool)
    case truncate(String, size: Int64)
    case setTimes(String, isNow: Bool)
    case access(String, mask: Int32)
    case status(String, follow: Bool)
    case changeDirectory(String)
    case workingDirectory
}

/// What an operation answered.
struct Outcome: Equatable, CustomStringConvertible {
    var errno: Int32 = 0
    var text = ""
    var description: String { errno == 0 ? "ok \(text)" : "errno \(errno)" }
}

/// Makes random operations over few names, so that they often meet.
struct OperationGenerator {
    var random: SeededGenerator
    static let handles = 4

    mutating func next() -> Operation {
        switch random.below(26) {
        case 0...3:
            return .open(path: path(), flags: openFlags(), mode: mode(), keep: random.chance(30))
        case 4: return .closeHandle(random.below(Self.handles))
        case 5: return .statusOfHandle(random.below(Self.handles))
        case 6: return .truncateHandle(random.below(Self.handles), size: Int64(random.below(10000)))
        case 7...9: return .makeDirectory(path(), mode: mode())
        case 10: return .makeNode(path(), mode: nodeMode())
        case 11: return .unlink(path())
        case 12: return .removeDirectory(path())
        case 13...15:
            return .rename(path(), path(), flags: random.pick([0, 0, 0, 0, 1, 1, 2, 2, 3, 8]))
        case 16: return .link(path(), path(), follow: random.chance(30))
        case 17: return .symbolicLink(target: path(), path())
        case 18: return .readLink(path())
        case 19: return .setPermissions(path(), mode: mode())
        case 20: return .setOwner(path(), user: owner(), group: group(), follow: random.chance(70))
        case 21: return .truncate(path(), size: Int64(random.below(10000)))
        case 22: return .setTimes(path(), isNow: random.chance(50))
        case 23: return .access(path(), mask: Int32(random.below(8)))
        case 24: return .status(path(), follow: random.chance(50))
        default: return random.chance(50) ? .changeDirectory(path()) : .workingDirectory
        }
    }

    /// Whether the next operation is made by the ordinary user.
    mutating func isOrdinary() -> Bool { random.chance(40) }

    private mutating func path() -> String {
        if random.chance(1) { return "" }
        if random.chance(1) { return String(repeating: "a/", count: 2040 + random.below(20)) }
        var path = random.chance(30) ? "/" : ""
        for index in 0...random.below(4) {
            if index > 0 { path += random.chance(5) ? "//" : "/" }
            path += component()
        }
        return random.chance(10) ? path + "/" : path
    }

    private mutating func component() -> String {
        if random.chance(2) { return String(repeating: "n", count: 255 + random.below(2)) }
        return random.pick(["a", "a", "b", "b", "c", "c", "d", "e", ".", ".."])
    }

    private mutating func mode() -> UInt32 {
        let mode = anyMode()
        return HostRoot.hasStickyRules ? mode & ~0o1000 : mode
    }

    private mutating func anyMode() -> UInt32 {
        random.pick([
            0o777, 0o777, 0o755, 0o700, 0o644, 0o666, 0o000, 0o1777, 0o2775, 0o6755, 0o4711, 0o111,
            0o2707,
        ])
    }

    private mutating func nodeMode() -> UInt32 {
        mode()
            | random.pick([
                0, 0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000, 0o150000,
            ])
    }

    private mutating func owner() -> UInt32 { random.pick([0, 1000, 1001, .max]) }
    private mutating func group() -> UInt32 { random.pick([0, 100, 200, 300, .max]) }

    /// Always O_NONBLOCK, so that a fifo does not stop the test; never O_TMPFILE, which a
    /// program compared with Linux tries (Tests/Linux/programs/transfers.c).
    private mutating func openFlags() -> UInt32 {
        var flags: UInt32 = 0o4000 | UInt32(random.pick([0, 0, 1, 2, 2, 3]))
        if random.chance(50) { flags |= 0o100 }
        if random.chance(15) { flags |= 0o200 }
        if random.chance(20) { flags |= 0o1000 }
        // O_CREAT with O_DIRECTORY is EINVAL only since Linux 6.4.
        if random.chance(10) { flags = flags & ~0o100 | 0o200000 }
        if random.chance(15) { flags |= 0o400000 }
        if random.chance(5) { flags |= 0o1000000 }
        if random.chance(10) { flags |= 0o10000000 }
        return flags
    }
}
