import CPersistentMemory
import PersistentMemory

/// Transactions in locking isolation: each has a lane of its own; locks are given back after the commit is durable.
extension PersistentHeap {
    @usableFromInline
    func enterLocking(_ mode: LogMode) -> LogLane {
        let (index, isNew) = locks.enter(thread: pm_thread_id())
        let lane = lanes[index]
        if isNew { lane.begin(mode) }
        return lane
    }

    @usableFromInline
    func leaveLocking(_ lane: LogLane) throws {
        let index = lane.state.pointee.index
        guard locks.isOutermost(index) else { return }
        defer { locks.end(index) }
        if lane.state.pointee.failure != nil { recycleFresh(lane) }
        try lane.commit()
    }

    @usableFromInline
    func failLocking(_ lane: LogLane) {
        let index = lane.state.pointee.index
        guard locks.isOutermost(index) else {
            if lane.state.pointee.failure == nil { lane.state.pointee.failure = HeapError.nestedAbort }
            return
        }
        recycleFresh(lane)
        lane.abort()
        locks.end(index)
    }
}
