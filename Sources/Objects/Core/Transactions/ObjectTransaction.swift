import PersistentMemory

/// A running transaction: the only way to change objects. It cannot outlive its closure.
public struct ObjectTransaction: ~Copyable, ObjectReading {
    public let space: ObjectSpace
    let lane: LogLane

    /// Not inlined: Swift 6.3's optimiser ends when it specialises a generic function that puts a
    /// value without copies together from borrowed parts.
    @inline(never)
    init(space: ObjectSpace, lane: LogLane) {
        (self.space, self.lane) = (space, lane)
    }

    public func load<T: BitwiseCopyable>(_ address: UInt64) -> T { lane.load(address) }

    public func copy(_ address: UInt64, _ count: Int, into target: UnsafeMutableRawPointer) {
        lane.read(address, count, into: target)
    }

    func fail(_ error: any Error) {
        if lane.state.pointee.failure == nil { lane.state.pointee.failure = error }
    }

    func checkWritable(_ slot: Int) {
        if space.readOnly.contains(slot) {
            fail(ObjectError.immutable(id: space.identifiers[slot] ?? .none))
        }
    }

    // MARK: Change

    /// The fields of a value, to read and set.
    public func edit<T: PersistentObject>(_ place: Ref<T>) -> T.Editor {
        checkWritable(place.slot)
        return T.Editor(FieldAccess(lane, offset: place.address))
    }

    public func edit<T: PersistentObject>(_ object: PObject<T>) -> T.Editor { edit(object.root) }

    /// Replaces a whole value.
    public func set<T: Persistable>(_ place: Ref<T>, _ value: T) {
        checkWritable(place.slot)
        lane.store(value, at: place.address)
    }

    /// A value in an object. The transaction should store a pointer to it: what nothing refers to
    /// takes place until it is given back.
    public func make<T: Persistable>(_ value: T, in holder: Ref<some Any>) throws -> Ref<T> {
        let address = try allocate(MemoryLayout<T>.size, in: holder.slot)
        lane.store(value, at: address)
        return Ref(address: address)
    }

    /// Allocates, constructs, and stores the pointer in its owner, of the same object or another,
    /// all or nothing.
    @discardableResult
    public func make<T: Persistable>(
        _ value: T, in holder: Ref<some Any>, owner: Ref<ObjectPointer<T>?>
    ) throws -> Ref<T> {
        let made = try make(value, in: holder)
        set(owner, try pointer(to: made, from: owner))
        return made
    }

    /// A pointer to `target` that means it in the object that `holder` lies in.
    public func pointer<T>(
        to target: Ref<T>, from holder: Ref<some Any>, _ rights: TableEntry.Flags = [.read, .write]
    ) throws -> ObjectPointer<T> {
        var word = target.offset
        if target.slot != holder.slot {
            guard let id = space.identifiers[target.slot] else { throw ObjectError.closed }
            word |= UInt64(try index(of: id, in: holder.slot, rights)) << 48
        }
        guard let pointer = ObjectPointer<T>(word: word) else {
            throw ObjectError.nullPointer(holder: .none, offset: target.offset)
        }
        return pointer
    }

    /// A pointer by name: which object it leads to is found when it is followed.
    ///
    /// - Parameters:
    ///   - resolver: 0 for the space's own names, else the number of one that programs install.
    ///   - offset: where in that object the target lies; its root by default.
    public func pointer<T>(
        named name: String, resolver: UInt64 = 0, to type: T.Type,
        offset: UInt64 = ObjectLayout.base, from holder: Ref<some Any>
    ) throws -> ObjectPointer<T> {
        let slot = holder.slot
        checkWritable(slot)
        // An equal name is used again.
        for index in stride(from: 1, through: space.countEntries(slot), by: 1) {
            guard let entry = try space.entry(slot, index), entry.flags.contains(.name),
                entry.second == resolver, try space.tableName(entry, in: slot) == name,
                let pointer = ObjectPointer<T>(word: UInt64(index) << 48 | offset)
            else { continue }
            return pointer
        }
        let bytes = Array(name.utf8)
        guard !bytes.isEmpty, bytes.count <= 4096 else { throw ObjectError.noName(name) }
        let at = try allocate(8 + bytes.count, in: slot)
        // Home at once: the entry is published outside of the log. If the transaction fails the
        // bytes are nobody's, and the entry is given back by the next reclaim.
        space.region.store(UInt64(bytes.count), at: at)
        (space.region.base + Int(at + 8)).copyMemory(from: bytes, byteCount: bytes.count)
        lane.store(UInt64(bytes.count), at: at)
        bytes.withUnsafeBytes { lane.store($0, at: at + 8) }
        space.region.flush(at, 8 + bytes.count)
        let entry = TableEntry(name: at & ObjectLayout.slotMask, resolver: resolver, [.read, .write])
        let index = try space.insert(entry, in: slot, above: try dataEnd(slot))
        guard let pointer = ObjectPointer<T>(word: UInt64(index) << 48 | offset) else {
            throw ObjectError.noName(name)
        }
        return pointer
    }

    func index(of id: ObjectID, in slot: Int, _ flags: TableEntry.Flags) throws -> Int {
        checkWritable(slot)
        return try space.insert(TableEntry(id, flags), in: slot, above: try dataEnd(slot))
    }
}

extension ObjectSpace {
    /// Runs `body` so that all it stores, in however many objects, becomes durable together, or
    /// nothing. Returns after it is durable in the space's domain. If `body` throws, everything is as
    /// before, objects it made are gone, and the error is thrown on. Inside another transaction of
    /// the same thread it joins that one.
    ///
    /// - Parameter mode: `.redo` gathers what changes and stores it after its log is durable. `.undo`
    ///   logs and stores in place, and keeps readers out from its beginning; where fences wait for a
    ///   disk it works as `.redo` does.
    public func transaction<R>(
        _ mode: LogMode = .redo, _ body: (borrowing ObjectTransaction) throws -> R
    ) throws -> R {
        guard mode != .direct else {
            throw ObjectError.refusedOption("a transaction on objects has a log: redo or undo")
        }
        try lockForWriting()
        defer { unlock() }
        if isRunning { return try body(ObjectTransaction(space: self, lane: lane)) }
        isRunning = true
        defer { isRunning = false }
        if mode == .undo, !region.journals { publish() }
        lane.begin(region.journals ? .redo : mode)
        let result: R
        do {
            result = try body(ObjectTransaction(space: self, lane: lane))
            if let failure = lane.state.pointee.failure { throw failure }
        } catch {
            lane.abort()
            undoCreations()
            throw error
        }
        do { try commit() } catch {
            undoCreations()
            throw error
        }
        return result
    }

    private func commit() throws {
        let words = lane.state.pointee.words
        for index in 0..<words.count { store.touch(Int(words[index].offset >> 30)) }
        let fresh = lane.state.pointee.fresh
        for index in 0..<fresh.count { store.touch(Int(fresh[index].offset >> 30)) }
        publish()
        try lane.commit()
        unpublish()
        created = []
        try finishRemovals()
    }

    /// Files of deleted objects go when no record of the log can lead to them.
    private func finishRemovals() throws {
        guard !removed.isEmpty else { return }
        defer { removed = [] }
        lane.retire()
        for id in removed { try store.remove(id) }
    }

    private func undoCreations() {
        for id in created {
            if let slot = slotOf[id] { verified[slot] = false }
            try? store.remove(id)
        }
        created = []
        removed = []
    }
}
