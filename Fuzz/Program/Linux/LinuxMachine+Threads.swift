import ABI
import CFuzz

/// Waiting, waking and running guests. A server thread runs until it suspends itself inside a
/// native call; the harness, on the process's own stack, picks who goes on.
extension LinuxMachine {
    /// Suspends the running thread until the harness resumes it; the result of its call.
    private func suspend(_ state: LinuxThread.State) -> Int64 {
        let thread = running
        guard let coroutine = thread.coroutine else {
            finding("the boot thread would wait for ever")
        }
        thread.state = state
        fuzz_coroutine_suspend(coroutine)
        return thread.result
    }

    func letOthersRun() { _ = suspend(.ready) }

    func wait(_ notification: LinuxNotification, deadline: UInt64) -> Int64 {
        if notification.count > 0 {
            notification.count -= 1
            return 0
        }
        if deadline <= now { return failure(.timedOut) }
        running.awaited = notification
        notification.waiters.append(running)
        return suspend(.waiting(deadline: deadline))
    }

    func signal(_ notification: LinuxNotification) {
        if notification.waiters.isEmpty {
            notification.count += 1
        } else {
            resume(notification.waiters.removeFirst(), with: 0)
        }
    }

    private func resume(_ thread: LinuxThread, with result: Int64) {
        thread.awaited = nil
        thread.result = result
        thread.state = .ready
    }

    func kick(_ call: NativeCall, _ w: Words) -> Int64 {
        guard case .thread(let thread)? = object(w.a) else { blame(call, w, "no such thread") }
        thread.isKicked = true
        if thread.state == .guest { leaveGuest(thread, .kicked) }
        return 0
    }

    func enter(_ call: NativeCall, _ w: Words) -> Int64 {
        guard case .space(let space)? = object(w.a) else { blame(call, w, "no such VM space") }
        guard let state = UnsafeMutablePointer<RestrictedState>(bitPattern: UInt(w.b)) else {
            blame(call, w, "no state")
        }
        if running.isKicked {
            running.isKicked = false
            return Int64(RestrictedExit.kicked.rawValue)
        }
        state.pointee.registers = state.pointee.registers.sanitized
        running.space = space
        running.restricted = state
        return suspend(.guest)
    }

    /// Ends a guest's run. The harness has put into its state what happened.
    func leaveGuest(_ thread: LinuxThread, _ reason: RestrictedExit) {
        thread.restricted?.pointee.reason = reason.rawValue
        thread.isKicked = false
        thread.space = nil
        thread.restricted = nil
        resume(thread, with: Int64(reason.rawValue))
    }

    // MARK: For the harness

    /// Runs one server thread that can run, if there is one.
    func step() -> Bool {
        let ready = threads.filter { $0.state == .ready }
        guard let first = ready.first else { return false }
        let thread = preemption > 0 ? ready[Int(roll()) % ready.count] : first
        guard let coroutine = thread.coroutine else { return false }
        running = thread
        fuzz_coroutine_resume(coroutine)
        running = bootThread
        return true
    }

    /// Runs server threads until all of them wait or run guests. The server must get there.
    func settle() {
        var steps = 0
        while step() {
            steps += 1
            if steps > 200_000 { finding("server threads run for ever") }
        }
    }

    /// The next time at which a waiting thread goes on by itself.
    var nextDeadline: UInt64? {
        var earliest = UInt64.max
        for case .waiting(let deadline) in threads.lazy.map({ $0.state }) {
            earliest = min(earliest, deadline)
        }
        return earliest == UInt64.max ? nil : earliest
    }

    /// Lets time pass; who waited until then goes on.
    func advance(to time: UInt64) {
        now = max(now, time)
        for thread in threads {
            guard case .waiting(let deadline) = thread.state, deadline <= now else { continue }
            thread.awaited?.waiters.removeAll { $0 === thread }
            resume(thread, with: failure(.timedOut))
        }
    }

    var guests: [LinuxThread] { threads.filter { $0.state == .guest } }
}
