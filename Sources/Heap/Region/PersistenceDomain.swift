import Glibc

/// Where data is safe once a transaction has committed: how far a store must travel before it
/// counts as durable.
public enum PersistenceDomain: UInt8, Sendable, CaseIterable {
    /// `checkpointed` inside Evertree; else `cacheLineFlush` if the file can be mapped synchronously
    /// (DAX); else `fileSync`.
    case automatic = 0
    /// Persistent memory behind volatile caches: a cache line is durable after CLWB (or CLFLUSHOPT,
    /// CLFLUSH: chosen by CPUID) and SFENCE. Survives process death, kernel panic and power loss if
    /// the file is on DAX memory; on an ordinary file or tmpfs it survives what `processCrash`
    /// does, at the cost of real persistent memory.
    case cacheLineFlush = 1
    /// An ordinary file: each fence writes the touched pages with `msync`; a commit, undo or redo,
    /// has one fence, over the end of its log, and now and then a second. Survives power loss of the
    /// host, as far as its disks keep what they acknowledged.
    case fileSync = 2
    /// No write-back at all: the page cache keeps the stores of a killed process. Survives `kill
    /// -9`, not a crash of the host.
    case processCrash = 3
    /// Inside a checkpointed system, which makes memory and registers durable together: nothing
    /// needs flushing, and a crash goes back to a checkpoint in which the heap is consistent with
    /// the program that uses it.
    case checkpointed = 4
    /// Test memory that loses what was not flushed and fenced, word by word.
    case simulated = 5

    /// What survives, in words for a user.
    public var survives: String {
        switch self {
        case .automatic: "chosen when the heap is opened"
        case .cacheLineFlush:
            "process crash, kernel crash and power loss on DAX memory; process crash elsewhere"
        case .fileSync:
            "process crash, kernel crash and power loss, as far as the disk keeps its promises"
        case .processCrash: "process crash only; not a crash of the host"
        case .checkpointed: "whatever the surrounding checkpoint survives"
        case .simulated: "nothing: this is test memory"
        }
    }
}

/// The system around this process, if it makes all memory durable by itself.
package enum SurroundingSystem {
    /// Whether this is a Linux program inside Evertree: uname(2) says so.
    package static let isCheckpointed: Bool = {
        var name = utsname()
        guard uname(&name) == 0 else { return false }
        return withUnsafeBytes(of: name.version) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self).hasSuffix(" Evertree")
        }
    }()

    /// Returns when a checkpoint with everything up to now is committed: inside Evertree that is
    /// what sync(2) waits for.
    package static func checkpoint() { sync() }
}

/// The instruction that writes one cache line back, or the slow path for domains that need more
/// than one.
public enum WriteBack: UInt8, Sendable {
    case none, clflush, clflushopt, clwb
    /// The region keeps a list of what to write (msync) or models it (simulation).
    case indirect
}

/// Why memory could not be mapped, or what was found in it.
public enum PersistentMemoryError: Error, Equatable, CustomStringConvertible {
    case system(call: String, path: String, code: Int32)
    case alreadyOpen(path: String)
    case outOfAddressSpace(bytes: UInt64)
    case full(limit: UInt64)
    case damagedLog(lane: Int, detail: String)
    case tooManyPrivatePages
    case invariant(String)

    /// What an errno means.
    package static func message(_ code: Int32) -> String { systemMessage(code) }

    public var description: String {
        switch self {
        case .system(let call, let path, let code):
            "\(call) failed for \(path): \(systemMessage(code)) (errno \(code))"
        case .alreadyOpen(let path):
            "\(path) is open in another process; a heap has one writer at a time. Close the other one first."
        case .outOfAddressSpace(let bytes):
            "cannot reserve \(bytes) bytes of address space; lower `maximumSize`"
        case .full(let limit):
            "the heap reached its limit of \(limit) bytes; open it with a larger `maximumSize`"
        case .damagedLog(let lane, let detail):
            "transaction log of lane \(lane) is damaged (\(detail)); restore the file from a copy"
        case .tooManyPrivatePages:
            "a transaction changes native objects on more pages than the process may map privately; "
                + "split it, or raise vm.max_map_count"
        case .invariant(let detail): "invariant broken: \(detail)"
        }
    }
}
