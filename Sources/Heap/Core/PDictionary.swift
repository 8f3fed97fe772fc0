import PersistentMemory

/// A type that can be the key of a `PDictionary`: hashed and compared by what it means, not by
/// where it lies.
public protocol PersistentKey: Persistable {
    func persistentHash<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) -> UInt64
    func isEqual<Reader: HeapReading & ~Copyable>(to other: Self, in reader: borrowing Reader)
        -> Bool
}

extension FixedWidthInteger where Self: Persistable {
    @inlinable
    public func persistentHash<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader)
        -> UInt64
    {
        PersistentHash.mix(UInt64(truncatingIfNeeded: self) ^ 0x2545_F491_4F6C_DD1D)
    }
    @inlinable
    public func isEqual<Reader: HeapReading & ~Copyable>(
        to other: Self, in reader: borrowing Reader
    ) -> Bool {
        self == other
    }
}

extension Int: PersistentKey {}
extension UInt64: PersistentKey {}
extension Int64: PersistentKey {}
extension UInt32: PersistentKey {}

extension PString: PersistentKey {
    @inlinable
    public func persistentHash<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader)
        -> UInt64
    {
        withBytes(in: reader) { PString.hash($0) }
    }
    @inlinable
    public func isEqual<Reader: HeapReading & ~Copyable>(
        to other: Self, in reader: borrowing Reader
    ) -> Bool {
        withBytes(in: reader) { a in other.withBytes(in: reader) { b in PString.equal(a, b) } }
    }
}

/// One place of a dictionary's table. The tag is 0 for free, 1 for removed, else the hash with bit
/// 1 set.
@usableFromInline struct PDictionarySlot<Key: PersistentKey, Value: Persistable>: Persistable {
    @usableFromInline var tag: UInt64
    @usableFromInline var key: Key
    @usableFromInline var value: Value

    @inlinable init(tag: UInt64, key: Key, value: Value) {
        self.tag = tag
        self.key = key
        self.value = value
    }

    @inlinable @inline(__always) static var keyOffset: Int {
        persistentFieldOffset(after: 8, alignment: MemoryLayout<Key>.alignment)
    }
    @inlinable @inline(__always) static var valueOffset: Int {
        persistentFieldOffset(
            after: keyOffset &+ MemoryLayout<Key>.size, alignment: MemoryLayout<Value>.alignment)
    }

    @usableFromInline static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let name = "slot<\(Key.persistentLayout.name), \(Value.persistentLayout.name)>"
            return TypeLayout(
                structure: Self.self, name: name,
                [
                    TypeLayout.Part("tag", UInt64.self, at: 0),
                    TypeLayout.Part("key", Key.self, at: keyOffset),
                    TypeLayout.Part("value", Value.self, at: valueOffset),
                ])
        }
    }
}

/// A hash table as a field of a persistent structure: open addressing in one buffer, linear
/// probing, at most three quarters full; a larger one in buckets (`PDictionary+Buckets`). The hash
/// has no per-process seed, so the table means the same after a restart.
public struct PDictionary<Key: PersistentKey, Value: Persistable>: Persistable {
    @usableFromInline typealias Slot = PDictionarySlot<Key, Value>
    @usableFromInline var table: UInt64 = 0
    @usableFromInline var storedCount: Int = 0
    /// Slots, a power of two; 0 before the first insertion.
    @usableFromInline var capacity: Int = 0
    /// Slots whose tag is not 0.
    @usableFromInline var used: Int = 0

