import PersistentMemory

/// What a check found in one object.
public struct ObjectReport: Sendable {
    public let id: ObjectID
    public let header: ObjectHeader
    public let state: ObjectState
    /// Where the data ends: an offset.
    public let dataEnd: UInt64
    /// Bytes of cells that were given back.
    public let freeBytes: UInt64
    public let ties: UInt64
    /// Valid entries of the table, by index.
    public let entries: [(index: Int, entry: TableEntry, name: String?)]
    /// Entries of the table whose insertion was cut off, or that were given back.
    public let spareEntries: Int
}

extension ObjectSpace {
    /// All objects of the space, in any state.
    public func identifiersOfAll() throws -> [ObjectID] { try store.identifiers() }

    /// Checks one object: header, identity, words, table, lists of free cells. Throws what is wrong.
    public func check(_ id: ObjectID) throws -> ObjectReport {
        let slot = try slot(of: id)
        let header = try header(slot, id)
        let state = try state(slot)
        let end = try word(slot, ObjectLayout.Word.dataEnd)
        var entries: [(index: Int, entry: TableEntry, name: String?)] = []
        let count = countEntries(slot)
        for index in stride(from: 1, through: count, by: 1) {
            guard let entry = try entry(slot, index) else { continue }
            let name = entry.flags.contains(.name) ? try tableName(entry, in: slot) : nil
            entries.append((index, entry, name))
        }
        let table = header.capacity - ObjectLayout.pageBytes
            - UInt64(count) * ObjectLayout.entryBytes
        let least = ObjectLayout.base + (header.baseBytes + 15) & ~15
        guard end == 0 && state == .provisional || end >= least && end <= table else {
            throw ObjectError.damaged(id: id, "its data ends at \(end)")
        }
        return ObjectReport(
            id: id, header: header, state: state, dataEnd: end,
            freeBytes: try checkFreeCells(slot, id, end),
            ties: try word(slot, ObjectLayout.Word.ties), entries: entries,
            spareEntries: count - entries.count)
    }

    private func checkFreeCells(_ slot: Int, _ id: ObjectID, _ end: UInt64) throws -> UInt64 {
        var bytes: UInt64 = 0
        for number in 0..<ObjectSizeClass.count {
            var cell = try word(slot, ObjectLayout.Word.freeLists + UInt64(number) * 8)
            let size = UInt64(ObjectSizeClass.bytes(number))
            while cell != 0 {
                bytes += size
                guard cell >= ObjectLayout.base, cell + size <= end, bytes <= end,
                    let next = CheckedWord.decode(region.load(start(slot) + cell), at: cell)
                else { throw ObjectError.damaged(id: id, "the free cell at \(cell) is not one") }
                cell = next
            }
        }
        return bytes
    }

    /// The data of an object, 16 bytes a line; lines of zeros are left out.
    public func dump(_ id: ObjectID) throws -> [(offset: UInt64, bytes: [UInt8])] {
        let slot = try slot(of: id)
        let end = try check(id).dataEnd
        return stride(from: ObjectLayout.base, to: end, by: 16).compactMap { offset in
            let at = region.base + Int(start(slot) + offset)
            let line = UnsafeRawBufferPointer(start: at, count: Int(min(16, end - offset)))
            return line.allSatisfy { $0 == 0 } ? nil : (offset, Array(line))
        }
    }

    /// Checks the space: its directory, the root of its names, and each object. Calls `body` with
    /// each object's ID and what was found, or what is wrong with it.
    public func checkAll(_ body: (ObjectID, Result<ObjectReport, any Error>) -> Void) throws {
        try lockAlone()
        defer { unlock() }
        lane.retire()
        _ = try entries
        if let root = try rootID(ObjectReader(self)) { _ = try open(root, as: Namespace.self) }
        for id in try store.identifiers() { body(id, Result { try check(id) }) }
    }

    /// What a collection did.
    public struct Collection: Sendable, Equatable {
        public var reachable = 0
        public var removed = 0
        public var entries = 0
    }

    /// Takes back what nothing leads to: objects that are reached neither from the names nor from a
    /// `kept` object, with what transactions that were cut off left behind; and table entries that no
    /// pointer uses. Throws, and takes nothing back, if an object that is needed is damaged.
    public func collect() throws -> Collection {
        try lockAlone()
        defer { unlock() }
        lane.retire()
        publish()
        defer { members?[.reclaims] &+= 1 }
        var result = Collection()
        var reports: [ObjectID: ObjectReport] = [:]
        var wanted: [ObjectID] = []
        if let root = try rootID(ObjectReader(self)) { wanted.append(root) }
        for id in try store.identifiers() {
            // A header that was never completed is of a creation that was cut off.
            guard let report = try checkIfMade(id) else { continue }
            guard report.state != .provisional, report.state != .deleted else { continue }
            result.entries += try reclaim(try slot(of: id), dataEnd: report.dataEnd)
            let current = try check(id)
            reports[id] = current
            if report.header.flags.contains(.kept) { wanted.append(id) }
        }
        var reached: Set<ObjectID> = []
        while let id = wanted.popLast() {
            guard let report = reports[id], reached.insert(id).inserted else { continue }
            for (_, entry, name) in report.entries {
                if name == nil {
                    wanted.append(entry.id)
                } else if let target = try? resolve(entry, in: try slot(of: id)) {
                    wanted.append(target)
                }
            }
        }
        for id in try store.identifiers() where !reached.contains(id) {
            forgetRemoved(id)
            try store.remove(id)
            result.removed += 1
        }
        result.reachable = reached.count
        return result
    }

    /// Who still has the object mapped sees it; nobody opens it again.
    func forgetRemoved(_ id: ObjectID) {
        guard let slot = slotOf.removeValue(forKey: id) else { return }
        verified[slot] = false
        guard !readOnly.contains(slot) else { return }
        let place = ObjectLayout.Word.state
        region.store(
            CheckedWord.encode(ObjectState.deleted.rawValue, at: place), at: metadata(slot) + place)
    }

    /// Nil if the object's header was never written: all of its first words are zero or the state
    /// says that nothing was committed.
    private func checkIfMade(_ id: ObjectID) throws -> ObjectReport? {
        let slot = try slot(of: id)
        if try state(slot) == .provisional { return nil }
        return try check(id)
    }
}
