import CPersistentMemory
import PersistentMemory

/// Named roots: where a program finds its data again. A linked list of records from the anchor.
extension PersistentHeap {
    /// The root of that name, made by `make` if there is none.
    ///
    /// Throws `wrongType` if the name holds another type, `changedLayout` if the type's layout
    /// changed.
    public func root<T: PersistentObject>(
        named name: String, as type: T.Type = T.self, make: () -> T
    ) throws -> PRef<T> {
        if let found = try root(named: name, as: type) { return found }
        return try transaction { tx in
            let object = try tx.new(make())
            try tx.setRoot(named: name, to: object)
            return object
        }
    }

    /// The root of that name; nil if there is none.
    public func root<T: PersistentObject>(named name: String, as type: T.Type = T.self) throws
        -> PRef<T>?
    {
        guard let (_, record) = try findRoot(name, in: self) else { return nil }
        let number = try number(of: T.persistentLayout)
        guard record.type == UInt64(number) else {
            let stored =
                registry.withLock { $0.records[Int(record.type)]?.name } ?? "type \(record.type)"
            throw HeapError.wrongType(name: name, stored: stored, asked: T.persistentLayout.name)
        }
        try check(record, name)
        return record.object == 0 ? nil : PRef<T>(word: record.object | referenceTag)
    }

    /// The object is there, and of the type that the record says.
    func check(_ record: RootRecord, _ name: String) throws {
        guard UInt64(object(at: record.object)?.span.type ?? 0) == record.type else {
            throw damage(
                record.object, "root \"\(name)\" leads to no \(typeName(Int(record.type)))")
        }
    }

    /// Names of all roots with the names of their types.
    public func rootNames() throws -> [(name: String, type: String)] {
        try roots(in: self).map { _, record in
            let type =
                registry.withLock { $0.records[Int(record.type)]?.name } ?? "type \(record.type)"
            return (string(record.nameReference, Int(record.nameLength)), type)
        }
    }

    func string(_ offset: UInt64, _ length: Int) -> String {
        String(
            decoding: UnsafeRawBufferPointer(start: base + Int(offset), count: length),
            as: UTF8.self)
    }

    /// All root records, checked.
    func roots<R: HeapReading & ~Copyable>(in reader: borrowing R) throws -> [(UInt64, RootRecord)]
    {
        var found: [(UInt64, RootRecord)] = []
        var at: UInt64 = reader.load(geometry.anchor + HeapFormat.rootListWord * 8)
        let limit = header.withLock { $0.committedBytes }
        while at != 0 {
            guard at % 8 == 0, at < limit, at + UInt64(RootRecord.bytes) <= limit,
                found.count < 1 << 20
            else {
                throw HeapError.damagedRecord(detail: "root list leaves the heap")
            }
            let words = (0..<6).map { reader.load(at + UInt64($0 * 8)) as UInt64 }
            let record = RootRecord(
                next: words[0], object: words[1], nameReference: words[2], nameLength: words[3],
                type: words[4])
            guard record.checksum == words[5], record.nameReference <= limit,
                record.nameLength <= limit - record.nameReference
            else {
                throw HeapError.damagedRecord(detail: "root record at 0x\(String(at, radix: 16))")
            }
            found.append((at, record))
            at = record.next
        }
        return found
    }

    func findRoot<R: HeapReading & ~Copyable>(
        _ name: String, in reader: borrowing R
    ) throws -> (UInt64, RootRecord)? {
        try roots(in: reader).first { string($0.1.nameReference, Int($0.1.nameLength)) == name }
    }
}

extension Transaction {
    /// Makes an object a root, or an existing root name another object of the same type.
    public func setRoot<T: PersistentObject>(named name: String, to object: PRef<T>) throws {
        let heap = self.heap.takeUnretainedValue()
        let number = try heap.number(of: T.persistentLayout)
        try setRoot(
            named: name, toObjectAt: try own(object), type: number,
            typeName: T.persistentLayout.name)
    }

    /// The offset of an object of this heap.
    private func own<T>(_ reference: PRef<T>) throws -> UInt64 {
        try heap._withUnsafeGuaranteedRef { heap in
            let offset = heap.offset(ofReference: reference.word)
            guard offset >> 48 == 0 else { throw heap.foreign(reference.word) }
            guard !heap.isFreed(offset) else {
                throw HeapError.freedReference(heap: heap.name, offset: offset)
            }
            return offset
        }
    }

    func setRoot(named name: String, toObjectAt object: UInt64, type number: Int, typeName: String)
        throws
    {
        let heap = self.heap.takeUnretainedValue()
        try acquire(heap.geometry.anchor, exclusive: true)
        if let (at, record) = try heap.findRoot(name, in: self) {
            guard record.type == UInt64(number) else {
                throw HeapError.wrongType(
                    name: name, stored: heap.typeName(Int(record.type)), asked: typeName)
            }
            lane.store(object, at: at + 8)
            return
        }
        let utf8 = Array(name.utf8)
        let text = try newBytes(utf8)
        let link = heap.geometry.anchor + HeapFormat.rootListWord * 8
        let record = RootRecord(
            next: load(link), object: object, nameReference: text, nameLength: UInt64(utf8.count),
            type: UInt64(number))
        let at = try heap.allocateSlowly(
            type: RootRecord.typeNumber, bytes: RootRecord.bytes, in: lane)
        for (index, word) in record.encoded.enumerated() {
            heap.region.store(word, at: at + UInt64(index * 8))
        }
        lane.store(at, at: link)
    }

    /// Forgets a root. What only it reached is collected.
    public func removeRoot(named name: String) throws {
        let heap = self.heap.takeUnretainedValue()
        try acquire(heap.geometry.anchor, exclusive: true)
        var link = heap.geometry.anchor + HeapFormat.rootListWord * 8
        for (at, record) in try heap.roots(in: self) {
            if heap.string(record.nameReference, Int(record.nameLength)) == name {
                lane.store(record.next, at: link)
                return
            }
            link = at
        }
        throw HeapError.noRoot(name: name)
    }

    /// Bytes in a cell of their own; returns its offset.
    func newBytes(_ bytes: some Collection<UInt8>) throws -> UInt64 {
        let count = max(1, bytes.count)
        let offset = try heap._withUnsafeGuaranteedRef {
            try $0.allocateSlowly(type: BuiltInType.bytes, bytes: count, in: lane)
        }
        let target = UnsafeMutableRawBufferPointer(
            start: state.pointee.access.base + Int(offset), count: count)
        target.copyBytes(from: bytes)
        return offset
    }
}
