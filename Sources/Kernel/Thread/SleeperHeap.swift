/// Threads that wait with a deadline, earliest first: a binary heap with each thread's place noted
/// in the thread.
struct SleeperHeap {
    private let heap: UnsafeMutablePointer<ThreadPointer>
    private(set) var count = 0

    init(capacity: Int) { heap = .allocate(capacity: capacity) }
    func deallocate() { heap.deallocate() }

    var earliest: ThreadPointer? { count == 0 ? nil : heap[0] }

    mutating func insert(_ thread: ThreadPointer) {
        assert(thread.pointee.sleepIndex < 0, "a thread sleeps twice")
        assert(thread.pointee.deadline != .max, "a sleep without an end")
        heap[count] = thread
        count += 1
        siftUp(count - 1)
    }

    mutating func remove(_ thread: ThreadPointer) {
        let index = thread.pointee.sleepIndex
        if index < 0 { return }
        assert(index < count && heap[index] == thread, "a sleeper is not where it says")
        thread.pointee.sleepIndex = -1
        count -= 1
        if index == count { return }
        heap[index] = heap[count]
        heap[index].pointee.sleepIndex = index
        siftUp(index)
        siftDown(heap[index].pointee.sleepIndex)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        let thread = heap[index]
        while index > 0 {
            let parent = (index - 1) / 2
            if heap[parent].pointee.deadline <= thread.pointee.deadline { break }
            place(heap[parent], at: index)
            index = parent
        }
        place(thread, at: index)
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        let thread = heap[index]
        while true {
            var child = 2 * index + 1
            if child >= count { break }
            if child + 1 < count, heap[child + 1].pointee.deadline < heap[child].pointee.deadline {
                child += 1
            }
            if thread.pointee.deadline <= heap[child].pointee.deadline { break }
            place(heap[child], at: index)
            index = child
        }
        place(thread, at: index)
    }

    private func place(_ thread: ThreadPointer, at index: Int) {
        heap[index] = thread
        thread.pointee.sleepIndex = index
    }
}
