import ABI

/// Something that the server does at a time: alarm(2), timerfd(2).
final class ServerTimer {
    /// Monotonic nanoseconds; nil while it is not armed.
    fileprivate(set) var deadline: UInt64?
    fileprivate(set) var interval: UInt64 = 0
    /// Called at each expiry with the number of expiries since the last one.
    fileprivate let fire: (UInt64) -> Void

    init(fire: @escaping (UInt64) -> Void) { self.fire = fire }

    func cancel() {
        deadline = nil
        interval = 0
    }

    /// Nanoseconds until the next expiry; 0 when it is not armed.
    var remaining: UInt64 {
        guard let deadline else { return 0 }
        let now = Native.monotonic()
        return deadline > now ? deadline - now : 1
    }
}

/// All timers, and the server thread that waits for the earliest.
final class TimerQueue {
    private var timers: [ServerTimer] = []
    private var thread: ServiceThread?

    func start(lock: ServerLock) throws(Errno) {
        let service = try ServiceThread(lock: lock, notification: nil) { self.fireDue() }
        try service.start()
        thread = service
    }

    func arm(_ timer: ServerTimer, deadline: UInt64, interval: UInt64) {
        timer.deadline = deadline
        timer.interval = interval
        if !timers.contains(where: { $0 === timer }) { timers.append(timer) }
        if let thread { Native.signal(thread.notification) }
    }

    /// Fires what is due and returns the next deadline.
    private func fireDue() -> UInt64 {
        let now = Native.monotonic()
        for timer in timers {
            guard let deadline = timer.deadline, deadline <= now else { continue }
            var count: UInt64 = 1
            if timer.interval > 0 {
                count = (now - deadline) / timer.interval &+ 1
                let (next, overflow) = deadline.addingReportingOverflow(count &* timer.interval)
                timer.deadline = overflow ? nil : next
            } else {
                timer.deadline = nil
            }
            timer.fire(count)
        }
        timers.removeAll { $0.deadline == nil }
        return timers.reduce(Native.forever) { min($0, $1.deadline ?? Native.forever) }
    }
}
