import ABI

/// exit(2), exit_group(2), and what becomes of what a process leaves behind.
extension GuestThread {
    /// Ends this thread; the last one ends its process. The worker goes on with another thread
    /// afterwards.
    func end(status: WaitStatus) {
        if isEnded { return }
        isEnded = true
        releaseRobustFutexes()
        if clearTID != 0 {
            try? memory.store32(0, to: clearTID)
            server.futexes.wake(space: process.space, address: clearTID, count: 1)
        }
        process.times.own = process.times.own &+ servedNanoseconds
        process.threads.removeAll { $0 === self }
        server.forget(self)
        process.threadQueue.wakeAll()
        if process.threads.isEmpty {
            if !process.isExiting { process.exitStatus = status }
            process.finish()
        }
    }

    /// get_robust_list(2): futexes that the thread held are marked and their waiters woken. The
    /// list is the guest's, so it is followed for a bounded number of steps.
    private func releaseRobustFutexes() {
        guard robustList != 0, let offset = try? memory.load64(robustList &+ 8) else { return }
        var entry = (try? memory.load64(robustList)) ?? 0
        var steps = 0
        while entry & ~1 != robustList, entry != 0, steps < 2048 {
            let address = (entry & ~1) &+ offset
            if let word = try? memory.load32(address), word & 0x3FFF_FFFF == UInt32(bitPattern: id)
            {
                try? memory.store32(word & 0x8000_0000 | 0x4000_0000, to: address)
                if word & 0x8000_0000 != 0 {
                    server.futexes.wake(space: process.space, address: address, count: 1)
                }
            }
            entry = (try? memory.load64(entry & ~1)) ?? 0
            steps += 1
        }
    }
}

extension GuestProcess {
    /// Ends all threads; each one leaves at its next look at its signals.
    func exitAll(_ status: WaitStatus) {
        if isExiting { return }
        isExiting = true
        exitStatus = status
        stopSignal = nil
        threadQueue.wakeAll()
        interruptThreads()
    }

    /// The last thread has gone.
    func finish() {
        isExiting = true
        isZombie = true
        alarm?.cancel()
        alarm = nil
        descriptors.closeAll()
        descriptors = DescriptorTable(server: server)
        releaseVforkParent()
        space = server.emptySpace
        executable = nil
        if id == sessionID, hasTerminal { server.console.terminal.sessionEnded(sessionID, server) }
        for child in children { child.adopt() }
        children = []
        if self === server.firstProcess { server.console.exit(status: exitStatus.shellStatus) }
        notifyParent()
    }

    /// Goes to process 1, which takes its status at once.
    private func adopt() {
        parent = nil
        if isZombie { server.reap(self) }
    }

    private func notifyParent() {
        guard let parent, !parent.isZombie else { return server.reap(self) }
        let action = parent.actions[.child]
        let isUnwanted =
            exitSignal == Signal.child.number
            && (action.handler == SignalAction.ignoreHandler
                || action.flags & SignalAction.noChildWait != 0)
        if let signal = Signal(checking: exitSignal) {
            let code: Int32 = exitStatus.isExit ? 1 : 2
            let status = Int32(
                bitPattern: exitStatus.isExit ? exitStatus.value >> 8 : exitStatus.value & 0x7F)
            let details = SignalInfo.Details.child(
                process: id, user: identity.realUser, status: status)
            try? parent.send(SignalInfo(signal: signal, code: code, details: details))
        }
        if isUnwanted { server.reap(self) }
        parent.childQueue.wakeAll()
    }

    /// vfork(2): the parent goes on once the child has its own memory or has ended.
    func releaseVforkParent() {
        if vforkDone { return }
        vforkDone = true
        threadQueue.wakeAll()
        parent?.threadQueue.wakeAll()
    }
}
