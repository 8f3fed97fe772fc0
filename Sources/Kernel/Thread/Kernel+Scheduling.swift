import ABI
import Machine
import Store

extension Kernel {
    static var sliceNanoseconds: UInt64 { 4_000_000 }

    // MARK: Waiting and waking

    /// Makes the calling thread wait in a queue; its registers say what to do when it wakes.
    mutating func wait(
        _ thread: ThreadPointer, _ state: ThreadState, on object: ObjectID, deadline: UInt64,
        queue: UnsafeMutablePointer<ThreadQueue>
    ) {
        waitSequence &+= 1
        thread.pointee.state = state
        thread.pointee.waitObject = object
        thread.pointee.waitSequence = waitSequence
        thread.pointee.deadline = deadline
        queue.pointee.append(thread)
        if deadline != .max { sleepers.insert(thread) }
        leaveCore(thread)
        markDirty(thread.pointee.id)
    }

    /// Makes a thread that waits nowhere ready, with the result of its call.
    mutating func wake(_ thread: ThreadPointer, result: UInt64) {
        sleepers.remove(thread)
        thread.pointee.state = .ready
        thread.pointee.waitObject = .none
        thread.pointee.deadline = .max
        thread.pointee.context.registers.rax = result
        markDirty(thread.pointee.id)
        enqueue(thread)
    }

    /// Puts a ready thread behind the others. An idle core is not called at once: most often the
    /// waker is about to wait, and its own core is the better place (`callIdleCore`).
    mutating func enqueue(_ thread: ThreadPointer) {
        runQueue.append(thread)
        cores[currentCore].mustReschedule = true
    }

    mutating func wakeAll(_ queue: UnsafeMutablePointer<ThreadQueue>, with error: NativeError) {
        while let thread = queue.pointee.popFirst() { wake(thread, result: encode(error)) }
    }

    func encode(_ error: NativeError) -> UInt64 { UInt64(bitPattern: -error.rawValue) }

    /// The queue that a waiting thread is in; nil when it waits for a reply.
    func queue(of thread: ThreadPointer) -> UnsafeMutablePointer<ThreadQueue>? {
        guard let body = objects.pointee.live(thread.pointee.waitObject)?.pointee.body else {
            return nil
        }
        switch thread.pointee.state {
        case .waitingNotification:
            let place = body.assumingMemoryBound(to: Notification.self)
            return withUnsafeMutablePointer(to: &place.pointee.waiters) { $0 }
        case .waitingReceiver:
            let place = body.assumingMemoryBound(to: Connection.self)
            return withUnsafeMutablePointer(to: &place.pointee.callers) { $0 }
        case .waitingCaller:
            let place = body.assumingMemoryBound(to: Connection.self)
            return withUnsafeMutablePointer(to: &place.pointee.receivers) { $0 }
        case .ready, .waitingReply, .dead: return nil
        }
    }

    mutating func wakeSleepers(_ time: UInt64) {
        while let thread = sleepers.earliest, thread.pointee.deadline <= time {
            queue(of: thread)?.pointee.remove(thread)
            wake(thread, result: encode(.timedOut))
        }
    }

    // MARK: Cores

    mutating func leaveCore(_ thread: ThreadPointer) {
        let core = thread.pointee.core
        if core < 0 { return }
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
        next.pointee.core = core
        cores[core].current = next
        cores[core].sliceEnd = time &+ Self.sliceNanoseconds
        machine.loadFloatingPoint(context(of: next))
        prepare(next)
    }

    /// How long a ready thread waits for the core it was woken on before an idle one is called.
    static var patienceNanoseconds: UInt64 { 500_000 }

    /// Calls an idle core when a ready thread has waited long enough.
    mutating func callIdleCore(_ time: UInt64) {
        if runQueue.isEmpty {
            queuedSince = .max
            return
        }
        if queuedSince == .max { queuedSince = time }
        guard time >= queuedSince &+ Self.patienceNanoseconds else { return }
        for core in 0..<coreCount where core != currentCore && cores[core].current == nil {
            machine.interruptCore(core)
            queuedSince = time
            return
        }
    }

    func context(of thread: ThreadPointer) -> UnsafeMutablePointer<ThreadContext> {
        UnsafeMutableRawPointer(thread).assumingMemoryBound(to: ThreadContext.self)
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
            deadline = runQueue.isEmpty ? time &+ Self.sliceNanoseconds : cores[core].sliceEnd
        }
        if !isIdle && !runQueue.isEmpty {
            deadline = min(deadline, queuedSince &+ Self.patienceNanoseconds)
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

    // MARK: Ends

    /// Ends a thread wherever it is. A caller that it was to answer is told that it is gone.
    mutating func endThread(_ thread: ThreadPointer) {
        if thread.pointee.state == .dead { return }
        if let queue = queue(of: thread) {
            queue.pointee.remove(thread)
        } else if thread.pointee.isQueued {
            runQueue.remove(thread)
        }
        sleepers.remove(thread)
        if thread.pointee.core >= 0 && thread.pointee.core != currentCore {
            machine.quiesceOtherCores(from: currentCore)
        }
        leaveCore(thread)
        forgetPeer(of: thread)
        thread.pointee.state = .dead
        markDirty(thread.pointee.id)
        if let space = thread.pointee.restrictedSpace { release(space.pointee.id) }
        thread.pointee.restrictedSpace = nil
        let group = thread.pointee.group
        group.pointee.threadCount -= 1
        let isRoot = group == rootGroup
        if group.pointee.threadCount == 0 && !isRoot { killGroup(group) }
        release(thread.pointee.space.pointee.id)
        release(group.pointee.id)
        release(thread.pointee.id)
        if isRoot && group.pointee.threadCount == 0 {
            stop(text("the first process ended: nothing is left to run"), reason: 1)
        }
    }

    private mutating func forgetPeer(of thread: ThreadPointer) {
        if let caller = thread.pointee.caller {
            thread.pointee.caller = nil
            caller.pointee.peer = nil
            wake(caller, result: encode(.gone))
        }
        if let server = thread.pointee.peer {
            thread.pointee.peer = nil
            server.pointee.caller = nil
        }
    }

    /// Ends a group's threads and empties its slots. The group goes when nothing refers to it.
    mutating func killGroup(_ group: CapGroupPointer) {
        retain(group.pointee.id)
        if group.pointee.threadCount > 0 { endThreads(of: group) }
        emptyGroup(group)
        release(group.pointee.id)
    }

    private mutating func endThreads(of group: CapGroupPointer) {
        for number in 0..<objects.pointee.highLarge {
            guard let thread = thread(number: number) else { continue }
            if thread.pointee.group == group && thread.pointee.state != .dead { endThread(thread) }
        }
    }

    private func thread(number: UInt32) -> ThreadPointer? {
        let place = objects.pointee.header(number | RecordClass.largeBit)
        guard place.pointee.kind == .thread else { return nil }
        return place.pointee.body?.assumingMemoryBound(to: Thread.self)
    }

    /// Callers whose message was taken on a connection that is gone: nobody can answer them any
    /// more.
    mutating func abandonCallers(of connection: ObjectID) {
        for number in 0..<objects.pointee.highLarge {
            guard let thread = thread(number: number), thread.pointee.state == .waitingReply,
                thread.pointee.waitObject == connection
            else { continue }
            thread.pointee.peer?.pointee.caller = nil
            thread.pointee.peer = nil
            wake(thread, result: encode(.gone))
        }
    }
}
