/// Bodies of one kind of object at stable addresses, all allocated at boot.
struct Pool<Body> {
    private let base: UnsafeMutablePointer<Body>
    private let freeList: UnsafeMutablePointer<UInt32>
    private(set) var freeCount: Int
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
        freeList = .allocate(capacity: capacity)
        freeCount = capacity
        for index in 0..<capacity { freeList[index] = UInt32(capacity - 1 - index) }
    }

    /// A place for one body, or nil when the pool is used up.
    mutating func allocate(_ body: consuming Body) -> UnsafeMutablePointer<Body>? {
        if freeCount == 0 { return nil }
        freeCount -= 1
        let place = base + Int(freeList[freeCount])
        place.initialize(to: body)
        return place
    }

    mutating func free(_ place: UnsafeMutablePointer<Body>) {
        assert(place >= base && place < base + capacity, "a body of another pool")
        assert(freeCount < capacity, "a body is freed twice")
        place.deinitialize(count: 1)
        freeList[freeCount] = UInt32(place - base)
        freeCount += 1
    }

    func deallocate() {
        base.deallocate()
        freeList.deallocate()
    }
}
