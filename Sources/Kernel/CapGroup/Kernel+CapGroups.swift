import ABI
import Machine
import Store

/// Cap groups as wholes: made, emptied, ended.
extension Kernel {
    mutating func makeGroup() throws(NativeError) -> CapGroupPointer {
        let id = try newIdentity(large: false)
        let tables = UnsafeMutablePointer<CapabilityTablePointer?>.allocate(
            capacity: CapGroup.maximumTables)
        tables.initialize(repeating: nil, count: CapGroup.maximumTables)
        guard let place = groups.allocate(CapGroup(id: id, tables: tables)) else {
            throw noRoom(id)
        }
        attach(.capGroup, place)
        return place
    }

    mutating func buryGroup(_ group: CapGroupPointer) {
        emptyGroup(group)
        group.pointee.tables.deallocate()
        groups.free(group)
    }

    /// Ends a group's threads and empties its slots. The group goes when nothing refers to it.
    mutating func killGroup(_ group: CapGroupPointer) {
        retain(group.pointee.id)
        if group.pointee.threadCount > 0 { endThreads(of: group) }
        emptyGroup(group)
        release(group.pointee.id)
    }

    private mutating func endThreads(of group: CapGroupPointer) {
        for number in 0..<objects.pointee.highLarge {
            guard let thread = thread(number: number) else { continue }
            if thread.pointee.group == group && thread.pointee.state != .dead { endThread(thread) }
        }
    }

    /// Ends a group's threads and empties its slots; its tables go.
    mutating func emptyGroup(_ group: CapGroupPointer) {
        for number in 0..<group.pointee.tableCount {
            guard let table = group.pointee.tables[number] else { continue }
            for entry in 0..<Capability.perTable where !table.pointee.entries[entry].isEmpty {
                delete(CapabilityRef(table: table.pointee.id.index, entry: entry))
            }
            group.pointee.tables[number] = nil
            let index = table.pointee.id.index
            tables.free(table)
            vanish(index)
        }
        group.pointee.tableCount = 0
        group.pointee.firstWithRoom = 0
    }

    func group(of table: CapabilityTablePointer) -> CapGroupPointer? {
        header(table.pointee.group).pointee.body(as: CapGroup.self)
    }
}
