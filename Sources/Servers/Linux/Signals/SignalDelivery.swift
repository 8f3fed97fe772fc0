import ABI

/// What a thread does between a system call and its next instruction: end, stop, or run signal
/// handlers.
extension GuestThread {
    func deliverSignals() {
        while !isEnded {
            if process.isExiting || isKilled {
                end(status: process.exitStatus)
            } else if process.stopSignal != nil {
                _ = park(on: [process.threadQueue])
            } else if let info = signals.take(~blocked) ?? process.signals.take(~blocked) {
                deliver(info)
            } else {
                break
            }
        }
        if isEnded { return }
        restartInterruptedCall()
        if let mask = savedMask {
            blocked = mask
            savedMask = nil
        }
    }

    private func deliver(_ info: SignalInfo) {
        let action = process.actions[info.signal]
        if action.handler > SignalAction.ignoreHandler, Signal.unblockable & info.signal.bit == 0 {
            runHandler(info, action)
        } else if process.actions.isIgnored(info.signal) {
            return
        } else if info.signal.bit & Signal.stopping != 0 {
            process.stop(info.signal)
        } else if info.signal != .proceed {
            process.exitAll(.killed(info.signal))
        }
    }

    private func runHandler(_ info: SignalInfo, _ action: SignalAction) {
        if let kind = restart {
            // `setResult` has left EINTR; only SA_RESTART asks for another try.
            if kind == .withFlag, action.flags & SignalAction.restart != 0 {
                rewind(to: restartCall)
            }
            restart = nil
        }
        do throws(Errno) {
            try pushFrame(info, action)
        } catch {
            process.exitAll(.killed(.segmentation))
            return
        }
        savedMask = nil
        blocked |= action.mask
        if action.flags & SignalAction.noDefer == 0 { blocked |= info.signal.bit }
        blocked &= ~Signal.unblockable
        if action.flags & SignalAction.resetHand != 0 {
            process.actions[info.signal] = SignalAction()
        }
    }

    private func restartInterruptedCall() {
        guard let kind = restart else { return }
        restart = nil
        rewind(to: kind == .sleep ? 219 : restartCall)
    }

    /// Back before the two-byte `syscall` instruction.
    private func rewind(to number: UInt64) {
        var current = registers
        current.rax = number
        current.rip = current.rip &- 2
        registers = current
    }
}

extension GuestProcess {
    /// Stops all threads until SIGCONT. A member of an orphaned group cannot be stopped from the
    /// terminal.
    func stop(_ signal: Signal) {
        if signal != .stop, server.isOrphaned(group: groupID, session: sessionID) { return }
        stopSignal = signal
        report(.stopped(signal))
        interruptThreads()
    }
}
