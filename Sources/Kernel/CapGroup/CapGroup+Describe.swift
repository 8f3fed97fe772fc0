import ABI
import Machine
import Store

extension Kernel {
    func describe(_ group: CapGroupPointer, _ emit: (UInt64) -> Void) {
        emit(group.pointee.badge)
        emit(UInt64(group.pointee.threadCount))
        for word in 0..<4 { emit(group.pointee.name[word]) }
    }

    func describe(_ table: CapabilityTablePointer, _ emit: (UInt64) -> Void) {
        emit(table.pointee.group.packed)
        emit(UInt64(table.pointee.number))
        for index in 0..<Capability.perTable {
            let entry = table.pointee.entries[index]
            if entry.isEmpty { continue }
            emit(UInt64(index) << 48 | UInt64(entry.rights.rawValue))
            emit(entry.object.packed)
            emit(entry.badge)
            emit(UInt64(entry.parent.value) << 8 | UInt64(entry.depth))
        }
    }
}
