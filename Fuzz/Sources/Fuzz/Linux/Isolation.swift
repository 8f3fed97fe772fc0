import CFuzz
import Glibc

/// Runs each input in a child of this process: all start from the same state, nothing leaks from one
/// to the next, and a kept input alone shows its finding again. The child's edge counters come back,
/// so libFuzzer learns from it as from a call.
final class Isolation {
    /// Seconds of processor time after which an input counts as one that never ends.
    static let limitSeconds: Int32 = 20
    private let words: UnsafeMutablePointer<UInt64>

    init() {
        guard let words = fuzz_isolation_start() else { finding("no memory to share") }
        self.words = words
    }

    /// Counters that live through the children.
    subscript(_ index: Int) -> UInt64 {
        get { words[index] }
        set { words[index] = newValue }
    }

    func run(_ body: @escaping () -> Void) {
        let work = Work(body)
        let status = fuzz_isolate(
            { context in
                guard let context else { return }
                Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body()
            }, Unmanaged.passUnretained(work).toOpaque(), Isolation.limitSeconds)
        if status != 0 { finding("the input's process \(Isolation.text(status))") }
    }

    private static func text(_ status: Int32) -> String {
        let signal = status & 0x7F
        if signal == SIGVTALRM { return "goes on for ever" }
        return signal != 0
            ? "ended with signal \(signal)" : "ended with status \(status >> 8 & 0xFF)"
    }

    private final class Work {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
