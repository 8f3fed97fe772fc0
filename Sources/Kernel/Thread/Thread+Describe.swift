import ABI
import Machine
import Store

extension Kernel {
    func describe(_ queue: ThreadQueue, _ emit: (UInt64) -> Void) {
        var thread = queue.first
        while let waiter = thread {
            emit(waiter.pointee.id.packed)
            thread = waiter.pointee.next
        }
    }

    func describe(_ thread: ThreadPointer, _ emit: (UInt64) -> Void) {
        emit(UInt64(thread.pointee.state.rawValue))
        if thread.pointee.state == .dead { return }
        emit(thread.pointee.group.pointee.id.packed)
        emit(thread.pointee.space.pointee.id.packed)
        emit(thread.pointee.kickPending ? 1 : 0)
        emit(thread.pointee.waitObject.packed)
        emit(thread.pointee.deadline)
        emit(thread.pointee.message.value)
        emit(thread.pointee.callBadge)
        emit(thread.pointee.peer?.pointee.id.packed ?? 0)
        emit(thread.pointee.caller?.pointee.id.packed ?? 0)
        emit(thread.pointee.restrictedSpace?.pointee.id.packed ?? 0)
        emit(thread.pointee.restrictedState.value)
        withUnsafeBytes(of: thread.pointee.context) { emitWords($0, 84, emit) }
        guard thread.pointee.isRestricted else { return }
        withUnsafeBytes(of: thread.pointee.serverRegisters) { emitWords($0, 20, emit) }
    }

    private func emitWords(
        _ bytes: UnsafeRawBufferPointer, _ count: Int, _ emit: (UInt64) -> Void
    ) {
        for word in 0..<count {
            emit(bytes.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self))
        }
    }

    /// Threads that were kicked out of restricted mode and have not noticed: what they do next
    /// happens inside `handle`, after the checkpoint.
    public var pendingKicks: Int {
        var count = 0
        objects.pointee.forEach(Thread.self) { thread in
            if thread.pointee.kickPending && thread.pointee.isRestricted { count += 1 }
        }
        return count
    }
}
