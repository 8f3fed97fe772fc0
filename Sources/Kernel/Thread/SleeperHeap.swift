/// Threads that wait with a deadline, earliest first: a binary heap with each thread's place noted
/// in the thread.
struct SleeperHeap {
    private let heap: UnsafeMutablePointer<ThreadPointer>
    private(set) var count = 0

    init(capacity: Int) { heap = .allocate(capacity: capacity) }
    func deallocate() { heap.deallocate() }

    var earliest: ThreadPointer? { count == 0 ? nil : heap[0] }

    mutating func insert(_ thread: ThreadPointer) {
        heap[count] = thread
        count += 1
        siftUp(count - 1)
    }

    mutating func remove(_ thread: ThreadPointer) {
        let index = thread.pointee.sleepIndex
        if index < 0 { return }
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

/// Pages that a decommit made holes of, whose old frames are given back when the hole is committed.
struct DeferredHoles {
    private let entries: UnsafeMutablePointer<(pmo: UInt32, generation: UInt32, page: UInt64)>
    let capacity: Int
    private(set) var count = 0
    init(capacity: Int) {
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
    }
    func deallocate() { entries.deallocate() }
    var isFull: Bool { count == capacity }
    mutating func append(pmo: UInt32, generation: UInt32, page: UInt64) {
        entries[count] = (pmo, generation, page)
        count += 1
    }
    subscript(index: Int) -> (pmo: UInt32, generation: UInt32, page: UInt64) { entries[index] }
    mutating func removeAll() { count = 0 }
}
