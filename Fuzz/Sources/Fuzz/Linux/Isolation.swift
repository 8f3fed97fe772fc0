import CFuzz
import Glibc

/// Runs each input in a process of its own: all start from the same state, nothing leaks from one to
/// the next, and a kept input alone shows its finding again.
enum Isolation {
    /// Seconds of processor time after which an input counts as one that never ends.
    private static let limitSeconds: Int32 = 20
    nonisolated(unsafe) private static var body: (inout Input) -> Void = { _ in }

    /// Counters that live through all inputs.
    static func count(_ index: Int, _ more: UInt64) {
        guard let words = fuzz_isolation_words() else { finding("no memory to share") }
        words[index] &+= more
    }
    static func counter(_ index: Int) -> UInt64 { fuzz_isolation_words()?[index] ?? 0 }

    /// From now on each input starts in the state of this moment.
    static func start(_ work: @escaping (inout Input) -> Void) {
        body = work
        let result = fuzz_isolation_start(
            { data, size in
                var input = Input(UnsafeBufferPointer(start: data, count: size))
                Isolation.body(&input)
            }, limitSeconds)
        if result != 0 { finding("no process for inputs") }
    }

    static func run(_ input: Input) {
        let bytes = input.rest
        let status = fuzz_isolate(bytes.baseAddress, bytes.count)
        if status != 0 { finding("the input's process \(text(status))") }
    }

    private static func text(_ status: Int32) -> String {
        let signal = status & 0x7F
        if signal == SIGVTALRM { return "goes on for ever" }
        return signal != 0
            ? "ended with signal \(signal)" : "ended with status \(status >> 8 & 0xFF)"
    }
}
