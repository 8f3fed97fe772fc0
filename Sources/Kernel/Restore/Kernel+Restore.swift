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
        guard let root = body(store.lastCommit.rootGroup, .capGroup) else {
            throw .damagedRecord(index: store.lastCommit.rootGroup.index)
        }
        rootGroup = root.assumingMemoryBound(to: CapGroup.self)
        try rollBackRings()
        mustRing = doorbell != nil
    }

    func body(_ id: ObjectID, _ kind: ObjectKind) -> UnsafeMutableRawPointer? {
        guard let place = objects.pointee.live(id), place.pointee.kind == kind else { return nil }
        return place.pointee.body
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
        guard let body = decode(kind, id, &reader) else { throw .damagedRecord(index: index) }
        objects.pointee.attach(id, kind: kind, body: body)
        place.pointee.wasCommitted = true
        if kind == .region { linkRestored(body.assumingMemoryBound(to: Region.self)) }
    }

    private mutating func decode(
        _ kind: ObjectKind, _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        switch kind {
        case .none: return nil
        case .system:
            system = id
            return UnsafeMutableRawPointer(objects)
        case .vmSpace:
            let body = VMSpace(id: id, regions: .allocate(capacity: 16), capacity: 16)
            return UnsafeMutableRawPointer(spaces.allocate(body))
        case .capGroup: return decodeGroup(id, &reader)
        case .pmo: return decodePMO(id, &reader)
        case .notification, .irqNotification:
            var body = Notification(id: id)
            body.count = reader.next()
            body.line = UInt8(truncatingIfNeeded: reader.next())
            return UnsafeMutableRawPointer(notifications.allocate(body))
        case .connection:
            var body = Connection(id: id)
            body.memory = ObjectID(packed: reader.next())
            body.source = CapabilityRef(value: UInt32(truncatingIfNeeded: reader.next()))
            return UnsafeMutableRawPointer(connections.allocate(body))
        case .capabilityTable: return decodeTable(id, &reader)
        case .region: return decodeRegion(id, &reader)
        case .thread: return decodeThread(id, &reader)
        }
    }

    private mutating func decodeGroup(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        let tables = UnsafeMutablePointer<CapabilityTablePointer?>.allocate(
            capacity: CapGroup.maximumTables)
        tables.initialize(repeating: nil, count: CapGroup.maximumTables)
        var body = CapGroup(id: id, tables: tables)
        body.badge = reader.next()
        for index in 0..<4 { body.name[index] = reader.next() }
        return UnsafeMutableRawPointer(groups.allocate(body))
    }

    private mutating func decodePMO(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        let word = reader.next()
        guard let kind = PMOKind(rawValue: UInt8(truncatingIfNeeded: word)) else { return nil }
        let pageCount = reader.next()
        let root = FrameNumber(UInt32(truncatingIfNeeded: reader.next()))
        let depth = UInt8(truncatingIfNeeded: reader.next())
        guard pageCount <= PageTree.maximumPages, depth <= PageTree.maximumDepth,
            root.isNone || store.layout.isDataFrame(root)
        else { return nil }
        let promised = reader.next()
        let base = reader.next()
        // Fixed areas only: never commit slots, tables or other objects' pages.
        if kind == .eternal && !isFixedArea(base, pageCount) { return nil }
        if kind == .device && !isDevice(base, pages: pageCount) { return nil }
        var body = PhysicalMemoryObject(
            id: id, kind: kind, pageCount: pageCount,
            tree: PageTree(owner: id, root: root, depth: depth))
        body.promised = promised
        body.base = base
        body.ringLocal = reader.next()
        body.isRing = word & 1 << 8 != 0
        body.tree.sum = reader.next()
        if body.isRing && kind != .eternal { return nil }
        return UnsafeMutableRawPointer(pmos.allocate(body))
    }

    private func isFixedArea(_ base: UInt64, _ pages: UInt64) -> Bool {
        let end = UInt64(StoreLayout.recordRoots.value)
        return base >= UInt64(StoreLayout.statistics.value) && base < end && pages <= end - base
    }

    private mutating func decodeTable(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        let groupID = ObjectID(packed: reader.next())
        let number = reader.next()
        guard let group = body(groupID, .capGroup)?.assumingMemoryBound(to: CapGroup.self),
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
        return UnsafeMutableRawPointer(place)
    }

    private mutating func decodeRegion(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        guard let space = body(ObjectID(packed: reader.next()), .vmSpace),
            let pmo = body(ObjectID(packed: reader.next()), .pmo)
        else { return nil }
        let start = reader.next()
        let end = reader.next()
        let offset = reader.next()
        let rights = reader.next()
        guard start < end, end <= UserAddress.limit.value, (start | end | offset) % pageSize == 0
        else {
            return nil
        }
        let body = Region(
            id: id, space: space.assumingMemoryBound(to: VMSpace.self),
            pmo: pmo.assumingMemoryBound(to: PhysicalMemoryObject.self), start: start, end: end,
            offset: offset,
            protection: Protection(rawValue: UInt8(truncatingIfNeeded: rights)),
            limit: Protection(rawValue: UInt8(truncatingIfNeeded: rights >> 8)))
        return UnsafeMutableRawPointer(regions.allocate(body))
    }

    private mutating func linkRestored(_ region: RegionPointer) {
        retain(region.pointee.id)
        retain(region.pointee.pmo.pointee.id)
        linkRegion(region)
        let space = region.pointee.space
        do throws(NativeError) {
            try reserveForRestore(space)
            insertRegion(region, at: regionIndex(space, above: region.pointee.start))
        } catch { damage = .damagedRecord(index: region.pointee.id.index) }
    }

    private mutating func rollBackRings() throws(StoreError) {
        for number in 0..<objects.pointee.highSmall {
            let place = objects.pointee.header(number)
            guard let body = place.pointee.body else { continue }
            if place.pointee.kind == .pmo {
                let pmo = body.assumingMemoryBound(to: PhysicalMemoryObject.self)
                if !pmo.pointee.isRing { continue }
                if pmo.pointee.base == UInt64(StoreLayout.outputRing.value) { outputRing = pmo }
                if pmo.pointee.base == UInt64(StoreLayout.inputRing.value) { inputRing = pmo }
                rollBackRing(pmo)
            } else if place.pointee.kind == .irqNotification {
                let notification = body.assumingMemoryBound(to: Notification.self)
                if notification.pointee.line == Kernel.doorbellLine { doorbell = notification }
            }
        }
    }
}
