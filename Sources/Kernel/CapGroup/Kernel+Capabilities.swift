import ABI
import Machine
import Store

/// The tree of capabilities. Decode (`find`) may fail and changes nothing; what follows it cannot
/// fail half way.
extension Kernel {
    func table(_ ref: CapabilityRef) -> CapabilityTablePointer? {
        objects.pointee.header(ref.table).pointee.body(as: CapabilityTable.self)
    }

    func capability(_ ref: CapabilityRef) -> Capability {
        table(ref)?.pointee.entries[ref.entry] ?? Capability()
    }

    mutating func update(_ ref: CapabilityRef, _ change: (inout Capability) -> Void) {
        guard let place = table(ref) else { return }
        change(&place.pointee.entries[ref.entry])
    }

    /// Where a slot's capability is, if the slot is in the table and not empty.
    func find(_ slot: Slot, in group: CapGroupPointer) throws(NativeError) -> CapabilityRef {
        let number = Int(slot.value) / Capability.perTable
        guard number < group.pointee.tableCount,
            let table = group.pointee.tables[number]
        else { throw .noCapability }
        let entry = Int(slot.value) % Capability.perTable
        if table.pointee.entries[entry].isEmpty { throw .noCapability }
        return CapabilityRef(table: table.pointee.id.index, entry: entry)
    }

    /// The object that a slot names, if it is of a type and the capability has the rights.
    func find<Body: KernelObject>(
        _ slot: Slot, in group: CapGroupPointer, as type: Body.Type, _ rights: Rights
    ) throws(NativeError) -> (body: UnsafeMutablePointer<Body>, capability: Capability) {
        let found = capability(try find(slot, in: group))
        guard let body = header(found.object).pointee.body(as: type) else { throw .wrongKind }
        guard found.rights.isSuperset(of: rights) else { throw .noRights }
        return (body, found)
    }

    // MARK: Insert

    /// Puts a capability into the lowest free slot of a group.
    mutating func insert(
        _ object: ObjectID, rights: Rights, badge: UInt64 = 0, parent: CapabilityRef = .none,
        depth: UInt8 = 0,
        into group: CapGroupPointer
    ) throws(NativeError) -> Slot {
        let table = try tableWithRoom(group)
        assert(depth <= Capability.maximumDepth, "a derivation is too deep")
        assert(
            parent.isNone || capability(parent).rights.isSuperset(of: rights),
            "rights grow in a derivation")
        var entry = 0
        while !table.pointee.entries[entry].isEmpty { entry += 1 }
        let ref = CapabilityRef(table: table.pointee.id.index, entry: entry)
        table.pointee.entries[entry] = Capability(
            object: object, badge: badge, parent: parent, rights: rights, depth: depth)
        table.pointee.used += 1
        markDirty(table.pointee.id)
        link(ref, to: object)
        retain(object)
        return Slot(UInt32(table.pointee.number * Capability.perTable + entry))
    }

    /// A table of the group that has a free entry; after it, one `insert` cannot fail.
    mutating func tableWithRoom(_ group: CapGroupPointer) throws(NativeError)
        -> CapabilityTablePointer
    {
        var number = group.pointee.firstWithRoom
        while number < group.pointee.tableCount {
            if let table = group.pointee.tables[number], table.pointee.used < Capability.perTable {
                group.pointee.firstWithRoom = number
                return table
            }
            number += 1
        }
        guard number < CapGroup.maximumTables else { throw .noMemory }
        let id = try newIdentity(large: true)
        let body = CapabilityTable(id: id, group: group.pointee.id, number: number)
        guard let table = tables.allocate(body) else {
            objects.pointee.putFree(id.index)
            throw .noMemory
        }
        attach(.capabilityTable, table)
        group.pointee.tables[number] = table
        group.pointee.tableCount = number + 1
        group.pointee.firstWithRoom = number
        return table
    }

    mutating func link(_ ref: CapabilityRef, to object: ObjectID) {
        let place = header(object)
        let first = place.pointee.firstCapability
        assert(place.pointee.hasBody, "a capability to nothing")
        assert(first.isNone || capability(first).object == object, "another object's list")
        update(ref) {
            $0.next = first
            $0.previous = .none
        }
        if !first.isNone { update(first) { $0.previous = ref } }
        place.pointee.firstCapability = ref
    }

    private mutating func unlink(_ ref: CapabilityRef, _ removed: Capability) {
        if removed.previous.isNone {
            header(removed.object).pointee.firstCapability = removed.next
        } else {
            update(removed.previous) { $0.next = removed.next }
        }
        if !removed.next.isNone { update(removed.next) { $0.previous = removed.previous } }
    }

    /// Derives a capability with at most `rights`, into `group`. The source needs `grant`.
    mutating func derive(
        _ source: CapabilityRef, rights: Rights, badge: UInt64, into group: CapGroupPointer
    ) throws(NativeError) -> Slot {
        let from = capability(source)
        guard from.rights.contains(.grant) else { throw .noRights }
        guard from.depth < Capability.maximumDepth else { throw .tooDeep }
        return try insert(
            from.object, rights: from.rights.intersection(rights),
            badge: from.badge != 0 ? from.badge : badge, parent: source, depth: from.depth + 1,
            into: group)
    }

    // MARK: Delete and revoke

    /// Empties a slot. What was derived from it derives from its parent from now on.
    mutating func delete(_ ref: CapabilityRef) {
        let removed = capability(ref)
        if removed.isEmpty { return }
        var child = header(removed.object).pointee.firstCapability
        while !child.isNone {
            let candidate = capability(child)
            if candidate.parent == ref {
                update(child) { $0.parent = removed.parent }
                if let table = table(child) { markDirty(table.pointee.id) }
            }
            child = candidate.next
        }
        erase(ref, removed)
    }

    private mutating func erase(_ ref: CapabilityRef, _ removed: Capability) {
        unlink(ref, removed)
        guard let table = table(ref) else { return }
        assert(table.pointee.used > 0, "an empty table loses a capability")
        table.pointee.entries[ref.entry] = Capability()
        table.pointee.used -= 1
        markDirty(table.pointee.id)
        if let group = group(of: table), table.pointee.number < group.pointee.firstWithRoom {
            group.pointee.firstWithRoom = table.pointee.number
        }
        release(removed.object)
    }

    /// Deletes every capability below `ref` in the tree. First marks them all, since the way up
    /// leads through them.
    mutating func revoke(_ ref: CapabilityRef) {
        let object = capability(ref).object
        var place = header(object).pointee.firstCapability
        while !place.isNone {
            let isBelow = isDerived(place, from: ref)
            update(place) { $0.isMarked = isBelow }
            place = capability(place).next
        }
        place = header(object).pointee.firstCapability
        while !place.isNone {
            let candidate = capability(place)
            if candidate.isMarked { erase(place, candidate) }
            place = candidate.next
        }
    }

    private func isDerived(_ ref: CapabilityRef, from ancestor: CapabilityRef) -> Bool {
        var parent = capability(ref).parent
        var steps = 0
        while !parent.isNone && steps <= Int(Capability.maximumDepth) {
            if parent == ancestor { return true }
            parent = capability(parent).parent
            steps += 1
        }
        return false
    }
}
