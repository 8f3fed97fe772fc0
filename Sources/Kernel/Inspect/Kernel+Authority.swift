import ABI
import Machine
import Store

/// One thing that somebody may do, as it stands in the kernel's tables.
public enum AuthorityFact: Equatable, Sendable {
    /// A capability of a group. `place` and `parent` name entries of capability tables; parent
    /// 2^32−1: none.
    case capability(
        group: ObjectID, slot: UInt32, object: ObjectID, rights: Rights, badge: UInt64,
        place: UInt32, parent: UInt32)
    /// A space maps a PMO; `limit` is what `protect` may ask for at most.
    case mapping(space: ObjectID, pmo: ObjectID, limit: Protection)
    /// A thread acts with a group's capabilities in a space, and runs a guest in another, if that
    /// is not `none`.
    case thread(ObjectID, group: ObjectID, space: ObjectID, restricted: ObjectID)
    /// Who holds the connection can reach its memory.
    case connection(ObjectID, memory: ObjectID)
}

/// All authority in the system, for checkers that compare it before and after a call.
extension Kernel {
    public func authority(_ emit: (AuthorityFact) -> Void) {
        objects.pointee.forEachHeader { emitAuthority($0, $1.pointee, emit) }
    }

    /// The thread on a core, and the cap group that it acts for.
    public func runningThread(core: Int) -> (thread: ObjectID, group: ObjectID)? {
        guard let thread = cores[core].current else { return nil }
        return (thread.pointee.id, thread.pointee.group.pointee.id)
    }

    private func emitAuthority(
        _ index: UInt32, _ header: ObjectHeader, _ emit: (AuthorityFact) -> Void
    ) {
        if header.isDying { return }
        switch header.body {
        case .capabilityTable(let table): emitTable(table, index, emit)
        case .region(let region):
            emit(
                .mapping(
                    space: region.pointee.space.pointee.id, pmo: region.pointee.pmo.pointee.id,
                    limit: region.pointee.limit))
        case .thread(let thread):
            if thread.pointee.state == .dead { return }
            emit(
                .thread(
                    thread.pointee.id, group: thread.pointee.group.pointee.id,
                    space: thread.pointee.space.pointee.id,
                    restricted: thread.pointee.restrictedSpace?.pointee.id ?? .none))
        case .connection(let connection):
            emit(.connection(connection.pointee.id, memory: connection.pointee.memory))
        default: break
        }
    }

    private func emitTable(
        _ table: CapabilityTablePointer, _ index: UInt32, _ emit: (AuthorityFact) -> Void
    ) {
        for entry in 0..<Capability.perTable where !table.pointee.entries[entry].isEmpty {
            let capability = table.pointee.entries[entry]
            emit(
                .capability(
                    group: table.pointee.group,
                    slot: UInt32(table.pointee.number * Capability.perTable + entry),
                    object: capability.object,
                    rights: capability.rights, badge: capability.badge,
                    place: CapabilityRef(table: index, entry: entry).value,
                    parent: capability.parent.value))
        }
    }
}
