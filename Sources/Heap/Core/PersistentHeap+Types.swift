import CPersistentMemory
import PersistentMemory

/// The types this heap knows, by name.
struct TypeRegistry {
    var records: [Int: TypeRecord] = [:]
    var offsets: [Int: UInt64] = [:]
    var numbers: [String: Int] = [:]
    var next = BuiltInType.first

    static func key(_ name: String, isArray: Bool) -> String { isArray ? "[\(name)]" : name }
}

extension PersistentHeap {
    /// The number of a type in this heap; the type is added if the heap has not met it.
    @inlinable @inline(__always)
    func number(of layout: TypeLayout) throws -> Int {
        let number = layout.processNumber
        if number < 4096, state.pointee.numbers[number] != 0 {
            return Int(state.pointee.numbers[number])
        }
        return try register(layout, isArray: false)
    }

    /// The number of the buffers that hold many values of a type.
    @inlinable
    func arrayNumber(of layout: TypeLayout) throws -> Int {
        let number = layout.processNumber
        if number < 4096, state.pointee.arrayNumbers[number] != 0 {
            return Int(state.pointee.arrayNumbers[number])
        }
        return try register(layout, isArray: true)
    }

    @usableFromInline @inline(never)
    func register(_ layout: TypeLayout, isArray: Bool) throws -> Int {
        guard layout.processNumber < HeapFormat.maximumTypes else {
            throw HeapError.tooManyTypes(limit: HeapFormat.maximumTypes)
        }
        // A new record retires the transactions' lane: none may be running but this thread's own.
        let isOwner = state.pointee.owner == pm_thread_id()
        if state.pointee.isSerial, !isOwner { lockSerial() }
        defer { if state.pointee.isSerial, !isOwner { unlockSerial() } }
        let number = try registry.withLock { registry in
            let key = TypeRegistry.key(layout.name, isArray: isArray)
            if let known = registry.numbers[key] {
                try check(layout, against: registry.records[known])
                return known
            }
            return try add(
                TypeRecord(number: registry.next, layout: layout, isArray: isArray), to: &registry)
        }
        let table = isArray ? state.pointee.arrayNumbers : state.pointee.numbers
        table[layout.processNumber] = UInt16(number)
        return number
    }

    private func check(_ layout: TypeLayout, against record: TypeRecord?) throws {
        guard let record, record.fingerprint != layout.fingerprint else { return }
        throw HeapError.changedLayout(
            type: layout.name, stored: record.text, current: TypeRecord.describe(layout))
    }

    /// Writes the record and links it in, in the heap's own lane: it stays even if the running
    /// transaction aborts.
    func add(_ record: TypeRecord, to registry: inout TypeRegistry) throws -> Int {
        guard record.number < HeapFormat.maximumTypes else {
            throw HeapError.tooManyTypes(limit: HeapFormat.maximumTypes)
        }
        // The record is stored without a redo block: no older one may be replayed over its cell.
        if state.pointee.isSerial { state.pointee.serialLane.retire() }
        let words = record.encoded()
        let offset = try allocateCell(type: TypeRecord.typeNumber, bytes: 8 + words.count * 8)
        let link = geometry.anchor + HeapFormat.typeListWord * 8
        let lane = lanes[0]
        lane.begin(.undo)
        region.store(region.load(link), at: offset)
        for (index, word) in words.enumerated() {
            region.store(word, at: offset + UInt64(8 + index * 8))
        }
        lane.addFresh(offset, 8 + words.count * 8)
        lane.store(offset, at: link)
        try lane.commit()
        adopt(record, at: offset, in: &registry)
        return record.number
    }

    func adopt(_ record: TypeRecord, at offset: UInt64, in registry: inout TypeRegistry) {
        registry.records[record.number] = record
        registry.offsets[record.number] = offset
        let key = TypeRegistry.key(record.name, isArray: record.isArray)
        // The list is newest first: after a migration the older record of a name describes nothing
        // any more.
        if registry.numbers[key] == nil || registry.numbers[key] ?? 0 < record.number {
            registry.numbers[key] = record.number
        }
        registry.next = max(registry.next, record.number + 1)
        state.pointee.types[record.number] = TypeState(record)
        state.pointee.allocator.typeCount = max(
            state.pointee.allocator.typeCount, record.number + 1)
    }

    /// Reads the type list. Bounded by the number of types, so that a damaged list cannot run in a
    /// circle.
    func loadTypes() throws {
        let limit = header.withLock { $0.committedBytes }
        try registry.withLock { registry in
            var at = region.load(geometry.anchor + HeapFormat.typeListWord * 8)
            var count = 0
            while at != 0 {
                let record = try TypeRecord(region: region, at: at, limit: limit)
                guard record.number < HeapFormat.maximumTypes, count < HeapFormat.maximumTypes
                else {
                    throw HeapError.damagedRecord(detail: "type list is too long")
                }
                adopt(record, at: at, in: &registry)
                at = region.load(at)
                count += 1
            }
        }
    }

    /// Names and descriptions of the types in the heap, in order of their numbers.
    public var storedTypes: [(number: Int, name: String, fields: String)] {
        registry.withLock { registry in
            registry.records.values.sorted { $0.number < $1.number }.map {
                ($0.number, $0.isArray ? "[\($0.name)]" : $0.name, $0.text)
            }
        }
    }
}
