import Foundation

/// What fuzzes one border of the system. `run` gets one input; it must end, and must give the same
/// result each time.
protocol FuzzTarget: AnyObject {
    func run(_ input: inout Input)
    /// Counters for the end of a campaign: name and value.
    var counters: [(name: String, value: UInt64)] { get }
}

/// The campaign of this process. libFuzzer calls back without a context, so there is one.
enum Session {
    static let targets: [String: @Sendable () throws -> any FuzzTarget] = [
        "store": { try StoreTarget() },
        "calls": { try CallTarget() },
        "programs": { try ProgramTarget() },
        "rings": { try RingTarget() },
        "files": { FileTarget() },
        "linux": { LinuxTarget() },
        "frames": { FrameTarget() },
    ]
    nonisolated(unsafe) static var current: (any FuzzTarget)?
    nonisolated(unsafe) private static var executions: UInt64 = 0
    /// The process ends when the target's first counter has reached this.
    nonisolated(unsafe) static var goal = UInt64.max

    /// Shows what happens in each input, where a target can say it.
    nonisolated(unsafe) static var traces = false

    static func trace(_ line: @autoclosure () -> String) {
        if traces { FileHandle.standardError.write(Data((line() + "\n").utf8)) }
    }

    static func run(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
        var input = Input(UnsafeBufferPointer(start: data, count: size))
        executions += 1
        current?.run(&input)
        if executions % 64 == 0, let work = current?.counters.first, work.value >= goal {
            report()
            // Not exit: libFuzzer would call that a finding.
            _exit(0)
        }
        return 0
    }

    /// Prints what was done, once, when the process ends.
    static func report() {
        guard let current else { return }
        let parts = [("inputs", executions)] + current.counters
        print("fuzz:", parts.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
        fflush(nil)
    }
}

/// Ends the run with a finding. libFuzzer keeps the input.
func finding(_ message: String) -> Never {
    FileHandle.standardError.write(Data("FINDING: \(message)\n".utf8))
    fatalError(message)
}

/// An input that is read from front to back; zeros behind its end.
struct Input {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isEmpty: Bool { position >= bytes.count }
    var rest: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[min(position, bytes.count)...])
    }

    mutating func byte() -> UInt8 {
        if isEmpty { return 0 }
        defer { position += 1 }
        return bytes[position]
    }
    mutating func half() -> UInt64 { UInt64(byte()) | UInt64(byte()) << 8 }
    mutating func word() -> UInt64 { half() | half() << 16 | half() << 32 | half() << 48 }
}

/// Scatters a value, so that a fuzzer cannot steer towards a checksum (SplitMix64).
func scatter(_ value: UInt64) -> UInt64 {
    var x = value &+ 0x9E37_79B9_7F4A_7C15
    x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
    return x ^ x >> 31
}
