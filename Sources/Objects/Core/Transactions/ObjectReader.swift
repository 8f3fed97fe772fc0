import PersistentMemory

/// What can read objects: a transaction, as it sees its own stores, and a reader outside of one.
public protocol ObjectReading: ~Copyable {
    var space: ObjectSpace { get }
    /// Loads a value whose bytes were checked to lie in an object.
    func load<T: BitwiseCopyable>(_ address: UInt64) -> T
    /// Copies bytes out.
    func copy(_ address: UInt64, _ count: Int, into target: UnsafeMutableRawPointer)
}

extension ObjectReading where Self: ~Copyable {
    /// The value at a place.
    @inlinable
    public subscript<T: Persistable>(_ place: Ref<T>) -> T { load(place.address) }

    /// The root value of an object.
    @inlinable public subscript<T: Persistable>(_ object: PObject<T>) -> T { self[object.root] }

    /// Where the pointer in a field leads. The field lies in the object that holds the pointer.
    ///
    /// Throws if the pointer is null, its entry is not valid, nothing answers for a name, or the
    /// target does not lie in its object.
    public func follow<T: Persistable>(_ field: Ref<ObjectPointer<T>?>) throws -> Ref<T> {
        let word: UInt64 = load(field.address)
        let target = try space.target(of: word, heldAt: field.address)
        let slot = Int(target >> ObjectLayout.slotShift)
        try space.checkRange(slot, target & ObjectLayout.slotMask, MemoryLayout<T>.size)
        return Ref(address: target)
    }

    public func follow<T: Persistable>(_ field: Ref<ObjectPointer<T>>) throws -> Ref<T> {
        try follow(Ref<ObjectPointer<T>?>(address: field.address))
    }

    /// The same for a field that may be nil.
    public func followIfAny<T: Persistable>(_ field: Ref<ObjectPointer<T>?>) throws -> Ref<T>? {
        let word: UInt64 = load(field.address)
        return word == 0 ? nil : try follow(field)
    }
}

/// Reads a space while no transaction publishes.
public struct ObjectReader: ObjectReading {
    public let space: ObjectSpace
    @usableFromInline let base: UnsafeMutableRawPointer

    init(_ space: ObjectSpace) {
        self.space = space
        base = space.region.base
    }

    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ address: UInt64) -> T {
        (base + Int(truncatingIfNeeded: address)).assumingMemoryBound(to: T.self).pointee
    }

    public func copy(_ address: UInt64, _ count: Int, into target: UnsafeMutableRawPointer) {
        target.copyMemory(from: base + Int(address), byteCount: count)
    }

    /// Where a value lies in memory, for code that follows pointers by `ObjectPointer.resolve`.
    @inlinable public func pointer<T>(_ place: Ref<T>) -> UnsafePointer<T> {
        UnsafePointer((base + Int(place.address)).assumingMemoryBound(to: T.self))
    }
}

extension ObjectSpace {
    /// Reads a state that no transaction is changing: what the last one to commit left, in all
    /// objects. Readers run beside each other; a transaction that commits waits for them. A
    /// transaction must not be begun in here.
    public func read<R>(_ body: (ObjectReader) throws -> R) throws -> R {
        if isOwner { return try body(ObjectReader(self)) }
        guard let members else {
            try lockForWriting()
            defer { unlock() }
            return try body(ObjectReader(self))
        }
        try members.enter {
            try lockForWriting()
            unlock()
        }
        defer { members.leaveReading() }
        try noticeReclaims()
        return try body(ObjectReader(self))
    }
}
