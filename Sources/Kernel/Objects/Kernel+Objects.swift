import ABI
import Machine
import Store

/// Identities, references, and the end of objects.
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

    mutating func attach<Body: KernelObject>(
        _ kind: ObjectKind, _ body: UnsafeMutablePointer<Body>
    ) {
        objects.pointee.attach(kind, body)
        markDirty(body.pointee.id)
    }

    /// The body of a live object of a type.
    func body<Body: KernelObject>(
        _ id: ObjectID, as type: Body.Type
    ) -> UnsafeMutablePointer<Body>? {
        objects.pointee.body(id, as: type)
    }

    mutating func noRoom(_ id: ObjectID) -> NativeError {
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
        switch objects.pointee.header(index).pointee.body {
        case nil, .region, .capabilityTable: return
        case .capGroup(let group): buryGroup(group)
        case .thread(let thread): threads.free(thread)
        case .connection(let connection): buryConnection(connection)
        case .notification(let notification): buryNotification(notification)
        case .vmSpace(let space): burySpace(space)
        case .pmo(let pmo):
            buryPMO(pmo)
            return
        case .system(let authority): systems.free(authority)
        }
        vanish(index)
    }

    /// The object has no body any more. If NVM knows it, the next checkpoint writes a tombstone,
    /// and only then is the index free; else it is free at once.
    mutating func vanish(_ index: UInt32) {
        let place = objects.pointee.header(index)
        place.pointee.clearBody()
        if place.pointee.wasCommitted {
            place.pointee.isDying = true
            objects.pointee.markDirty(index)
        } else {
            objects.pointee.giveBack(index)
        }
    }
}
