import ABI

/// Sending signals: kill(2), tgkill(2), and what the server itself raises.
extension GuestProcess {
    /// Queues a signal for any thread of the process. Signals to a process that has ended do
    /// nothing.
    func send(_ info: SignalInfo) throws(Errno) {
        if isZombie { return }
        prepare(info.signal)
        if actions.isIgnored(info.signal),
            !threads.contains(where: { $0.blocked & info.signal.bit != 0 })
        {
            return
        }
        try signals.add(info)
        let receiver = threads.first { $0.blocked & info.signal.bit == 0 }
        if info.signal == .kill { interruptThreads() } else { receiver?.interrupt() }
        server.signalQueue.wakeAll()
    }

    /// As `send`, for signals that the server raises: a full queue loses them, as on Linux.
    func raise(_ signal: Signal, code: Int32 = 0x80) {
        try? send(SignalInfo(signal: signal, code: code, details: .none))
    }

    /// Stop signals and SIGCONT cancel one another; SIGCONT and SIGKILL let a stopped process go on
    /// (signal(7)).
    func prepare(_ signal: Signal) {
        if signal.bit & Signal.stopping != 0 { dropEverywhere(Signal.proceed.bit) }
        if signal == .proceed { dropEverywhere(Signal.stopping) }
        if signal == .proceed || signal == .kill, stopSignal != nil {
            stopSignal = nil
            if signal == .proceed { report(.proceeded) }
            threadQueue.wakeAll()
        }
    }

    private func dropEverywhere(_ set: UInt64) {
        signals.drop(set)
        for thread in threads { thread.signals.drop(set) }
    }

    /// Tells the parent that the process stopped or went on.
    func report(_ status: WaitStatus) {
        unreported = status
        guard let parent else { return }
        parent.childQueue.wakeAll()
        if parent.actions[.child].flags & SignalAction.noChildStop != 0 { return }
        let code: Int32 = status == .proceeded ? 6 : 5
        let number = status == .proceeded ? Signal.proceed.number : Int32(status.value >> 8)
        let details = SignalInfo.Details.child(process: id, user: identity.realUser, status: number)
        try? parent.send(SignalInfo(signal: .child, code: code, details: details))
    }
}

extension GuestThread {
    /// Queues a signal for this thread alone.
    func send(_ info: SignalInfo) throws(Errno) {
        if isEnded { return }
        process.prepare(info.signal)
        if process.actions.isIgnored(info.signal), blocked & info.signal.bit == 0 { return }
        try signals.add(info)
        if blocked & info.signal.bit == 0 { interrupt() }
        server.signalQueue.wakeAll()
    }

    /// A signal that the thread's own instruction caused: it cannot be blocked or ignored.
    func force(_ info: SignalInfo) {
        let isIgnored = process.actions[info.signal].handler == SignalAction.ignoreHandler
        if blocked & info.signal.bit != 0 || isIgnored {
            process.actions[info.signal] = SignalAction()
        }
        blocked &= ~info.signal.bit
        try? signals.add(info)
    }

    /// A page fault is SIGSEGV: 1 nothing mapped, 2 no permission (sigaction(2), si_code).
    func raiseFault(_ state: RestrictedState) {
        let area = process.space.area(at: state.faultAddress)
        let details = SignalInfo.Details.fault(address: state.faultAddress)
        if let area, area.memory == nil, area.file != nil {
            force(SignalInfo(signal: .bus, code: 2, details: details))
        } else {
            force(SignalInfo(signal: .segmentation, code: area == nil ? 1 : 2, details: details))
        }
    }

    /// Other exceptions, as Linux maps them (arch/x86 traps).
    func raiseException(_ state: RestrictedState) {
        let details = SignalInfo.Details.fault(address: state.registers.rip)
        let info: SignalInfo
        switch state.vector {
        case 0: info = SignalInfo(signal: .arithmetic, code: 1, details: details)
        case 1, 3:
            info = SignalInfo(signal: .trap, code: state.vector == 3 ? 0x80 : 2, details: details)
        case 6: info = SignalInfo(signal: .illegal, code: 2, details: details)
        case 16, 19: info = SignalInfo(signal: .arithmetic, code: 7, details: details)
        case 17: info = SignalInfo(signal: .bus, code: 1, details: details)
        default: info = SignalInfo(signal: .segmentation, code: 0x80, details: .fault(address: 0))
        }
        force(info)
    }
}
