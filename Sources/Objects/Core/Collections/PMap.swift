import PersistentMemory

/// A hash map that an object holds: a field of 24 bytes, and a table in a cell of the same object.
///
/// Table: slots of {hash word, key, value}; the hash word is 0 for an empty slot, 1 where a key was
/// removed, else the hash with bit 1 set. Linear probing; at most three quarters are not empty.
public struct PMap<Key: ObjectKey, Value: Persistable>: Persistable {
    /// Offset of the table in the object; 0: none yet. Its slots are a power of two.
    var table: UInt64
    var count: UInt32
    /// Slots that are not empty.
    var used: UInt32
    var shift: UInt64

    public init() { (table, count, used, shift) = (0, 0, 0, 0) }

    public typealias Viewed = Self
    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            var hash = Fingerprint()
            hash.add(Key.persistentLayout.fingerprint)
            hash.add(Value.persistentLayout.fingerprint)
            return TypeLayout(
                name: "PMap<\(Key.persistentLayout.name), \(Value.persistentLayout.name)>", size: 24,
                stride: 24, alignment: 8,
                fields: [
                    FieldLayout(
                        name: "table", type: "slots", offset: 0, size: 24,
                        typeFingerprint: hash.value)
                ], references: [])
        }
    }
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        throw HeapCodingError.notCodable(type: "PMap", path: "an object's map")
    }
    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        throw HeapCodingError.notCodable(type: "PMap", path: "an object's map")
    }

    // MARK: Layout of a slot

    static func aligned(_ offset: Int, _ alignment: Int) -> Int {
        (offset + alignment - 1) & ~(alignment - 1)
    }
    static var keyOffset: Int { aligned(8, MemoryLayout<Key>.alignment) }
    static var valueOffset: Int {
        aligned(keyOffset + MemoryLayout<Key>.size, MemoryLayout<Value>.alignment)
    }
    static var stride: Int { aligned(valueOffset + MemoryLayout<Value>.size, 8) }
    static func mark(_ key: Key.Lookup) -> UInt64 { Key.hash(key) | 2 }
}

/// A map as a reader or a transaction sees it.
public struct PMapReading<Key: ObjectKey, Value: Persistable> {
    let place: Ref<PMap<Key, Value>>

    /// Where a slot of the table lies.
    func slot(_ index: Int, _ map: PMap<Key, Value>) -> UInt64 {
        place.address & ~ObjectLayout.slotMask + map.table
            + UInt64(index * PMap<Key, Value>.stride)
    }

    /// The slot of a key: where it is, or nil.
    func find<Reader: ObjectReading & ~Copyable>(_ key: Key.Lookup, in reader: borrowing Reader)
        throws -> UInt64?
    {
        let map = reader[place]
        guard map.table != 0 else { return nil }
        try check(map, reader.space)
        let mask = 1 << Int(map.shift) - 1
        let mark = PMap<Key, Value>.mark(key)
        var index = Int(truncatingIfNeeded: mark >> 20) & mask
        for _ in 0...mask {
            let at = slot(index, map)
            let word: UInt64 = reader.load(at)
            if word == 0 { return nil }
            if word == mark {
                let stored = Ref<Key>(address: at + UInt64(PMap<Key, Value>.keyOffset))
                if try reader[stored].isEqual(to: key, in: reader, stored) { return at }
            }
            index = (index + 1) & mask
        }
        return nil
    }

    func check(_ map: PMap<Key, Value>, _ space: ObjectSpace) throws {
        guard map.shift <= 30 else {
            throw ObjectError.damaged(
                id: space.identifiers[place.slot] ?? .none, "a map claims 2^\(map.shift) slots")
        }
        try space.checkRange(
            place.slot, map.table, PMap<Key, Value>.stride << Int(map.shift))
    }

    func value(_ slot: UInt64) -> Ref<Value> {
        Ref(address: slot + UInt64(PMap<Key, Value>.valueOffset))
    }
}

extension ObjectReading where Self: ~Copyable {
    /// Where the value of a key lies in a map; nil if the key is not there.
    public func find<Key, Value>(_ key: Key.Lookup, in map: Ref<PMap<Key, Value>>) throws -> Ref<
        Value
    >? {
        let reading = PMapReading(place: map)
        return try reading.find(key, in: self).map { reading.value($0) }
    }