    @inlinable public init() {}

    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let (key, value) = (Key.persistentLayout, Value.persistentLayout)
            return TypeLayout(
                name: "PDictionary<\(key.name), \(value.name)>", size: MemoryLayout<Self>.size,
                stride: MemoryLayout<Self>.stride, alignment: 8, fields: key.fields + value.fields,
                references: [0])
        }
    }

    @inlinable public var count: Int { storedCount }

    @inlinable @inline(__always)
    public func value<Reader: HeapReading & ~Copyable>(forKey key: Key, in reader: borrowing Reader)
        -> Value?
    {
        let slot = find(key.persistentHash(in: reader), in: reader) {
            $0.isEqual(to: key, in: reader)
        }
        return slot == 0 ? nil : value(inSlot: slot, in: reader)
    }

    /// The offset of the slot of a key; 0 if there is none.
    @inlinable @inline(__always)
    func find<Reader: HeapReading & ~Copyable>(
        _ hash: UInt64, in reader: borrowing Reader, matches: (Key) -> Bool
    ) -> UInt64 {
        if capacity == 0 { return 0 }
        if isInBuckets { return findInBuckets(hash, in: reader, matches: matches) }
        if capacity >> 40 != 0 || !reader.holds(table, capacity &* MemoryLayout<Slot>.stride) {
            check(in: reader)
        }
        let mask = capacity &- 1
        let first = Int(truncatingIfNeeded: hash >> 16) & mask
        var index = first
        repeat {
            let slot = table &+ UInt64(truncatingIfNeeded: index &* MemoryLayout<Slot>.stride)
            let tag: UInt64 = reader.loadUnchecked(slot)
            if tag == 0 { return 0 }
            if tag == hash | 2, matches(reader.loadUnchecked(slot &+ UInt64(Slot.keyOffset))) {
                return slot
            }
            index = (index &+ 1) & mask
        } while index != first
        reader.stop(damagedAt: table, "a dictionary's table has no free slot")
    }

    /// Stops the program unless count, capacity and table fit together. Before what walks or
    /// allocates by them.
    @inlinable @inline(never) func check<Reader: HeapReading & ~Copyable>(
        in reader: borrowing Reader
    ) {
        if isInBuckets { return checkBuckets(in: reader) }
        let isSound =
            capacity >= 0 && capacity < 1 << 40 && capacity & (capacity &- 1) == 0
            && storedCount >= 0 && storedCount <= used && used <= capacity
            && reader.holds(table, capacity * MemoryLayout<Slot>.stride)
        if !isSound {
            reader.stop(
                damagedAt: table,
                "a dictionary claims \(storedCount) pairs in \(capacity) slots, \(used) of them used"
            )
        }
    }

    /// Not written in place of its calls: there `load` would be taken to load an optional, whose
    /// tag lies in the slot behind.
    @inlinable @inline(__always)
    func value<Reader: HeapReading & ~Copyable>(inSlot slot: UInt64, in reader: borrowing Reader)
        -> Value
    {
        reader.loadUnchecked(slot &+ UInt64(Slot.valueOffset))
    }

    /// Calls `body` for every pair, in no particular order.
    @inlinable
    public func forEach<Reader: HeapReading & ~Copyable>(
        in reader: borrowing Reader, _ body: (Key, Value) throws -> Void
    ) rethrows {
        check(in: reader)
        var number = filledSlot(from: 0, in: reader)
        while number < endSlot {
            let pair = pair(at: PDictionaryIndex(slot: number), in: reader)
            try body(pair.key, pair.value)
            number = filledSlot(from: number &+ 1, in: reader)
        }
    }
}

extension PDictionary where Key == PString {
    /// The value of a key given as bytes.
    @inlinable
    public func value<Reader: HeapReading & ~Copyable>(
        forBytes bytes: UnsafeRawBufferPointer, in reader: borrowing Reader
    ) -> Value? {
        let slot = find(PString.hash(bytes), in: reader) { key in
            key.withBytes(in: reader) { PString.equal($0, bytes) }
        }
        return slot == 0 ? nil : value(inSlot: slot, in: reader)
    }
}

/// The writable view of a dictionary (`PDictionary`).
public struct PDictionaryEditor<Key: PersistentKey, Value: Persistable> {
    @usableFromInline typealias Slot = PDictionarySlot<Key, Value>
    @usableFromInline let place: FieldAccess

    @inlinable public init(_ place: FieldAccess) { self.place = place }

    /// The dictionary as the transaction sees it.
    @inlinable public var value: PDictionary<Key, Value> { place.get(0) }
    @inlinable public var count: Int { place.get(8) }

    @inlinable var reader: LaneReader { LaneReader(lane: place.location.lane) }

    /// Sets a key's value; returns the one it replaced.
    @inlinable @discardableResult
    public func updateValue(_ value: Value, forKey key: Key) throws -> Value? {
        try place.admitElement(value)
        let hash = key.persistentHash(in: reader)
        let dictionary = self.value
        let slot = dictionary.find(hash, in: reader) { $0.isEqual(to: key, in: reader) }
        let lane = place.location.lane
        if slot != 0 {
            let at = slot &+ UInt64(Slot.valueOffset)
            let old: Value = lane.load(at)
            lane.store(value, at: at)
            return old
        }
        try insert(key, value, hash)
        return nil
    }

    @inlinable func insert(_ key: Key, _ value: Value, _ hash: UInt64) throws {
        self.value.check(in: reader)
        if !self.value.isInBuckets, (self.value.used + 1) * 4 > self.value.capacity * 3 {
            try rehash(room: count + 1)
        }
        let dictionary = self.value
        if dictionary.isInBuckets { return try insertInBuckets(key, value, hash) }
        let lane = place.location.lane
        let first = Int(truncatingIfNeeded: hash >> 16) & (dictionary.capacity - 1)
        var index = first
        repeat {
            let slot = dictionary.table + UInt64(index * MemoryLayout<Slot>.stride)
            let tag: UInt64 = lane.load(slot)
            if tag <= 1 {
                fill(slot, key, value, hash)
                if tag == 0 { place.set(24, dictionary.used + 1) }
                return
            }
            index = (index + 1) & (dictionary.capacity - 1)
        } while index != first
        throw place.heap.damage(dictionary.table, "a dictionary's table has no free slot")
    }

