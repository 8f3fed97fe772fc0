import ABI
import Machine
import Store

/// The state that a version holds, word by word in a fixed order: equal descriptions are equal
/// systems. For tests and the simulation, which compare a restored system with the one that was
/// committed. Independent of the records, on purpose. Left out is what no program can see: run
/// queue, translations, frames, whether a page of zeros has a frame.
extension Kernel {
    public func describe(_ emit: (UInt64) -> Void) {
        emit(rootGroup?.pointee.id.packed ?? 0)
        emit(system.packed)
        objects.pointee.forEachHeader { describe($0, $1.pointee, emit) }
    }

    private func describe(
        _ index: UInt32, _ header: ObjectHeader, _ emit: (UInt64) -> Void
    ) {
        guard !header.isDying, let body = header.body else { return }
        let id = ObjectID(index: index, generation: header.generation)
        emit(id.packed | UInt64(header.kind.rawValue) << 56)
        switch body {
        case .vmSpace, .system: break
        case .capGroup(let group): describe(group, emit)
        case .capabilityTable(let table): describe(table, emit)
        case .pmo(let pmo): describe(pmo, emit)
        case .region(let region): describe(region, emit)
        case .thread(let thread): describe(thread, emit)
        case .notification(let notification): describe(notification, emit)
        case .connection(let connection): describe(connection, emit)
        }
    }
}
