import ABI
import Machine
import Store

extension Kernel {
    func header(_ id: ObjectID) -> UnsafeMutablePointer<ObjectHeader> {
        objects.pointee.header(id.index)
    }
    mutating func markDirty(_ id: ObjectID) { objects.pointee.markDirty(id.index) }

    mutating func retain(_ id: ObjectID) { header(id).pointee.references &+= 1 }

    /// Drops a reference; the last one dooms the object, which is taken apart before the kernel is
    /// left.
    mutating func release(_ id: ObjectID) {
        let place = header(id)
        place.pointee.references &-= 1
        if place.pointee.references == 0 && !place.pointee.isDying {
            place.pointee.isDying = true
            doomed[doomedCount] = id.index
            doomedCount += 1
        }
    }

    /// Takes an index and makes sure that a record has its place on NVM.
    mutating func newIdentity(large: Bool) throws(NativeError) -> ObjectID {
        guard let index = objects.pointee.take(large: large) else { throw .noMemory }
        do { try store.ensureRecord(index, owners: owners) } catch {
            objects.pointee.putFree(index)
            throw fail(error)
        }
        return objects.pointee.nextIdentity(index)
    }

    /// A store's error as the caller sees it. Damage stops the system before user code runs again.
    mutating func fail(_ error: StoreError) -> NativeError {
        if error != .full && damage == nil { damage = error }
        return .noMemory
    }

    mutating func attach(_ id: ObjectID, _ kind: ObjectKind, _ body: UnsafeMutableRawPointer) {
        objects.pointee.attach(id, kind: kind, body: body)
        markDirty(id)
    }

    // MARK: Making objects

    mutating func makePMO(pageCount: UInt64, kind: PMOKind = .anonymous, base: UInt64 = 0)
        throws(NativeError)
        -> PMOPointer
    {
        guard pageCount > 0, pageCount <= PageTree.maximumPages else { throw .badArgument }
        let id = try newIdentity(large: false)
        let body = PhysicalMemoryObject(
            id: id, kind: kind, pageCount: pageCount, tree: PageTree(owner: id), base: base)
        guard let place = pmos.allocate(body) else { throw noRoom(id) }
        attach(id, .pmo, place)
        return place
    }

    mutating func makeSpace() throws(NativeError) -> VMSpacePointer {
        let id = try newIdentity(large: false)
        let body = VMSpace(id: id, regions: .allocate(capacity: 16), capacity: 16)
        guard let place = spaces.allocate(body) else { throw noRoom(id) }
        attach(id, .vmSpace, place)
        return place
    }

    mutating func makeNotification() throws(NativeError) -> NotificationPointer {
        let id = try newIdentity(large: false)
        guard let place = notifications.allocate(Notification(id: id)) else { throw noRoom(id) }
        attach(id, .notification, place)
        return place
    }

    mutating func makeIRQNotification(line: UInt8) throws(NativeError) -> NotificationPointer {
        let place = try makeNotification()
        place.pointee.line = line
        header(place.pointee.id).pointee.kind = .irqNotification
        return place
    }

    mutating func makeConnection(memory: ObjectID, source: CapabilityRef) throws(NativeError)
        -> ConnectionPointer
    {
        let id = try newIdentity(large: false)
        guard let place = connections.allocate(Connection(id: id, memory: memory, source: source))
        else {
            throw noRoom(id)
        }
        attach(id, .connection, place)
        return place
    }

    mutating func makeGroup() throws(NativeError) -> CapGroupPointer {
        let id = try newIdentity(large: false)
        let tables = UnsafeMutablePointer<CapabilityTablePointer?>.allocate(
            capacity: CapGroup.maximumTables)
        tables.initialize(repeating: nil, count: CapGroup.maximumTables)
        guard let place = groups.allocate(CapGroup(id: id, tables: tables)) else {
            throw noRoom(id)
        }
        attach(id, .capGroup, place)
        return place
    }

