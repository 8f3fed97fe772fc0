import ABI
import Dispatch
import Glibc
import Logging
import Store
import SystemPackage
import Testing

@testable import HostKit

/// A directory of its own, gone afterwards.
final class Scratch {
    let path: FilePath

    init() throws {
        var template = Array(("/tmp/evertree-test-" + String(repeating: "X", count: 6)).utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = FilePath(
            String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    func file(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> FilePath {
        let file = path.appending(name)
        try Files.replace(file, with: Array(text.utf8))
        chmod(file.string, mode)
        return file
    }

    /// A formatted store of 64 MiB with a manifest, and no machine.
    func store(_ name: String = "test.evertree") throws -> StoreDirectory {
        let directory = StoreDirectory(path.appending(name))
        try directory.create()
        var options = RunOptions(
            program: ProgramSpecification(command: ["/bin/busybox"], environment: []))
        options.nvmBytes = 64 << 20
        _ = try directory.populate(options, server: "/bin/busybox", created: "2026-01-01T00:00:00Z")
        return directory
    }

    deinit { removeTree(path) }

    private func removeTree(_ path: FilePath) {
        guard let status = Files.status(path, followLinks: false) else { return }
        if status.isDirectory {
            for name in (try? Files.list(path)) ?? [] { removeTree(path.appending(name)) }
            rmdir(path.string)
        } else {
            unlink(path.string)
        }
    }
}

/// A seeded generator (SplitMix64), so that a failure repeats.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// The inside of the console rings: a program that writes and reads frames, a kernel that commits,
/// and power cuts.
///
/// Its own state (how much was written and read) is what a checkpoint saves and a restore brings
/// back.
struct FakeGuest {
    struct State: Equatable {
        var written: UInt64 = 0
        var read: UInt64 = 0
        var received: [UInt8] = []
        var receivedSignals: [UInt32] = []
        var inputEnded = false
        var sent = 0
    }

    let file: MappedFile
    var running = State()
    var committed = State()
    private let output = Int(StoreLayout.outputRing.offset)
    private let input = Int(StoreLayout.inputRing.offset)
    private var outputCapacity: UInt64 { file.load(output + Int(Ring.capacityOffset)) }
    private var inputCapacity: UInt64 { file.load(input + Int(Ring.capacityOffset)) }

    init(_ file: MappedFile) { self.file = file }

    /// Writes a frame if the outside has left room for it.
    mutating func write(_ kind: ConsoleFrame.Output, _ payload: [UInt8]) -> Bool {
        let span = ConsoleFrame.paddedLength(UInt32(payload.count))
        let remote = file.load(output + Int(Ring.remoteOffset))
        guard running.written + span - remote <= outputCapacity else { return false }
        let word = ConsoleFrame.word(kind: kind.rawValue, length: UInt32(payload.count))
        let bytes = withUnsafeBytes(of: word) { Array($0) } + payload
        let start = Int(running.written & (outputCapacity - 1))
        let first = min(bytes.count, Int(outputCapacity) - start)
        let data = file.base + output + Int(Ring.dataOffset)
        bytes.withUnsafeBytes { source in
            guard let from = source.baseAddress else { return }
            memcpy(data + start, from, first)
            memcpy(data, from + first, bytes.count - first)
        }
        running.written += span
        return true
    }

    /// Writes a frame for which there is room.
    mutating func mustWrite(_ kind: ConsoleFrame.Output, _ payload: [UInt8]) {
        let done = write(kind, payload)
        #expect(done)
    }

    /// Takes in all frames that the outside wrote.
    mutating func read() {
        while running.read < file.load(input + Int(Ring.remoteOffset)) {
            let word = bytes(running.read, 8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            let payload = bytes(running.read + 8, Int(ConsoleFrame.length(word)))
            switch ConsoleFrame.Input(rawValue: ConsoleFrame.kind(word)) {
            case .standardInput: running.received += payload
            case .endOfInput: running.inputEnded = true
            case .signal:
                running.receivedSignals.append(
                    payload.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
            default: break
            }
            running.read += ConsoleFrame.paddedLength(ConsoleFrame.length(word))
        }
    }

    private func bytes(_ position: UInt64, _ count: Int) -> [UInt8] {
        let start = Int(position & (inputCapacity - 1))
        let first = min(count, Int(inputCapacity) - start)
        let data = file.base + input + Int(Ring.dataOffset)
        return Array(UnsafeRawBufferPointer(start: data + start, count: first))
            + Array(UnsafeRawBufferPointer(start: data, count: count - first))
    }

    /// Makes the state durable and publishes the pointers.
    mutating func commit() {
        committed = running
        publish()
    }

    /// A power cut and the restore after it.
    mutating func restore() {
        running = committed
        publish()
    }

    private func publish() {
        for (ring, value) in [(output, committed.written), (input, committed.read)] {
            file.store(value, at: ring + Int(Ring.localOffset))
            file.store(value, at: ring + Int(Ring.publishedOffset))
        }
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs code that waits (`Blocking`) on a thread of its own: the tests' threads are those it would
/// wait for.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
{
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}
