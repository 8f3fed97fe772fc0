import ABI

/// What happens to a system call that a signal interrupted (signal(7), "Interruption of system
/// calls").
enum Restart {
    /// Restarted with SA_RESTART or when no handler ran.
    case withFlag
    /// Restarted only when no handler ran.
    case withoutHandler
    /// As `withoutHandler`, by restart_syscall(2), which knows the remaining time.
    case sleep
}

extension Errno {
    /// Never seen by a guest: the call was interrupted, see `Restart`.
    static let restartWithFlag = Errno(512)
    static let restartWithoutHandler = Errno(514)
    static let restartSleep = Errno(516)
}

/// A Linux thread. Its registers are in its worker's `RestrictedState` while it is served.
final class GuestThread {
    var id: Int32
    let process: GuestProcess
    var worker: Worker?
    var startRegisters: Registers
    var startFPU: FloatingPoint

    var signals = SignalQueue()
    var blocked: UInt64 = 0
    /// Mask to go back to after a call that waited with another one (sigsuspend(2), ppoll(2)).
    var savedMask: UInt64?
    var alternateStack = AlternateStack()
    var restart: Restart?
    var restartCall: UInt64 = 0
    /// nanosleep(2) that goes on after a stop.
    var sleepDeadline: UInt64 = 0
    var sleepRemainderAddress: UInt64 = 0

    var clearTID: UInt64 = 0
    var robustList: UInt64 = 0
    var name: Bytes
    var isEnded = false
    /// Another thread calls execve(2).
    var isKilled = false

    private var isWaiting = false
    private var isInGuest = false
    private let startNanoseconds = Native.monotonic()
    private var waitedNanoseconds: UInt64 = 0

    init(id: Int32, process: GuestProcess, registers: Registers, fpu: FloatingPoint) {
        self.id = id
        self.process = process
        startRegisters = registers
        startFPU = fpu
        name = process.name
    }

    var server: Server { process.server }
    var memory: GuestMemory { process.space.memory }
    var servedNanoseconds: UInt64 {
        let alive = Native.monotonic() &- startNanoseconds
        return alive > waitedNanoseconds ? alive &- waitedNanoseconds : 0
    }

    var registers: Registers {
        get { worker?.state.pointee.registers ?? startRegisters }
        set {
            if let worker {
                worker.state.pointee.registers = newValue
            } else {
                startRegisters = newValue
            }
        }
    }

    var caller: Caller {
        Caller(
            credentials: Credentials(
                user: process.identity.effectiveUser, group: process.identity.effectiveGroup,
                groups: process.identity.groups),
            root: process.view.root, workingDirectory: process.view.workingDirectory,
            processID: process.id,
            threadID: id, umask: process.view.umask)
    }

    // MARK: Waiting

    /// True when a blocking call must return: a signal can be delivered, or the thread has to end
    /// or stop.
    var isInterrupted: Bool {
        (signals.pending | process.signals.pending) & ~blocked != 0 || mustLeave
    }
    var mustLeave: Bool { process.isExiting || isKilled || process.stopSignal != nil }

    /// Waits until one of the queues is woken, a signal comes or the deadline passes; the caller
    /// looks again then. False: the deadline passed. Throws `restartWithFlag` when a signal is
    /// there at the start, after the caller looked.
    func wait(on queues: [WaitQueue], deadline: UInt64 = Native.forever) throws(Errno) -> Bool {
        if isInterrupted { throw .restartWithFlag }
        return park(on: queues, deadline: deadline)
    }

    func wait(on queue: WaitQueue) throws(Errno) { _ = try wait(on: [queue]) }

    /// As `wait`, but looks at no signal.
    func park(on queues: [WaitQueue], deadline: UInt64 = Native.forever) -> Bool {
        guard let worker else { return false }
        for queue in queues { queue.add(self) }
        let before = Native.monotonic()
        isWaiting = true
        server.lock.release()
        var isInTime = Native.wait(worker.notification, deadline: deadline)
        server.lock.acquire()
        if !isInTime, !isWaiting {
            // Woken between the deadline and the lock: the wake-up must not stay behind for the
            // next wait.
            isInTime = Native.wait(worker.notification, deadline: 0)
        }
        isWaiting = false
        waitedNanoseconds = waitedNanoseconds &+ (Native.monotonic() &- before)
        for queue in queues { queue.remove(self) }
        return isInTime
    }

    /// Ends a wait, if there is one.
    func wake() {
        guard isWaiting, let worker else { return }
        isWaiting = false
        Native.signal(worker.notification)
    }

    /// Makes the thread come to `deliverSignals` soon.
    func interrupt() {
        if isWaiting {
            wake()
        } else if isInGuest, let worker {
            _ = Native.call(.threadKick, UInt64(worker.nativeThread.value))
        }
    }

    // MARK: Serving

    /// Serves the guest until it ends. The lock is held at the start and at the end.
    func run() {
        guard let worker else { return }
        while true {
            deliverSignals()
            if isEnded { return }
            isInGuest = true
            let space = UInt64(process.space.slot.value)
            let address = UInt64(UInt(bitPattern: worker.state))
            server.lock.release()
            let result = Native.call(.enterRestricted, space, address)
            server.lock.acquire()
            isInGuest = false
            if result < 0 {
                server.console.diagnostic("the kernel refused to run a guest thread")
                process.exitAll(.killed(.kill))
            } else {
                // The result, not the state, says why: after a kick that came before the entry,
                // nothing was written back, and the state's reason is that of the entry before.
                handleExit(RestrictedExit(rawValue: UInt64(result)), worker.state.pointee)
            }
        }
    }

    private func handleExit(_ reason: RestrictedExit?, _ state: RestrictedState) {
        switch reason {
        case .systemCall: serveCall(state.registers)
        case .pageFault: raiseFault(state)
        case .exception: raiseException(state)
        case .kicked, nil: break
        }
    }

    private func serveCall(_ registers: Registers) {
        let arguments = Arguments(registers)
        restartCall = registers.rax
        do throws(Errno) {
            let result = try server.calls.perform(registers.rax, self, arguments)
            setResult(UInt64(bitPattern: result))
        } catch .restartWithFlag {
            restart = .withFlag
            setResult(UInt64(bitPattern: -4))
        } catch .restartWithoutHandler {
            restart = .withoutHandler
            setResult(UInt64(bitPattern: -4))
        } catch .restartSleep {
            restart = .sleep
            setResult(UInt64(bitPattern: -4))
        } catch {
            setResult(UInt64(bitPattern: -Int64(error.rawValue)))
        }
    }

    func setResult(_ value: UInt64) { worker?.state.pointee.registers.rax = value }
}
