import PersistentMemory

/// Copies of whole objects: forks, frozen ones, and what an import brings.
extension ObjectSpace {
    /// A copy of an object that goes its own way: with an ID of its own, what the object holds now,
    /// and pointers that lead where its pointers lead. Costs what the object holds, not its
    /// capacity. Until something leads to it, `collect` takes it back.
    public func fork<T: Persistable>(_ object: PObject<T>) throws -> PObject<T> {
        try transaction { tx in
            let slot = try openSlot(object.id)
            try settleForCopy()
            var header = try header(slot, object.id)
            header.nonce = .random()
            header.flags.remove(.immutable)
            header.flags.formUnion([.read, .write])
            let (id, copy) = try tx.create(header)
            try copyContents(from: slot, to: copy, lists: true)
            tx.setChecked(copy, ObjectLayout.Word.state, ObjectState.live.rawValue)
            return PObject(id: id, root: Ref(address: start(copy) + ObjectLayout.base))
        }
    }

    /// An immutable copy of an object, named by its contents: equal contents have one ID, on any
    /// machine. Until something leads to it, `collect` takes it back.
    public func freeze<T: Persistable>(_ object: PObject<T>) throws -> PObject<T> {
        try lockAlone()
        defer { unlock() }
        lane.retire()
        let slot = try openSlot(object.id)
        var header = try header(slot, object.id)
        header.nonce = .none
        header.flags = [.immutable, .read]
        let id = identity(slot, header)
        if try store.capacity(of: id) != nil {
            // One that a cut left half made is made again.
            if (try? openSlot(id)) != nil { return try open(id, as: T.self) }
            if let half = slotOf[id] { forget(half) }
            try store.remove(id)
        }
        let copy = try self.slot(of: id, creating: header.capacity)
        do {
            writeHeader(header, copy)
            try copyContents(from: slot, to: copy, lists: false)
            try seal(id, copy)
        } catch {
            forget(copy)
            try? store.remove(id)
            throw error
        }
        return try open(id, as: T.self)
    }

    func writeHeader(_ header: ObjectHeader, _ slot: Int) {
        let at = metadata(slot)
        for (index, word) in header.encoded().enumerated() {
            region.store(word, at: at + UInt64(index) * 8)
        }
        region.flush(at, ObjectHeader.words * 8)
        region.fence()
    }

    /// Makes a copied object live, and what is immutable read-only.
    func seal(_ id: ObjectID, _ slot: Int) throws {
        let place = ObjectLayout.Word.state
        region.storeDurably(
            CheckedWord.encode(ObjectState.live.rawValue, at: place), at: metadata(slot) + place)
        let header = try header(slot, id)
        guard header.flags.contains(.immutable) else { return }
        try store.makeReadOnly(id)
        try store.map(id, at: slot, capacity: capacities[slot], writable: false)
        readOnly.insert(slot)
    }

    /// What a running transaction has gathered is not in memory yet.
    private func settleForCopy() throws {
        guard lane.state.pointee.words.count == 0, lane.state.pointee.fresh.count == 0 else {
            throw ObjectError.refusedOption("fork an object before the transaction changes anything")
        }
    }

    /// Data, table, end of data and, if asked, the lists of free cells. Durable on return.
    private func copyContents(from: Int, to: Int, lists: Bool) throws {
        let end = try word(from, ObjectLayout.Word.dataEnd)
        try store.reserve(to, upTo: end)
        copyBytes(from, ObjectLayout.base, Int(end - ObjectLayout.base), to)
        let bytes = countEntries(from) * Int(ObjectLayout.entryBytes)
        let top = capacities[from] - ObjectLayout.pageBytes
        copyBytes(from, top - UInt64(bytes), bytes, to)
        copyBytes(from, top + ObjectLayout.Word.dataEnd, 8, to)
        if lists {
            copyBytes(
                from, top + ObjectLayout.Word.freeLists, ObjectSizeClass.count * 8, to)
        }
        clearCounts(to)
        region.fence()
    }

    private func copyBytes(_ from: Int, _ offset: UInt64, _ bytes: Int, _ to: Int) {
        guard bytes > 0 else { return }
        let source = region.base + Int(start(from) + offset)
        (region.base + Int(start(to) + offset)).copyMemory(from: source, byteCount: bytes)
        region.flush(start(to) + offset, bytes)
    }
}
