import PersistentMemory

/// How a new object is made.
public struct ObjectOptions: Sendable {
    /// Default permissions and lifetime; part of the ID.
    public var flags: ObjectFlags = [.read, .write]
    /// How long it may become: its file is sparse.
    public var capacity: UInt64 = ObjectLayout.slotBytes
    /// The object whose key may sign capabilities for it.
    public var key = ObjectID.none
    public init() {}
}

extension ObjectTransaction {
    /// An object with a root value. It exists for others once the transaction has committed; until
    /// something leads to it, `collect` takes it back, unless it is `kept`.
    public func create<T: Persistable>(_ value: T, _ options: ObjectOptions = ObjectOptions()) throws
        -> PObject<T>
    {
        guard !options.flags.contains(.immutable) else {
            throw ObjectError.refusedOption(
                "an immutable object is named by its contents: make it with freeze")
        }
        guard ObjectLayout.isCapacity(options.capacity) else {
            throw ObjectError.badCapacity(options.capacity)
        }
        var header = ObjectHeader(
            nonce: .random(), flags: options.flags, capacity: options.capacity)
        header.key = options.key
        let layout = T.persistentLayout
        (header.fingerprint, header.baseBytes) = (layout.fingerprint, UInt64(layout.size))
        header.baseType = layout.name
        let (id, slot) = try create(header)
        let size = (UInt64(layout.size) + 15) & ~15
        let end = ObjectLayout.base + size
        guard end + 2 * ObjectLayout.pageBytes <= options.capacity else {
            throw ObjectError.full(id: id, capacity: options.capacity)
        }
        try space.store.reserve(slot, upTo: end)
        let root = Ref<T>(address: space.start(slot) + ObjectLayout.base)
        if size > 0 { lane.addFresh(root.address, Int(size)) }
        lane.store(value, at: root.address)
        setChecked(slot, ObjectLayout.Word.dataEnd, end)
        setChecked(slot, ObjectLayout.Word.state, ObjectState.live.rawValue)
        return PObject(id: id, root: root)
    }

    /// A file with a header, provisional.
    func create(_ header: ObjectHeader) throws -> (ObjectID, Int) {
        let id = ObjectID(nonce: header.nonce, key: header.key, flags: header.flags.rawValue)
        let slot = try space.slot(of: id, creating: header.capacity)
        space.created.append(id)
        space.writeHeader(header, slot)
        return (id, slot)
    }

    /// Makes `child` live as long as `parent` does: a deletion of it waits until then.
    public func tie(_ child: PObject<some Any>, to parent: PObject<some Any>) throws {
        let slot = parent.root.slot
        checkWritable(child.root.slot)
        let index = try index(of: child.id, in: slot, [.tie, .read])
        // The entry is there even if the transaction fails; its count is part of the transaction.
        let place = space.entryState(slot, index)
        let word: UInt64 = lane.load(place)
        if word >> 32 != 0 { return }
        lane.store(word | UInt64(TableEntry.tied) << 32, at: place)
        let ties = try checkedWord(child.root.slot, ObjectLayout.Word.ties)
        setChecked(child.root.slot, ObjectLayout.Word.ties, ties + 1)
    }

    private func isTied(_ slot: Int, _ index: Int) -> Bool {
        let word: UInt64 = lane.load(space.entryState(slot, index))
        return word >> 32 != 0
    }

    /// Deletes an object when the transaction commits, or, if it is tied to others, with the last of
    /// these. Pointers to it fault from then on; processes that have it mapped go on seeing it.
    public func delete(_ object: PObject<some Any>) throws {
        try delete(object.id, try space.openSlot(object.id))
    }

    func delete(_ id: ObjectID, _ slot: Int) throws {
        guard !space.readOnly.contains(slot) else { return space.removed.append(id) }
        if try checkedWord(slot, ObjectLayout.Word.ties) > 0 {
            setChecked(slot, ObjectLayout.Word.state, ObjectState.deleting.rawValue)
            return
        }
        setChecked(slot, ObjectLayout.Word.state, ObjectState.deleted.rawValue)
        space.removed.append(id)
        space.verified[slot] = false
        for index in stride(from: 1, through: space.countEntries(slot), by: 1) {
            guard let entry = try space.entry(slot, index), entry.flags.contains(.tie),
                isTied(slot, index), let child = try? space.openSlot(entry.id)
            else { continue }
            let ties = try checkedWord(child, ObjectLayout.Word.ties)
            setChecked(child, ObjectLayout.Word.ties, max(ties, 1) - 1)
            let state = try checkedWord(child, ObjectLayout.Word.state)
            if ties <= 1, state == ObjectState.deleting.rawValue { try delete(entry.id, child) }
        }
    }
}

extension ObjectSpace {
    /// An object with a root value, in a transaction of its own or the one that runs.
    public func create<T: Persistable>(_ value: T, _ options: ObjectOptions = ObjectOptions()) throws
        -> PObject<T>
    { try transaction { try $0.create(value, options) } }

    /// Opens an object by its ID. Throws if it is not there, not whole, not what its ID says, or if
    /// its root value is of another type or layout.
    public func open<T: Persistable>(_ id: ObjectID, as type: T.Type) throws -> PObject<T> {
        let slot = try openSlot(id)
        let header = try header(slot, id)
        let layout = T.persistentLayout
        guard header.fingerprint == layout.fingerprint, header.baseBytes == UInt64(layout.size)
        else {
            throw ObjectError.wrongType(id: id, stored: header.baseType, asked: layout.name)
        }
        return PObject(id: id, root: Ref(address: start(slot) + ObjectLayout.base))
    }
}
