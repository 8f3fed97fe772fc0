import ABI

/// Pages that a decommit made holes of, whose old frames are given back when the hole is committed.
struct DeferredHoles {
    struct Hole {
        var pmo: ObjectID
        var page: UInt64
    }
    private let entries: UnsafeMutablePointer<Hole>
    let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
    }
    func deallocate() { entries.deallocate() }

    var isFull: Bool { count == capacity }

    /// The caller looked at `isFull`.
    mutating func append(_ hole: Hole) {
        precondition(!isFull, "the list of holes is full")
        entries[count] = hole
        count += 1
    }
    subscript(index: Int) -> Hole { entries[index] }
    mutating func removeAll() { count = 0 }
}
