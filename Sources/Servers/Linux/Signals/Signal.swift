/// A Linux signal number, 1–64 (signal(7), x86-64).
struct Signal: Equatable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    /// nil for a number that is no signal.
    init?(checking number: Int32) {
        guard number >= 1, number <= 64 else { return nil }
        self.number = number
    }

    static let hangup = Signal(1), interrupt = Signal(2), quit = Signal(3), illegal = Signal(4),
        trap = Signal(5)
    static let abort = Signal(6), bus = Signal(7), arithmetic = Signal(8), kill = Signal(9)
    static let segmentation = Signal(11), pipe = Signal(13), alarm = Signal(14),
        terminate = Signal(15)
    static let child = Signal(17), proceed = Signal(18), stop = Signal(19),
        terminalStop = Signal(20)
    static let terminalInput = Signal(21), terminalOutput = Signal(22), windowChange = Signal(28)

    var bit: UInt64 { 1 << UInt64(truncatingIfNeeded: (number &- 1) & 63) }
    var index: Int { Int(number) - 1 }
    /// SIGKILL and SIGSTOP cannot be caught, blocked or ignored.
    static let unblockable: UInt64 = Signal.kill.bit | Signal.stop.bit
    static let stopping: UInt64 =
        Signal.stop.bit | Signal.terminalStop.bit | Signal.terminalInput.bit
        | Signal.terminalOutput.bit
    /// Signals whose default is to do nothing: SIGCHLD, SIGCONT, SIGURG, SIGWINCH.
    static let ignoredByDefault: UInt64 =
        Signal.child.bit | Signal.proceed.bit | Signal(23).bit | Signal.windowChange.bit
    /// Raised by the thread's own instructions.
    static let synchronous: UInt64 =
        Signal.segmentation.bit | Signal.bus.bit | Signal.illegal.bit | Signal.trap.bit
        | Signal.arithmetic.bit
        | Signal(31).bit
    var isRealTime: Bool { number >= 32 }
}

/// What a signal brings (siginfo_t; sigaction(2)).
struct SignalInfo {
    enum Details {
        case none
        /// Who sent it, and sigqueue's value.
        case sender(process: Int32, user: UInt32, value: UInt64)
        /// SIGCHLD: which child, and how it changed.
        case child(process: Int32, user: UInt32, status: Int32)
        /// Where memory could not be touched.
        case fault(address: UInt64)
    }
    let signal: Signal
    /// si_code: 0 kill, -1 queue, -6 tgkill, 0x80 kernel, 1... per signal.
    let code: Int32
    let details: Details

    /// 128 bytes as the guest sees them.
    var bytes: Bytes {
        var writer = ByteWriter(capacity: 128)
        writer.put32(signal.number)
        writer.put32(Int32(0))
        writer.put32(code)
        writer.put32(Int32(0))
        switch details {
        case .none: break
        case .sender(let process, let user, let value):
            writer.put32(process)
            writer.put32(user)
            writer.put64(value)
        case .child(let process, let user, let status):
            writer.put32(process)
            writer.put32(user)
            writer.put32(status)
        case .fault(let address): writer.put64(address)
        }
        writer.zeros(128 - writer.bytes.count)
        return writer.bytes
    }
}

/// Signals that wait to be delivered, to a thread or to a process.
struct SignalQueue {
    /// More queued real-time signals than this fail with EAGAIN (RLIMIT_SIGPENDING of a small
    /// system). Standard signals always find room: nobody may make a process that SIGKILL does not
    /// reach.
    static let limit = 1024
    private var queued: [SignalInfo] = []
    private(set) var pending: UInt64 = 0

    /// Standard signals are kept once.
    mutating func add(_ info: SignalInfo) throws(Errno) {
        if !info.signal.isRealTime {
            if pending & info.signal.bit != 0 { return }
        } else if queued.count >= SignalQueue.limit {
            throw .EAGAIN
        }
        queued.append(info)
        pending |= info.signal.bit
    }

    /// The next one that is in `wanted`: faults first, then by number, then by age.
    mutating func take(_ wanted: UInt64) -> SignalInfo? {
        let ready = pending & wanted
        if ready == 0 { return nil }
        let urgent = ready & Signal.synchronous
        let number = Int32((urgent != 0 ? urgent : ready).trailingZeroBitCount) + 1
        guard let index = queued.firstIndex(where: { $0.signal.number == number }) else {
            return nil
        }
        let info = queued.remove(at: index)
        if !queued.contains(where: { $0.signal.number == number }) { pending &= ~info.signal.bit }
        return info
    }

    mutating func drop(_ set: UInt64) {
        if pending & set == 0 { return }
        queued.removeAll { $0.signal.bit & set != 0 }
        pending &= ~set
    }
}

/// What to do for one signal (struct sigaction).
struct SignalAction {
    static let defaultHandler: UInt64 = 0
    static let ignoreHandler: UInt64 = 1
    static let noChildStop: UInt64 = 1, noChildWait: UInt64 = 2, withInfo: UInt64 = 4
    static let hasRestorer: UInt64 = 0x0400_0000, onStack: UInt64 = 0x0800_0000,
        restart: UInt64 = 0x1000_0000
    static let noDefer: UInt64 = 0x4000_0000, resetHand: UInt64 = 0x8000_0000

    var handler: UInt64 = 0
    var flags: UInt64 = 0
    var restorer: UInt64 = 0
    var mask: UInt64 = 0
}

/// The table of actions, shared by the threads of a process.
final class SignalActions {
    private var actions = [SignalAction](repeating: SignalAction(), count: 64)

    init() {}
    init(copying other: SignalActions) { actions = other.actions }

    subscript(_ signal: Signal) -> SignalAction {
        get { actions[signal.index & 63] }
        set { actions[signal.index & 63] = newValue }
    }

    func isIgnored(_ signal: Signal) -> Bool {
        let handler = self[signal].handler
        if handler == SignalAction.ignoreHandler { return true }
        return handler == SignalAction.defaultHandler && signal.bit & Signal.ignoredByDefault != 0
    }

    /// execve(2): handlers are reset, ignored signals stay ignored.
    func resetHandlers() {
        for index in 0..<64 where actions[index].handler != SignalAction.ignoreHandler {
            actions[index] = SignalAction()
        }
    }
}