    /// Puts a new pair into a free slot.
    @inlinable @inline(__always)
    func fill(_ slot: UInt64, _ key: Key, _ value: Value, _ hash: UInt64) {
        let lane = place.location.lane
        if lane.state.pointee.mode == .undo {
            lane.announce(slot, MemoryLayout<Slot>.size)
            lane.announce(place.location.offset, MemoryLayout<PDictionary<Key, Value>>.size)
            lane.seal()
        }
        lane.store(hash | 2, at: slot)
        lane.store(key, at: slot + UInt64(Slot.keyOffset))
        lane.store(value, at: slot + UInt64(Slot.valueOffset))
        place.set(8, count + 1)
    }

    /// Removes a key; returns the key as it was stored, and its value.
    @inlinable @discardableResult
    public func removeValue(forKey key: Key) -> (key: Key, value: Value)? {
        remove(
            value.find(key.persistentHash(in: reader), in: reader) {
                $0.isEqual(to: key, in: reader)
            })
    }

    @inlinable func remove(_ slot: UInt64) -> (key: Key, value: Value)? {
        guard slot != 0 else { return nil }
        let lane = place.location.lane
        let old: Slot = lane.load(slot)
        lane.store(UInt64(1), at: slot)
        place.set(8, count - 1)
        return (old.key, old.value)
    }

    /// Makes room for `minimum` pairs without further growth, as far as one buffer of 16 KiB goes. A
    /// larger dictionary grows by buckets, each when it is full: nothing can be reserved.
    @inlinable
    public func reserve(_ minimum: Int) throws {
        value.check(in: reader)
        if value.isInBuckets { return }
        if minimum * 4 > value.capacity * 3 { try rehash(room: minimum) }
    }

    @inlinable public func removeAll() {
        freeAll()
        place.set(0, PDictionary<Key, Value>())
    }

    /// A new table of fitting size: new memory, so nothing of it is logged.
    @inlinable func rehash(room: Int) throws {
        let old = value
        old.check(in: reader)
        var capacity = 8
        while room * 4 > capacity * 3 { capacity *= 2 }
        // Room to grow, unless the old table was only full of removed keys.
        if room * 2 > capacity { capacity *= 2 }
        if capacity * MemoryLayout<Slot>.stride > Stored.mostBufferBytes {
            return try beginBuckets()
        }
        let heap = place.heap
        let stride = MemoryLayout<Slot>.stride
        let table = try heap.allocateBuffer(
            Slot.persistentLayout, bytes: capacity * stride, in: place.location.lane)
        var moved = 0
        for index in 0..<old.capacity {
            let slot: Slot = place.location.lane.load(old.table + UInt64(index * stride))
            guard slot.tag > 1 else { continue }
            moved += 1
            if moved > old.storedCount {
                throw heap.damage(old.table, "a dictionary holds more pairs than it counts")
            }
            var target = Int(truncatingIfNeeded: slot.tag >> 16) & (capacity - 1)
            while heap.region.load(table + UInt64(target * stride)) != 0 {
                target = (target + 1) & (capacity - 1)
            }
            (heap.base + Int(table) + target * stride).storeBytes(of: slot, as: Slot.self)
        }
        var new = old
        new.table = table
        new.capacity = capacity
        new.used = old.storedCount
        place.set(0, new)
        if old.table != 0 { heap.freeLater(old.table) }
    }
}

extension PDictionaryEditor where Key == PString {
    /// The value of a key given as bytes.
    @inlinable public func value(forBytes bytes: UnsafeRawBufferPointer) -> Value? {
        value.value(forBytes: bytes, in: reader)
    }

    @inlinable @discardableResult
    public func removeValue(forBytes bytes: UnsafeRawBufferPointer) -> (key: PString, value: Value)?
    {
        remove(
            value.find(PString.hash(bytes), in: reader) { key in
                key.withBytes(in: reader) { PString.equal($0, bytes) }
            })
    }
}

/// Loads as a lane's transaction sees them, where the transaction itself is not at hand.
public struct LaneReader: HeapReading {
    @usableFromInline let lane: LogLane
    @inlinable init(lane: LogLane) { self.lane = lane }
    @inlinable public var hasFailed: Bool { lane.state.pointee.failure != nil }
    @inlinable public var heapBase: UnsafeRawPointer {
        UnsafeRawPointer(lane.state.pointee.access.base)
    }
    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        lane.load(lane.checked(offset, MemoryLayout<T>.size))
    }
    @inlinable @inline(__always)
    public func loadUnchecked<T: BitwiseCopyable>(_ offset: UInt64) -> T { lane.load(offset) }
    @inlinable public func holds(_ offset: UInt64, _ bytes: Int) -> Bool {
        bytes >= 0 && lane.holds(offset, bytes)
    }
    public func stop(damagedAt offset: UInt64, _ detail: String) -> Never {
        guard let owner = lane.state.pointee.owner else { fatalError(detail) }
        Unmanaged<PersistentHeap>.fromOpaque(owner)._withUnsafeGuaranteedRef {
            $0.damaged(offset, detail)
        }
    }
}
