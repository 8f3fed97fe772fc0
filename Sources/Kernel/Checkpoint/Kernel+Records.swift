import ABI
import Machine
import Store

/// Records: what of each object a checkpoint writes. What an object's record holds is in the
/// object's room; all links are object identities or capability places, never addresses.
extension Kernel {
    /// Step one for all objects that changed: their other slots are named for the version being
    /// built.
    mutating func announceRecords() throws(StoreError) {
        for position in 0..<objects.pointee.dirtyCount {
            let index = objects.pointee.dirty[position]
            let place = objects.pointee.header(index)
            if hasRecord(place.pointee) {
                try store.announceRecord(index, slot: 1 - Int(place.pointee.slot))
            }
        }
    }

    /// An object that NVM never knew and that is gone again needs no record.
    private func hasRecord(_ header: ObjectHeader) -> Bool {
        header.wasCommitted || (header.kind != .none && !header.isDying)
    }

    /// Step two: the contents. Objects that died get a tombstone.
    mutating func encodeRecords() throws(StoreError) {
        for position in 0..<objects.pointee.dirtyCount {
            let index = objects.pointee.dirty[position]
            let place = objects.pointee.header(index)
            if !hasRecord(place.pointee) { continue }
            var writer = try store.recordWriter(index, slot: 1 - Int(place.pointee.slot))
            let isDead = place.pointee.isDying || !place.pointee.hasBody
            if !isDead { encode(place.pointee, into: &writer) }
            let kind = isDead ? ObjectKind.none : place.pointee.kind
            statistics.bytesWritten &+= writer.finish(
                kind: kind.rawValue, generation: place.pointee.generation)
        }
    }

    /// After the commit: the slots just written are the committed ones, and the indices of the dead
    /// are free.
    mutating func settleRecords() {
        for position in 0..<objects.pointee.dirtyCount {
            let index = objects.pointee.dirty[position]
            let place = objects.pointee.header(index)
            place.pointee.isDirty = false
            if !hasRecord(place.pointee) { continue }
            place.pointee.slot = 1 - place.pointee.slot
            assert(isCommitted(index), "a record, read back, is not the one that was written")
            let isDead = place.pointee.isDying || !place.pointee.hasBody
            place.pointee.wasCommitted = !isDead
            // A dead PMO keeps its index until its frames are given back.
            if isDead && !place.pointee.hasBody { objects.pointee.giveBack(index) }
        }
        objects.pointee.clearDirty()
    }

    /// For assertions: the record that a restore would choose is the one just written, whole.
    private func isCommitted(_ index: UInt32) -> Bool {
        guard let view = try? store.record(index, at: store.committed) else { return false }
        let header = objects.pointee.header(index).pointee
        return view.slot == Int(header.slot) && view.born == store.committed
            && view.generation == header.generation
    }

    private func encode(_ header: ObjectHeader, into writer: inout RecordWriter<M.Memory>) {
        switch header.body {
        case nil, .system, .vmSpace: break
        case .capGroup(let group): encode(group, &writer)
        case .capabilityTable(let table): encode(table, &writer)
        case .thread(let thread): encode(thread, &writer)
        case .pmo(let pmo): encode(pmo, &writer)
        case .region(let region): encode(region, &writer)
        case .notification(let notification): encode(notification, &writer)
        case .connection(let connection): encode(connection, &writer)
        }
    }
}
