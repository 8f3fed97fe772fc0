/// First in, first out, through the threads' own links. A thread is in at most one queue.
struct ThreadQueue {
    private(set) var first: ThreadPointer?
    private(set) var last: ThreadPointer?
    var isEmpty: Bool { first == nil }

    mutating func append(_ thread: ThreadPointer) {
        assert(!thread.pointee.isQueued, "a thread is in two queues")
        thread.pointee.next = nil
        thread.pointee.previous = last
        thread.pointee.isQueued = true
        if let last { last.pointee.next = thread } else { first = thread }
        last = thread
    }

    mutating func remove(_ thread: ThreadPointer) {
        assert(thread.pointee.isQueued, "a thread is not in the queue")
        assert(
            thread.pointee.previous != nil || first == thread, "a thread is in another queue")
        let next = thread.pointee.next
        let previous = thread.pointee.previous
        if let previous { previous.pointee.next = next } else { first = next }
        if let next { next.pointee.previous = previous } else { last = previous }
        thread.pointee.next = nil
        thread.pointee.previous = nil
        thread.pointee.isQueued = false
    }

    mutating func popFirst() -> ThreadPointer? {
        guard let thread = first else { return nil }
        remove(thread)
        return thread
    }

    /// Puts a waiter back at its place after a restore.
    mutating func insertBySequence(_ thread: ThreadPointer) {
        assert(!thread.pointee.isQueued, "a thread is in two queues")
        var after = last
        while let place = after, place.pointee.waitSequence > thread.pointee.waitSequence {
            after = place.pointee.previous
        }
        guard let place = after else {
            thread.pointee.next = first
            thread.pointee.previous = nil
            thread.pointee.isQueued = true
            if let first { first.pointee.previous = thread } else { last = thread }
            first = thread
            return
        }
        thread.pointee.next = place.pointee.next
        thread.pointee.previous = place
        thread.pointee.isQueued = true
        if let next = place.pointee.next { next.pointee.previous = thread } else { last = thread }
        place.pointee.next = thread
    }
}