    /// Bytes that a map's table takes.
    package func tableBytes<Key, Value>(_ map: Ref<PMap<Key, Value>>) -> Int {
        let map = self[map]
        return map.table == 0 ? 0 : cellBytes(PMap<Key, Value>.stride << Int(map.shift))
    }

    public func count<Key, Value>(_ map: Ref<PMap<Key, Value>>) -> Int { Int(self[map].count) }

    /// Calls `body` with each key and where its value lies, in no order.
    public func forEach<Key, Value>(
        _ map: Ref<PMap<Key, Value>>, _ body: (Key.Lookup, Ref<Value>) throws -> Void
    ) throws {
        let reading = PMapReading(place: map)
        let stored = self[map]
        guard stored.table != 0 else { return }
        try reading.check(stored, space)
        for index in 0..<1 << Int(stored.shift) {
            let at = reading.slot(index, stored)
            let mark: UInt64 = load(at)
            guard mark & 2 != 0 else { continue }
            let key = Ref<Key>(address: at + UInt64(PMap<Key, Value>.keyOffset))
            try body(try self[key].lookup(in: self, key), reading.value(at))
        }
    }
}

extension ObjectTransaction {
    /// Sets the value of a key.
    public func put<Key, Value>(_ key: Key.Lookup, _ value: Value, in place: Ref<PMap<Key, Value>>)
        throws
    {
        let reading = PMapReading(place: place)
        checkWritable(place.slot)
        if let found = try reading.find(key, in: self) { return set(reading.value(found), value) }
        var map = self[place]
        if map.table == 0 || (Int(map.used) + 1) * 4 > 3 << Int(map.shift) {
            map = try grow(map, place)
        }
        let stored = try Key.stored(key, in: self, place)
        if insert(PMap<Key, Value>.mark(key), stored, value, map, place) { map.used += 1 }
        map.count += 1
        set(place, map)
    }

    /// Puts a new key into the first place that is free; true if it was never used.
    private func insert<Key, Value>(
        _ mark: UInt64, _ key: Key, _ value: Value, _ map: PMap<Key, Value>,
        _ place: Ref<PMap<Key, Value>>
    ) -> Bool {
        let reading = PMapReading(place: place)
        let mask = 1 << Int(map.shift) - 1
        var index = Int(truncatingIfNeeded: mark >> 20) & mask
        while true {
            let at = reading.slot(index, map)
            let word: UInt64 = load(at)
            if word < 2 {
                lane.store(mark, at: at)
                lane.store(key, at: at + UInt64(PMap<Key, Value>.keyOffset))
                lane.store(value, at: at + UInt64(PMap<Key, Value>.valueOffset))
                return word == 0
            }
            index = (index + 1) & mask
        }
    }

    private func grow<Key, Value>(_ old: PMap<Key, Value>, _ place: Ref<PMap<Key, Value>>) throws
        -> PMap<Key, Value>
    {
        var new = old
        new.shift = 3
        while Int(old.count) * 2 >= 1 << Int(new.shift) { new.shift += 1 }
        let bytes = PMap<Key, Value>.stride << Int(new.shift)
        let address = try allocate(bytes, in: place.slot)
        new.table = address & ObjectLayout.slotMask
        new.used = old.count
        for offset in stride(from: UInt64(0), to: UInt64(bytes), by: 8) {
            lane.store(UInt64(0), at: address + offset)
        }
        guard old.table != 0 else { return new }
        let reading = PMapReading(place: place)
        try reading.check(old, space)
        for index in 0..<1 << Int(old.shift) {
            let at = reading.slot(index, old)
            let mark: UInt64 = load(at)
            guard mark & 2 != 0 else { continue }
            let key: Key = load(at + UInt64(PMap<Key, Value>.keyOffset))
            _ = insert(mark, key, load(at + UInt64(PMap<Key, Value>.valueOffset)), new, place)
        }
        try free(reading.slot(0, old), PMap<Key, Value>.stride << Int(old.shift))
        return new
    }

    /// Removes a key; false if it was not there.
    @discardableResult
    public func remove<Key, Value>(_ key: Key.Lookup, from place: Ref<PMap<Key, Value>>) throws
        -> Bool
    {
        let reading = PMapReading(place: place)
        checkWritable(place.slot)
        guard let at = try reading.find(key, in: self) else { return false }
        let stored: Key = load(at + UInt64(PMap<Key, Value>.keyOffset))
        try stored.discard(in: self, place)
        lane.store(UInt64(1), at: at)
        var map = self[place]
        map.count -= 1
        set(place, map)
        return true
    }
}
