import ABI
import Machine
import Store

/// Which thread runs on which core.
extension Kernel {
    mutating func leaveCore(_ thread: ThreadPointer) {
        let core = thread.pointee.core
        if core < 0 { return }
        assert(cores[core].current == thread, "a thread is not on its core")
        if core == currentCore { machine.saveFloatingPoint(context(of: thread)) }
        cores[core].current = nil
        thread.pointee.core = -1
    }

    /// Puts the current thread behind the others.
    mutating func yieldCurrent(core: Int) {
        guard let thread = cores[core].current else { return }
        leaveCore(thread)
        runQueue.append(thread)
    }

    /// Chooses what a core runs: its thread goes on until its slice ends while others wait.
    mutating func schedule(core: Int, time: UInt64) {
        if let thread = cores[core].current {
            let isOver = time >= cores[core].sliceEnd && !runQueue.isEmpty
            if !isOver {
                prepare(thread)
                return
            }
            yieldCurrent(core: core)
        }
        guard let next = runQueue.popFirst() else { return }
        assert(cores[core].current == nil, "a core runs two threads")
        assert(next.pointee.state == .ready && next.pointee.core < 0, "not a thread to run")
        next.pointee.core = core
        cores[core].current = next
        cores[core].sliceEnd = time &+ options.sliceNanoseconds
        machine.loadFloatingPoint(context(of: next))
        prepare(next)
    }

    /// Calls an idle core when a ready thread has waited long enough.
    mutating func callIdleCore(_ time: UInt64) {
        if runQueue.isEmpty {
            queuedSince = .max
            return
        }
        if queuedSince == .max { queuedSince = time }
        guard time >= queuedSince &+ options.patienceNanoseconds else { return }
        for core in 0..<coreCount where core != currentCore && cores[core].current == nil {
            machine.interruptCore(core)
            queuedSince = time
            return
        }
    }

    /// A thread's context, whose address the entry code knows: the first field of the thread.
    func context(of thread: ThreadPointer) -> UnsafeMutablePointer<ThreadContext> {
        withUnsafeMutablePointer(to: &thread.pointee.context) { $0 }
    }

    /// A thread that runs is changed by that; a kick that came for it takes effect; and it needs a
    /// translation.
    private mutating func prepare(_ thread: ThreadPointer) {
        markDirty(thread.pointee.id)
        if thread.pointee.kickPending && thread.pointee.isRestricted {
            thread.pointee.kickPending = false
            leaveRestricted(thread, .kicked)
        }
        let space = thread.pointee.restrictedSpace ?? thread.pointee.space
        do throws(NativeError) { try ensureTranslation(space) } catch { endThread(thread) }
    }

    /// Arms the core's timer for the next thing that it must not miss. When all cores are idle, the
    /// one that went idle last looks after the others' deadlines too.
    mutating func armTimer(core: Int, time: UInt64) {
        var deadline = UInt64.max
        let isIdle = cores[core].current == nil
        // A busy core looks in at least once a slice: sleepers may have been added elsewhere.
        if !isIdle {
            deadline = runQueue.isEmpty ? time &+ options.sliceNanoseconds : cores[core].sliceEnd
        }
        if !isIdle && !runQueue.isEmpty {
            deadline = min(deadline, queuedSince &+ options.patienceNanoseconds)
        }
        if !isIdle || areAllIdle {
            if let sleeper = sleepers.earliest {
                deadline = min(deadline, sleeper.pointee.deadline)
            }
            if hasChanges && options.intervalNanoseconds > 0 {
                deadline = min(deadline, nextCheckpoint)
            }
            if reapableCount > 0 { deadline = min(deadline, time &+ 100_000) }
        }
        machine.setTimer(core: core, at: deadline == .max ? .max : deadline &- clockBase)
    }

    var areAllIdle: Bool {
        for core in 0..<coreCount where cores[core].current != nil { return false }
        return true
    }
}
