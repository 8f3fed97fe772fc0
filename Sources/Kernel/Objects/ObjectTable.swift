import ABI
import Store

/// All objects by record index: one array for each record class, and the list of those changed
/// since the last commit.
struct ObjectTable {
    static let smallCapacity = 1 << 17
    static let largeCapacity = 1 << 14

    private let small: UnsafeMutablePointer<ObjectHeader>
    private let large: UnsafeMutablePointer<ObjectHeader>
    private let freeSmall: UnsafeMutablePointer<UInt32>
    private let freeLarge: UnsafeMutablePointer<UInt32>
    private var freeSmallCount = 0
    private var freeLargeCount = 0
    /// Indices (without class bit) below these were ever used.
    var highSmall: UInt32 = 1
    var highLarge: UInt32 = 0
    let smallCapacity: Int
    let largeCapacity: Int
    let dirty: UnsafeMutablePointer<UInt32>
    private(set) var dirtyCount = 0
    private(set) var used = 0

    init(smallCapacity: Int, largeCapacity: Int) {
        self.smallCapacity = smallCapacity
        self.largeCapacity = largeCapacity
        small = .allocate(capacity: smallCapacity)
        small.initialize(repeating: ObjectHeader(), count: smallCapacity)
        large = .allocate(capacity: largeCapacity)
        large.initialize(repeating: ObjectHeader(), count: largeCapacity)
        freeSmall = .allocate(capacity: smallCapacity)
        freeLarge = .allocate(capacity: largeCapacity)
        dirty = .allocate(capacity: smallCapacity + largeCapacity)
    }

    func deallocate() {
        small.deallocate()
        large.deallocate()
        freeSmall.deallocate()
        freeLarge.deallocate()
        dirty.deallocate()
    }

    func header(_ index: UInt32) -> UnsafeMutablePointer<ObjectHeader> {
        RecordClass.isLarge(index) ? large + Int(index & ~RecordClass.largeBit) : small + Int(index)
    }

    func isInRange(_ index: UInt32) -> Bool {
        RecordClass.isLarge(index)
            ? Int(index & ~RecordClass.largeBit) < largeCapacity : Int(index) < smallCapacity
    }

    /// The header of a live object, or nil when the identity is stale.
    func live(_ id: ObjectID) -> UnsafeMutablePointer<ObjectHeader>? {
        guard isInRange(id.index) else { return nil }
        let found = header(id.index)
        return found.pointee.generation == id.generation && found.pointee.kind != .none
            ? found : nil
    }

    /// The body of a live object of a type, or nil when the identity is stale or of another kind.
    func body<Body: KernelObject>(
        _ id: ObjectID, as type: Body.Type
    ) -> UnsafeMutablePointer<Body>? {
        live(id)?.pointee.body(as: type)
    }

    /// Visits the bodies of one type, in the order of their records.
    func forEach<Body: KernelObject>(
        _ type: Body.Type, _ visit: (UnsafeMutablePointer<Body>) -> Void
    ) {
        forEachHeader { _, header in
            if let body = header.pointee.body(as: type) { visit(body) }
        }
    }

    /// Visits the headers of all records that were ever used, small ones first.
    func forEachHeader(_ visit: (UInt32, UnsafeMutablePointer<ObjectHeader>) -> Void) {
        for number in 0..<highSmall { visit(number, small + Int(number)) }
        for number in 0..<highLarge {
            visit(number | RecordClass.largeBit, large + Int(number))
        }
    }

    /// Takes an index for a new object; the body is attached by `attach`. Nil when the class is
    /// used up.
    mutating func take(large isLarge: Bool) -> UInt32? {
        if isLarge {
            if freeLargeCount > 0 {
                freeLargeCount -= 1
                return freeLarge[freeLargeCount]
            }
            if Int(highLarge) >= largeCapacity { return nil }
            highLarge += 1
            return (highLarge - 1) | RecordClass.largeBit
        }
        if freeSmallCount > 0 {
            freeSmallCount -= 1
            return freeSmall[freeSmallCount]
        }
        if Int(highSmall) >= smallCapacity { return nil }
        highSmall += 1
        return highSmall - 1
    }

    /// The identity that the next object at an index will have.
    func nextIdentity(_ index: UInt32) -> ObjectID {
        ObjectID(index: index, generation: (header(index).pointee.generation &+ 1) & 0xFF_FFFF)
    }

    /// Gives a taken index its object.
    mutating func attach<Body: KernelObject>(
        _ kind: ObjectKind, _ body: UnsafeMutablePointer<Body>
    ) {
        let id = body.pointee.id
        let place = header(id.index)
        assert(!place.pointee.hasBody, "an index has two objects")
        assert(id.generation >= place.pointee.generation || id.generation == 0, "an old identity")
        place.pointee.kind = kind
        place.pointee.generation = id.generation
        place.pointee.setBody(body)
        place.pointee.references = 0
        place.pointee.firstCapability = .none
        place.pointee.isDying = false
        used += 1
    }

    mutating func markDirty(_ index: UInt32) {
        let place = header(index)
        if place.pointee.isDirty { return }
        assert(isInRange(index), "no such object")
        place.pointee.isDirty = true
        dirty[dirtyCount] = index
        dirtyCount += 1
    }

    mutating func clearDirty() { dirtyCount = 0 }

    /// The object is gone and nothing on NVM needs its index: it may be used again.
    mutating func giveBack(_ index: UInt32) {
        let place = header(index)
        assert(place.pointee.references == 0, "an object that is referred to is given back")
        assert(!place.pointee.wasCommitted, "a record that a version needs is given back")
        assert(used > 0, "more objects are given back than there were")
        place.pointee.kind = .none
        place.pointee.clearBody()
        place.pointee.isDying = false
        used -= 1
        putFree(index)
    }

    mutating func putFree(_ index: UInt32) {
        if RecordClass.isLarge(index) {
            freeLarge[freeLargeCount] = index
            freeLargeCount += 1
        } else {
            freeSmall[freeSmallCount] = index
            freeSmallCount += 1
        }
    }
}

/// Finds PMO page trees for the frame allocator: live PMOs, and dying ones until they are reaped.
struct PageTreeLookup: PageTreeOwners {
    let objects: UnsafeMutablePointer<ObjectTable>
    func pageTree(of owner: ObjectID) -> PageTree? {
        objects.pointee.body(owner, as: PhysicalMemoryObject.self)?.pointee.tree
    }
}
