import CPersistentMemory
import PersistentMemory

/// Which object is mapped where.
extension ObjectSpace {
    var entries: Int {
        get throws {
            let word = region.load(ControlLayout.count)
            guard let count = CheckedWord.decode(word, at: ControlLayout.count),
                count < layout.slots
            else { throw ObjectError.damagedSpace("the directory's count fails its check") }
            return Int(count)
        }
    }

    private func directoryEntry(_ slot: Int) throws(ObjectError) -> (ObjectID, UInt64) {
        let words = (0..<4).map { region.load(ControlLayout.entry(slot) + UInt64($0) * 8) }
        let id = ObjectID(high: words[1], low: words[0])
        guard words == ControlLayout.encode(id, words[2], slot: slot),
            ObjectLayout.isCapacity(words[2])
        else { throw .damagedSpace("entry \(slot) of its directory fails its checksum") }
        return (id, words[2])
    }

    /// Maps all that the directory names: a record of the log may lead there. An object that is gone
    /// is in no record that matters, but may be in an older one: memory takes its place.
    func mapDirectory() throws {
        pm_lock(&mapLock)
        defer { pm_unlock(&mapLock) }
        let count = try entries
        for slot in stride(from: 1, through: count, by: 1) where capacities[slot] == 0 {
            let (id, capacity) = try directoryEntry(slot)
            if try store.capacity(of: id) == capacity {
                try map(id, at: slot, capacity)
            } else {
                try store.mapNothing(slot, capacity: capacity)
                capacities[slot] = capacity
            }
        }
    }

    private func map(_ id: ObjectID, at slot: Int, _ capacity: UInt64) throws {
        let isImmutable = try store.isReadOnly(id)
        try store.map(id, at: slot, capacity: capacity, writable: !isImmutable)
        try clearTranslations(slot)
        capacities[slot] = capacity
        identifiers[slot] = id
        slotOf[id] = slot
        if isImmutable { readOnly.insert(slot) } else { readOnly.remove(slot) }
        entriesInUse[slot] = 0
    }

    /// The slot of an object, mapping it if it is not. Does not look into it.
    func slot(of id: ObjectID, creating: UInt64? = nil) throws -> Int {
        guard !isClosed else { throw ObjectError.closed }
        pm_lock(&mapLock)
        defer { pm_unlock(&mapLock) }
        if let known = slotOf[id] { return known }
        members?.take(.directory)
        defer { members?.give(.directory) }
        let count = try entries
        // Another process may have put it into the directory.
        for slot in stride(from: 1, through: count, by: 1) {
            let at = ControlLayout.entry(slot)
            guard region.load(at) == id.low, region.load(at + 8) == id.high else { continue }
            guard capacities[slot] == 0 else { continue }
            let (_, capacity) = try directoryEntry(slot)
            guard try store.capacity(of: id) == capacity else { throw ObjectError.noObject(id: id) }
            try map(id, at: slot, capacity)
            return slot
        }
        if let creating {
            try store.create(id, capacity: creating)
        }
        guard let capacity = try store.capacity(of: id) else { throw ObjectError.noObject(id: id) }
        guard ObjectLayout.isCapacity(capacity) else {
            throw ObjectError.damaged(id: id, "its file has \(capacity) bytes")
        }
        guard count + 1 < Int(layout.slots) else {
            throw ObjectError.tooManyObjects(limit: Int(layout.slots) - 1)
        }
        let slot = count + 1
        let at = ControlLayout.entry(slot)
        for (index, word) in ControlLayout.encode(id, capacity, slot: slot).enumerated() {
            region.store(word, at: at + UInt64(index) * 8)
        }
        region.flush(at, 32)
        region.fence()
        region.storeDurably(
            CheckedWord.encode(UInt64(slot), at: ControlLayout.count), at: ControlLayout.count)
        if capacities[slot] != 0 { forget(slot) }
        try map(id, at: slot, capacity)
        return slot
    }

    func start(_ slot: Int) -> UInt64 { UInt64(slot) << ObjectLayout.slotShift }

    /// The fixed part of a mapped object's metadata, checked against its ID.
    func header(_ slot: Int, _ id: ObjectID) throws -> ObjectHeader {
        let at = start(slot) + capacities[slot] - ObjectLayout.pageBytes
        let words = (0..<ObjectHeader.words).map { region.load(at + UInt64($0) * 8) }
        let header = try ObjectHeader(words, of: id)
        guard header.capacity == capacities[slot] else {
            throw ObjectError.damaged(
                id: id, "its file has \(capacities[slot]) bytes, its header says \(header.capacity)")
        }
        let computed = identity(slot, header)
        guard computed == id else { throw ObjectError.wrongIdentity(id: id, computed: computed) }
        return header
    }

    /// The ID that an object's parts add up to.
    func identity(_ slot: Int, _ header: ObjectHeader) -> ObjectID {
        var contents: [UnsafeRawBufferPointer] = []
        var table: [UInt64] = []
        if header.flags.contains(.immutable) {
            let at = region.base + Int(start(slot))
            let end = region.load(metadata(slot) + ObjectLayout.Word.dataEnd) & CheckedWord.mask
            let length = min(end, header.capacity)
            let first = Int(ObjectLayout.base)
            contents = [
                UnsafeRawBufferPointer(start: at + first, count: max(0, Int(length) - first))
            ]
            table = tableContents(slot)
        }
        return table.withUnsafeBytes { table in
            ObjectID(
                nonce: header.nonce, key: header.key, flags: header.flags.rawValue,
                contents: contents + [table])
        }
    }

    func metadata(_ slot: Int) -> UInt64 {
        start(slot) + capacities[slot] - ObjectLayout.pageBytes
    }

    /// A checked word of an object's metadata, as the last transaction left it.
    func word(_ slot: Int, _ place: UInt64) throws -> UInt64 {
        guard let value = CheckedWord.decode(region.load(metadata(slot) + place), at: place) else {
            throw ObjectError.damaged(
                id: identifiers[slot] ?? .none, "the word at \(place) of its metadata fails its check")
        }
        return value
    }

    func state(_ slot: Int) throws -> ObjectState {
        let value = try word(slot, ObjectLayout.Word.state)
        guard let state = ObjectState(rawValue: value) else {
            throw ObjectError.damaged(id: identifiers[slot] ?? .none, "it is in state \(value)")
        }
        return state
    }
}
