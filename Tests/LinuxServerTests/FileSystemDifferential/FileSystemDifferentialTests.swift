import CHostCalls
import Glibc
import Testing

@testable import LinuxServer

/// The same random operations on a Linux tmpfs and on our file system: every errno, every result, the whole tree.
/// Needs root, for a root directory of its own and an ordinary user's file system identity.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root: chroot(2), setfsuid(2)"))
struct FileSystemDifferentialTests {
    private static let umask: UInt32 = 0o022

    /// EVERTREE_FS_SEED=N runs one seed, EVERTREE_FS_SEEDS=N that many.
    private static var seeds: Range<UInt64> {
        if let seed = getenv("EVERTREE_FS_SEED").flatMap({ UInt64(String(cString: $0)) }) { return seed..<seed + 1 }
        let count = getenv("EVERTREE_FS_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 60
        return 0..<count
    }

    @Test func sameAsTmpfs() throws {
        for seed in Self.seeds {
            let base = try Self.makeRoot()
            defer { _ = host_remove_tree(base) }
            let failure = try Self.inThread { try Self.compare(seed: seed, steps: 600, base) }
            if let failure {
                Issue.record("\(failure)\nreproduce: EVERTREE_FS_SEED=\(seed) swift test --filter sameAsTmpfs")
                return
            }
        }
    }

    /// What differed; nil when nothing did.
    private static func compare(seed: UInt64, steps: Int, _ base: String) throws -> String? {
        guard host_enter_root(base, umask) == 0 else { return "cannot enter \(base)" }
        let host = HostSide()
        let ours = OurSide(umask: umask)
        defer { host.end() }
        var generator = OperationGenerator(random: SeededGenerator(seed: seed))
        for step in 0..<steps {
            let ordinary = generator.isOrdinary()
            let operation = generator.next()
            host.identify(ordinary: ordinary)
            ours.identify(ordinary: ordinary)
            let expected = host.perform(operation)
            let actual = ours.perform(operation)
            host.identify(ordinary: false)
            let place = "seed \(seed) step \(step), \(ordinary ? "user" : "superuser"): \(operation)"
            if expected != actual { return "\(place)\n  Linux: \(expected)\n  ours:  \(actual)" }
            if let fault = ours.fault() { return "\(place)\n  invariant: \(fault)" }
            // One seed alone is a failure being looked at: the tree is compared after each step.
            guard step % 20 == 19 || step == steps - 1 || Self.seeds.count == 1 else { continue }
            if let difference = difference(host.tree(), try ours.tree()) { return "\(place)\n\(difference)" }
        }
        return nil
    }

    private static func difference(_ expected: [String], _ actual: [String]) -> String? {
        guard expected != actual else { return nil }
        let missing = expected.filter { !actual.contains($0) }.prefix(5).map { "  Linux: \($0)" }
        let extra = actual.filter { !expected.contains($0) }.prefix(5).map { "  ours:  \($0)" }
        return (missing + extra).joined(separator: "\n")
    }

    /// A new directory on tmpfs, open to everyone.
    private static func makeRoot() throws -> String {
        var template = Array("/dev/shm/evertree-fs-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } ?? false }
        try #require(made, "no directory on /dev/shm")
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o777)
        return path
    }

    /// Runs in a thread of its own, because the root directory and the identity are a thread's.
    private static func inThread<Value>(_ body: @escaping () throws -> Value) throws -> Value {
        let box = ThreadBox(body)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(box).toOpaque()
        let status = pthread_create(&thread, nil, { raw in
            raw.map { Unmanaged<AnyThreadBox>.fromOpaque($0).takeRetainedValue().run() }
            return nil
        }, argument)
        try #require(status == 0, "pthread_create")
        pthread_join(thread, nil)
        return try #require(box.result).get()
    }
}

private class AnyThreadBox {
    func run() {}
}

private final class ThreadBox<Value>: AnyThreadBox {
    private let body: () throws -> Value
    private(set) var result: Result<Value, any Error>?

    init(_ body: @escaping () throws -> Value) { self.body = body }
    override func run() { result = Result { try body() } }
}
