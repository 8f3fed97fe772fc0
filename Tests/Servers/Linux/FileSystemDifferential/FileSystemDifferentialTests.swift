import Glibc
import Testing

@testable import LinuxServer

/// The same operations on a Linux tmpfs and on our file system: every errno, every result, the
/// whole tree. Needs root, for a root directory of its own and an ordinary user's file system
/// identity.
@Suite(.serialized, .enabled(if: HostRoot.isPossible, "needs chroot(2), setfsuid(2) and /dev/shm"))
struct FileSystemDifferentialTests {
    /// EVERTREE_FS_SEED=N runs one seed, EVERTREE_FS_SEEDS=N that many.
    private static var seeds: Range<UInt64> {
        if let seed = getenv("EVERTREE_FS_SEED").flatMap({ UInt64(String(cString: $0)) }) {
            return seed..<seed + 1
        }
        let count = getenv("EVERTREE_FS_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 20
        return 0..<count
    }

    @Test func randomOperationsEqualTmpfs() throws {
        for seed in Self.seeds {
            let failure = try HostRoot.enter { try Self.compare(seed: seed, steps: 600) }
            if let failure {
                Issue.record(
                    "\(failure)\nEVERTREE_FS_SEED=\(seed) swift test --filter randomOperations"
                )
                return
            }
        }
    }

    /// What differed; nil when nothing did.
    private static func compare(seed: UInt64, steps: Int) throws -> String? {
        let sides = BothSides()
        defer { sides.host.end() }
        var generator = OperationGenerator(random: SeededGenerator(seed: seed))
        for step in 0..<steps {
            var ordinary = generator.isOrdinary()
            let operation = generator.next()
            if case .link = operation, !HostRoot.protectsLinks { ordinary = false }
            // One seed alone is a failure being looked at: the tree is compared after each step.
            let comparesTree = step % 20 == 19 || step == steps - 1 || seeds.count == 1
            if let difference = try sides.perform(
                operation, ordinary: ordinary, comparesTree: comparesTree)
            {
                return "seed \(seed) step \(step), \(difference)"
            }
        }
        return nil
    }

    /// Every pair of a set of places, with every flag: files, links to one file, full and empty
    /// directories, symbolic links of all kinds, missing places, places inside and above, each with
    /// and without a trailing slash.
    @Test(arguments: [UInt32(0), RenameFlags.noReplace, RenameFlags.exchange])
    func allSmallRenamesEqualTmpfs(flags: UInt32) throws {
        let places = [
            "f", "g", "h", "e", "e2", "d", "d/x", "d/s", "d/s/y", "d/missing", "l", "ld", "n",
            "missing", "f/", "e/",
            "d/", "ld/", "missing/", ".", "..", "d/.", "d/..", "/", "f/x", "missing/x", "ld/x",
            "ld/s", "./f", "d/s/..",
        ]
        let failure = try HostRoot.enter { () -> String? in
            let sides = BothSides()
            for (index, old) in places.enumerated() {
                for (other, new) in places.enumerated() {
                    try sides.makeRenameTree("/\(index)-\(other)")
                    let operation = Operation.rename(old, new, flags: flags)
                    if let difference = try sides.perform(
                        operation, ordinary: false, comparesTree: false)
                    {
                        return difference
                    }
                }
            }
            return try sides.treeDifference()
        }
        #expect(failure == nil, "\(failure ?? "")")
    }
}

/// Linux and ours, kept in step.
private final class BothSides {
    let host = HostSide()
    let ours = OurSide(umask: HostRoot.umask)

    /// What differed; nil when nothing did.
    func perform(_ operation: Operation, ordinary: Bool, comparesTree: Bool) throws -> String? {
        host.identify(ordinary: ordinary)
        ours.identify(ordinary: ordinary)
        let expected = host.perform(operation)
        let actual = ours.perform(operation)
        host.identify(ordinary: false)
        let place = "\(ordinary ? "user" : "superuser"): \(operation)"
        if expected != actual { return "\(place)\n  Linux: \(expected)\n  ours:  \(actual)" }
        if !comparesTree { return nil }
        if let fault = ours.fault() { return "\(place)\n  invariant: \(fault)" }
        return try treeDifference().map { "\(place)\n\($0)" }
    }

    func treeDifference() throws -> String? {
        let expected = host.tree()
        let actual = try ours.tree()
        guard expected != actual else { return nil }
        let missing = Set(expected).subtracting(actual).sorted().prefix(5).map { "  Linux: \($0)" }
        let extra = Set(actual).subtracting(expected).sorted().prefix(5).map { "  ours:  \($0)" }
        return (missing + extra).joined(separator: "\n")
    }

    /// A directory with one of each kind, and both sides in it.
    func makeRenameTree(_ path: String) throws {
        let make: [Operation] = [
            .makeDirectory(path, mode: 0o755), .changeDirectory(path), .makeNode("f", mode: 0o644),
            .makeNode("g", mode: 0o600), .link("f", "h", follow: false),
            .makeDirectory("e", mode: 0o755),
            .makeDirectory("e2", mode: 0o700), .makeDirectory("d", mode: 0o755),
            .makeNode("d/x", mode: 0o644),
            .makeDirectory("d/s", mode: 0o755), .symbolicLink(target: "f", "l"),
            .symbolicLink(target: "d", "ld"), .symbolicLink(target: "nowhere", "n"),
        ]
        for operation in make {
            let difference = try perform(operation, ordinary: false, comparesTree: false)
            try #require(difference == nil, "\(difference ?? "")")
        }
    }
}
