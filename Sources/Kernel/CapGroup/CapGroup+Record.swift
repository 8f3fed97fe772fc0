import ABI
import Machine
import Store

/// Records of cap groups and capability tables, and the way back (Docs/store-format.md).
extension Kernel {
    func encode(_ group: CapGroupPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(group.pointee.badge)
        for index in 0..<4 { writer.append(group.pointee.name[index]) }
    }

    mutating func decodeGroup(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> CapGroupPointer? {
        let tables = UnsafeMutablePointer<CapabilityTablePointer?>.allocate(
            capacity: CapGroup.maximumTables)
        tables.initialize(repeating: nil, count: CapGroup.maximumTables)
        var body = CapGroup(id: id, tables: tables)
        body.badge = reader.next()
        for index in 0..<4 { body.name[index] = reader.next() }
        return groups.allocate(body)
    }

    func encode(_ table: CapabilityTablePointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(table.pointee.group.packed)
        writer.append(UInt64(table.pointee.number))
        for index in 0..<Capability.perTable {
            let entry = table.pointee.entries[index]
            writer.append(entry.object.packed | UInt64(entry.rights.rawValue) << 48)
            writer.append(entry.badge)
            writer.append(UInt64(entry.parent.value) | UInt64(entry.depth) << 32)
        }
    }

    mutating func decodeTable(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> CapabilityTablePointer? {
        let groupID = ObjectID(packed: reader.next())
        let number = reader.next()
        guard let group = body(groupID, as: CapGroup.self),
            number < UInt64(CapGroup.maximumTables), group.pointee.tables[Int(number)] == nil
        else { return nil }
        var body = CapabilityTable(id: id, group: groupID, number: Int(number))
        for index in 0..<Capability.perTable {
            let word = reader.next()
            var entry = Capability()
            entry.object = ObjectID(packed: word)
            entry.rights = Rights(rawValue: UInt16(truncatingIfNeeded: word >> 48))
            entry.badge = reader.next()
            let parent = reader.next()
            entry.parent = CapabilityRef(value: UInt32(truncatingIfNeeded: parent))
            entry.depth = UInt8(truncatingIfNeeded: parent >> 32)
            if entry.isEmpty { continue }
            body.entries[index] = entry
            body.used += 1
        }
        guard let place = tables.allocate(body) else { return nil }
        group.pointee.tables[Int(number)] = place
        group.pointee.tableCount = max(group.pointee.tableCount, Int(number) + 1)
        return place
    }

    mutating func linkCapabilities() throws(StoreError) {
        for number in 0..<objects.pointee.highLarge {
            let index = number | RecordClass.largeBit
            guard
                let table = objects.pointee.header(index).pointee.body(as: CapabilityTable.self)
            else { continue }
            for entry in 0..<Capability.perTable {
                let object = table.pointee.entries[entry].object
                if object.isNone { continue }
                guard objects.pointee.live(object) != nil,
                    isDerivationPossible(table.pointee.entries[entry])
                else { throw .damagedRecord(index: index) }
                link(CapabilityRef(table: index, entry: entry), to: object)
                retain(object)
            }
        }
    }

    /// Whether a capability's parent is a place that holds one to the same object, with its rights
    /// at least.
    private func isDerivationPossible(_ entry: Capability) -> Bool {
        if entry.parent.isNone { return true }
        let header =
            objects.pointee.isInRange(entry.parent.table)
            ? objects.pointee.header(entry.parent.table) : nil
        guard let header, header.pointee.kind == .capabilityTable else { return false }
        let parent = capability(entry.parent)
        return parent.object == entry.object && parent.rights.isSuperset(of: entry.rights)
    }
}
