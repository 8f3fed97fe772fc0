import CFuzz
import Glibc

/// What runs an input from a state that was made before.
protocol Inhabitant: AnyObject {
    func live(_ input: inout Input)
}

/// Runs each input in a process of its own: all start from the same state, nothing leaks from one
/// to the next, and a kept input alone shows its finding again.
final class Nursery {
    /// Seconds of processor time after which an input counts as one that never ends.
    private static let limitSeconds: Int32 = 5
    private let make: () -> any Inhabitant
    private var inhabitant: (any Inhabitant)?
    private var process: OpaquePointer?

    /// `make` is called in the process that all inputs' processes come from.
    init(_ make: @escaping () -> any Inhabitant) {
        self.make = make
        process = fuzz_nursery_make(
            { Nursery.from($0)?.prepare() }, { Nursery.from($0)?.live($1, $2) },
            Unmanaged.passRetained(self).toOpaque(), Nursery.limitSeconds)
        if process == nil { finding("no process for inputs") }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> Nursery? {
        context.map { Unmanaged<Nursery>.fromOpaque($0).takeUnretainedValue() }
    }
    private func prepare() { inhabitant = make() }
    private func live(_ data: UnsafePointer<UInt8>?, _ size: Int) {
        var input = Input(UnsafeBufferPointer(start: data, count: size))
        inhabitant?.live(&input)
    }

    func run(_ input: Input) {
        let bytes = input.rest
        let status = fuzz_isolate(process, bytes.baseAddress, bytes.count)
        if status != 0 { finding("the input's process \(Nursery.text(status))") }
    }

    private static func text(_ status: Int32) -> String {
        if status < 0 { return "could not be had: the nursery is gone" }
        let signal = status & 0x7F
        if signal == SIGVTALRM { return "goes on for ever" }
        return signal != 0
            ? "ended with signal \(signal)" : "ended with status \(status >> 8 & 0xFF)"
    }

    // MARK: Counters that live through all inputs

    static func count(_ index: Int, _ more: UInt64) { fuzz_shared_words()?[index] &+= more }
    static func counters(_ names: String...) -> [(name: String, value: UInt64)] {
        names.enumerated().map { ($0.element, fuzz_shared_words()?[$0.offset] ?? 0) }
    }
}
