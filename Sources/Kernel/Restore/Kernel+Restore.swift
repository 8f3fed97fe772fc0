import ABI
import Machine
import Store

/// Restore: decodes the records of the committed version into fresh objects. Pages are not touched;
/// they come back by fault. Every link is checked; a record that names something that is not there
/// is damage.
extension Kernel {
    mutating func restore() throws(StoreError) {
        guard store.lastCommit.smallRecords <= UInt32(objects.pointee.smallCapacity),
            store.lastCommit.largeRecords <= UInt32(objects.pointee.largeCapacity)
        else { throw .tooManyRecords }
        objects.pointee.highSmall = store.lastCommit.smallRecords
        objects.pointee.highLarge = store.lastCommit.largeRecords
        clockBase = store.lastCommit.monotonicNanoseconds &- machine.monotonicNanoseconds()
        // Owners first: the second sweep's records refer to objects of the first.
        var sum: UInt64 = 0
        try sweep(first: true, &sum)
        if sum != store.lastCommit.recordSum { throw .staleRecords }
        try sweep(first: false, &sum)
        try linkThreads()
        try linkCapabilities()
        rootGroup = body(store.lastCommit.rootGroup, as: CapGroup.self)
        if rootGroup == nil { throw .damagedRecord(index: store.lastCommit.rootGroup.index) }
        try rollBackRings()
        mustRing = doorbell != nil
    }

    /// Adds up the versions of the records that it met.
    private mutating func sweep(first: Bool, _ sum: inout UInt64) throws(StoreError) {
        var index = objects.pointee.highSmall
        while index > 1 {
            index -= 1
            try restoreRecord(index, first: first, &sum)
        }
        index = objects.pointee.highLarge
        while index > 0 {
            index -= 1
            try restoreRecord(index | RecordClass.largeBit, first: first, &sum)
        }
    }

    private mutating func restoreRecord(_ index: UInt32, first: Bool, _ sum: inout UInt64)
        throws(StoreError)
    {
        let place = objects.pointee.header(index)
        guard let view = try store.record(index, at: store.committed) else {
            if first { objects.pointee.putFree(index) }
            return
        }
        sum &+= VersionSum.change(of: UInt64(index), from: .never, to: view.born)
        guard let kind = ObjectKind(rawValue: view.kind) else { throw .damagedRecord(index: index) }
        place.pointee.generation = view.generation
        place.pointee.slot = UInt8(view.slot)
        if kind == .none {
            if first { objects.pointee.putFree(index) }
            return
        }
        let isFirst = kind != .capabilityTable && kind != .region && kind != .thread
        if isFirst != first { return }
        let id = ObjectID(index: index, generation: view.generation)
        var reader = store.reader(of: view)
        guard decode(kind, id, &reader) else { throw .damagedRecord(index: index) }
        place.pointee.wasCommitted = true
        if let region = place.pointee.body(as: Region.self) { linkRestored(region) }
    }

    /// Makes the body that a record describes and attaches it. False: the record cannot be right.
    private mutating func decode(
        _ kind: ObjectKind, _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> Bool {
        switch kind {
        case .none: false
        case .system: attachRestored(kind, systems.allocate(SystemAuthority(id: id)))
        case .vmSpace: attachRestored(kind, spaces.allocate(VMSpace(id: id)))
        case .capGroup: attachRestored(kind, decodeGroup(id, &reader))
        case .pmo: attachRestored(kind, decodePMO(id, &reader))
        case .notification, .irqNotification:
            attachRestored(kind, decodeNotification(id, &reader))
        case .connection: attachRestored(kind, decodeConnection(id, &reader))
        case .capabilityTable: attachRestored(kind, decodeTable(id, &reader))
        case .region: attachRestored(kind, decodeRegion(id, &reader))
        case .thread: attachRestored(kind, decodeThread(id, &reader))
        }
    }

    private mutating func attachRestored<Body: KernelObject>(
        _ kind: ObjectKind, _ body: UnsafeMutablePointer<Body>?
    ) -> Bool {
        guard let body else { return false }
        objects.pointee.attach(kind, body)
        if kind == .system { system = body.pointee.id }
        return true
    }
}
