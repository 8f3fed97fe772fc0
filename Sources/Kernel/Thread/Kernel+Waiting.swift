import ABI
import Machine
import Store

/// Waiting and waking.
extension Kernel {
    /// Makes the calling thread wait in a queue; its registers say what to do when it wakes.
    mutating func wait(
        _ thread: ThreadPointer, _ state: ThreadState, on object: ObjectID, deadline: UInt64,
        queue: UnsafeMutablePointer<ThreadQueue>
    ) {
        assert(thread.pointee.state == .ready, "a thread waits for two things")
        assert(cores[currentCore].current == thread, "a thread waits that does not run")
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
        assert(thread.pointee.state != .ready && thread.pointee.state != .dead, "nothing to wake")
        assert(!thread.pointee.isQueued, "a thread is woken that still waits")
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
        assert(thread.pointee.state == .ready, "a thread that is not ready is to run")
        runQueue.append(thread)
        cores[currentCore].mustReschedule = true
    }

    mutating func wakeAll(_ queue: UnsafeMutablePointer<ThreadQueue>, with error: NativeError) {
        while let thread = queue.pointee.popFirst() { wake(thread, result: encode(error)) }
    }

    func encode(_ error: NativeError) -> UInt64 { UInt64(bitPattern: -error.rawValue) }

    /// The queue that a waiting thread is in; nil when it waits for a reply.
    func queue(of thread: ThreadPointer) -> UnsafeMutablePointer<ThreadQueue>? {
        let object = thread.pointee.waitObject
        switch thread.pointee.state {
        case .waitingNotification:
            return body(object, as: Notification.self).map {
                withUnsafeMutablePointer(to: &$0.pointee.waiters) { $0 }
            }
        case .waitingReceiver:
            return body(object, as: Connection.self).map {
                withUnsafeMutablePointer(to: &$0.pointee.callers) { $0 }
            }
        case .waitingCaller:
            return body(object, as: Connection.self).map {
                withUnsafeMutablePointer(to: &$0.pointee.receivers) { $0 }
            }
        case .ready, .waitingReply, .dead: return nil
        }
    }

    mutating func wakeSleepers(_ time: UInt64) {
        while let thread = sleepers.earliest, thread.pointee.deadline <= time {
            queue(of: thread)?.pointee.remove(thread)
            wake(thread, result: encode(.timedOut))
        }
    }
}
