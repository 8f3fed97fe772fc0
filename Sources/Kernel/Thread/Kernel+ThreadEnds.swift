import ABI
import Machine
import Store

/// How threads begin and end.
extension Kernel {
    mutating func makeThread(group: CapGroupPointer, space: VMSpacePointer) throws(NativeError)
        -> ThreadPointer
    {
        let id = try newIdentity(large: true)
        guard let place = threads.allocate(Thread(id: id, group: group, space: space)) else {
            throw noRoom(id)
        }
        attach(.thread, place)
        retain(id)
        retain(group.pointee.id)
        retain(space.pointee.id)
        group.pointee.threadCount += 1
        return place
    }

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
        assert(!thread.pointee.isQueued && thread.pointee.core < 0, "a dead thread is about")
        assert(thread.pointee.peer == nil && thread.pointee.caller == nil, "a call with the dead")
        thread.pointee.state = .dead
        markDirty(thread.pointee.id)
        if let space = thread.pointee.restrictedSpace { release(space.pointee.id) }
        thread.pointee.restrictedSpace = nil
        let group = thread.pointee.group
        assert(group.pointee.threadCount > 0, "a thread of no group")
        group.pointee.threadCount -= 1
        let isRoot = group == rootGroup
        if group.pointee.threadCount == 0 && !isRoot { killGroup(group) }
        release(thread.pointee.space.pointee.id)
        release(group.pointee.id)
        thread.pointee.group = nowhere.group
        thread.pointee.space = nowhere.space
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

    func thread(number: UInt32) -> ThreadPointer? {
        objects.pointee.header(number | RecordClass.largeBit).pointee.body(as: Thread.self)
    }
}
