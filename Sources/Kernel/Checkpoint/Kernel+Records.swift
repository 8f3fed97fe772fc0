import ABI
import Machine
import Store

/// Records: what of each object a checkpoint writes. The layouts are listed in
/// Docs/store-format.md; all links are object identities or capability places, never addresses.
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
            let isDead = place.pointee.isDying || place.pointee.body == nil
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
            let isDead = place.pointee.isDying || place.pointee.body == nil
            place.pointee.wasCommitted = !isDead
            // A dead PMO keeps its index until its frames are given back.
            if isDead && place.pointee.body == nil { objects.pointee.giveBack(index) }
        }
        objects.pointee.clearDirty()
    }

    private func encode(_ header: ObjectHeader, into writer: inout RecordWriter<M.Memory>) {
        guard let body = header.body else { return }
        switch header.kind {
        case .none, .system, .vmSpace: break
        case .capGroup: encode(body.assumingMemoryBound(to: CapGroup.self), &writer)
        case .capabilityTable: encode(body.assumingMemoryBound(to: CapabilityTable.self), &writer)
        case .thread: encode(body.assumingMemoryBound(to: Thread.self), &writer)
        case .pmo: encode(body.assumingMemoryBound(to: PhysicalMemoryObject.self), &writer)
        case .region: encode(body.assumingMemoryBound(to: Region.self), &writer)
        case .notification, .irqNotification:
            let place = body.assumingMemoryBound(to: Notification.self)
            writer.append(place.pointee.count)
            writer.append(UInt64(place.pointee.line))
        case .connection:
            let place = body.assumingMemoryBound(to: Connection.self)
            writer.append(place.pointee.memory.packed)
            writer.append(UInt64(place.pointee.source.value))
        }
    }

    private func encode(_ group: CapGroupPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(group.pointee.badge)
        for index in 0..<4 { writer.append(group.pointee.name[index]) }
    }

    private func encode(_ table: CapabilityTablePointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(table.pointee.group.packed)
        writer.append(UInt64(table.pointee.number))
        for index in 0..<Capability.perTable {
            let entry = table.pointee.entries[index]
            writer.append(entry.object.packed | UInt64(entry.rights.rawValue) << 48)
            writer.append(entry.badge)
            writer.append(UInt64(entry.parent.value) | UInt64(entry.depth) << 32)
        }
    }

    private func encode(_ pmo: PMOPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(UInt64(pmo.pointee.kind.rawValue) | (pmo.pointee.isRing ? 1 << 8 : 0))
        writer.append(pmo.pointee.pageCount)
        writer.append(UInt64(pmo.pointee.tree.root.value))
        writer.append(UInt64(pmo.pointee.tree.depth))
        writer.append(pmo.pointee.promised)
        writer.append(pmo.pointee.base)
        writer.append(pmo.pointee.ringLocal)
        writer.append(pmo.pointee.tree.sum)
    }

    private func encode(_ region: RegionPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(region.pointee.space.pointee.id.packed)
        writer.append(region.pointee.pmo.pointee.id.packed)
        writer.append(region.pointee.start)
        writer.append(region.pointee.end)
        writer.append(region.pointee.offset)
        writer.append(
            UInt64(region.pointee.protection.rawValue) | UInt64(region.pointee.limit.rawValue) << 8)
    }

    private func encode(_ thread: ThreadPointer, _ writer: inout RecordWriter<M.Memory>) {
        let isDead = thread.pointee.state == .dead
        writer.append(isDead ? 0 : thread.pointee.group.pointee.id.packed)
        writer.append(isDead ? 0 : thread.pointee.space.pointee.id.packed)
        writer.append(
            UInt64(thread.pointee.state.rawValue) | (thread.pointee.kickPending ? 1 << 8 : 0))
        writer.append(thread.pointee.waitObject.packed)
        writer.append(thread.pointee.waitSequence)
        writer.append(thread.pointee.deadline)
        writer.append(thread.pointee.message)
        writer.append(thread.pointee.callBadge)
        writer.append(thread.pointee.peer?.pointee.id.packed ?? 0)
        writer.append(thread.pointee.restrictedSpace?.pointee.id.packed ?? 0)
        writer.append(thread.pointee.restrictedState)
        if thread.pointee.isRestricted {
            withUnsafeBytes(of: &thread.pointee.serverRegisters) { append($0, words: 20, &writer) }
        }
        withUnsafeBytes(of: &thread.pointee.context) { append($0, words: usedWords($0), &writer) }
    }

    /// A context without the zeros at its end, which the reader supplies: few threads use all
    /// vector registers.
    private func usedWords(_ context: UnsafeRawBufferPointer) -> Int {
        var count = Kernel.contextWords
        while count > 0
            && context.loadUnaligned(fromByteOffset: count * 8 - 8, as: UInt64.self) == 0
        { count -= 1 }
        return count
    }

    private func append(
        _ bytes: UnsafeRawBufferPointer, words: Int, _ writer: inout RecordWriter<M.Memory>
    ) {
        for index in 0..<words {
            writer.append(bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
    }
}
