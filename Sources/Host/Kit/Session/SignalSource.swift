import CHostKit
import Glibc

/// The signals that a console session handles, as a descriptor. Make it before any other thread
/// exists: threads inherit the blocked set.
public struct SignalSource: ~Copyable {
    let descriptor: Int32

    public init() {
        signal(SIGPIPE, SIG_IGN)
        let signals = [SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGWINCH]
        descriptor = hostkit_signal_descriptor(signals, Int32(signals.count))
    }

    /// The next signal that arrived.
    func next() -> Int32? {
        let signal = hostkit_next_signal(descriptor)
        return signal > 0 ? signal : nil
    }

    deinit { close(descriptor) }
}