    mutating func makeThread(group: CapGroupPointer, space: VMSpacePointer) throws(NativeError)
        -> ThreadPointer
    {
        let id = try newIdentity(large: true)
        guard let place = threads.allocate(Thread(id: id, group: group, space: space)) else {
            throw noRoom(id)
        }
        attach(id, .thread, place)
        retain(id)
        retain(group.pointee.id)
        retain(space.pointee.id)
        group.pointee.threadCount += 1
        return place
    }

    private mutating func noRoom(_ id: ObjectID) -> NativeError {
        objects.pointee.putFree(id.index)
        return .noMemory
    }

    // MARK: Taking objects apart

    /// Takes every doomed object apart; that may doom others. Bounded by the number of objects.
    mutating func buryDoomed() {
        while doomedCount > 0 {
            doomedCount -= 1
            bury(doomed[doomedCount])
        }
    }

    private mutating func bury(_ index: UInt32) {
        let place = objects.pointee.header(index)
        guard let body = place.pointee.body else { return }
        switch place.pointee.kind {
        case .none, .region, .capabilityTable: return
        case .capGroup: buryGroup(body.assumingMemoryBound(to: CapGroup.self))
        case .thread: threads.free(body.assumingMemoryBound(to: Thread.self))
        case .connection: buryConnection(body.assumingMemoryBound(to: Connection.self))
        case .notification, .irqNotification:
            let notification = body.assumingMemoryBound(to: Notification.self)
            if doorbell == notification { doorbell = nil }
            wakeAll(&notification.pointee.waiters, with: .gone)
            notifications.free(notification)
        case .vmSpace: burySpace(body.assumingMemoryBound(to: VMSpace.self))
        case .pmo:
            buryPMO(body.assumingMemoryBound(to: PhysicalMemoryObject.self))
            return
        case .system: break
        }
        vanish(index)
    }

    private mutating func buryGroup(_ group: CapGroupPointer) {
        emptyGroup(group)
        group.pointee.tables.deallocate()
        groups.free(group)
    }

    private mutating func buryConnection(_ connection: ConnectionPointer) {
        wakeAll(&connection.pointee.callers, with: .gone)
        wakeAll(&connection.pointee.receivers, with: .gone)
        abandonCallers(of: connection.pointee.id)
        connections.free(connection)
    }

    private mutating func burySpace(_ space: VMSpacePointer) {
        while space.pointee.count > 0 {
            deleteRegion(space, at: space.pointee.count - 1)
        }
        if !space.pointee.translation.isNone { machine.dropTranslation(space.pointee.translation) }
        space.pointee.regions.deallocate()
        spaces.free(space)
    }

    /// A PMO's frames are given back piece by piece, after the commit of the version that lacks it.
    private mutating func buryPMO(_ pmo: PMOPointer) {
        dyingPromised += pmo.pointee.promised
        if header(pmo.pointee.id).pointee.wasCommitted {
            markDirty(pmo.pointee.id)
            buried[buriedCount] = pmo
            buriedCount += 1
        } else {
            reapable[reapableCount] = pmo
            reapableCount += 1
        }
    }

    /// The object has no body any more. If NVM knows it, the next checkpoint writes a tombstone,
    /// and only then is the index free; else it is free at once.
    mutating func vanish(_ index: UInt32) {
        let place = objects.pointee.header(index)
        place.pointee.body = nil
        if place.pointee.wasCommitted {
            place.pointee.isDying = true
            objects.pointee.markDirty(index)
        } else {
            objects.pointee.giveBack(index)
        }
    }

    /// Gives back a bounded number of frames of dead PMOs.
    mutating func reapSome() {
        guard reapableCount > 0 else { return }
        let pmo = reapable[reapableCount - 1]
        var released: UInt64 = 0
        var done = false
        do { done = try store.reap(&pmo.pointee.tree, leaves: 2, released: &released) } catch {
            _ = fail(error)
            done = true
        }
        pmo.pointee.promised &-= released
        dyingPromised &-= released
        if !done { return }
        reapableCount -= 1
        dyingPromised &-= pmo.pointee.promised
        let index = pmo.pointee.id.index
        pmos.free(pmo)
        objects.pointee.header(index).pointee.body = nil
        objects.pointee.giveBack(index)
    }
}
