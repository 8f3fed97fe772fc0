import CPersistentMemory
import PersistentMemory

/// Transactions in locking isolation: each has a lane of its own; locks are given back after the
/// commit is durable.
extension PersistentHeap {
    @usableFromInline
    func enterLocking(_ mode: LogMode) -> LogLane { enterLocking(mode, thread: pm_thread_id()) }

    /// For tests that interleave transactions of several lanes in one thread: begins one for a
    /// made-up thread.
    package func enterLocking(_ mode: LogMode, thread: UInt64) -> LogLane {
        let (index, isNew) = locks.enter(thread: thread)
        let lane = lanes[index]
        if isNew { lane.begin(mode) }
        return lane
    }

    /// For tests that want what the next commit would do to be done.
    package var lanesForTests: [LogLane] { lanes }

    /// For the same tests: a part of such a transaction.
    package func transaction<R>(on lane: LogLane, _ body: (borrowing Transaction) throws -> R)
        rethrows -> R
    {
        try body(Transaction(self, lane))
    }

    @usableFromInline
    package func leaveLocking(_ lane: LogLane) throws {
        let index = lane.state.pointee.index
        guard locks.isOutermost(index) else { return }
        defer { locks.end(index) }
        if lane.state.pointee.failure != nil { recycleFresh(lane) }
        if state.pointee.observers != 0 { observeEnd(of: lane) }
        if try lane.commit(), state.pointee.observers != 0 { observeCommit() }
    }

    @usableFromInline
    package func failLocking(_ lane: LogLane) {
        let index = lane.state.pointee.index
        guard locks.isOutermost(index) else {
            if lane.state.pointee.failure == nil {
                lane.state.pointee.failure = HeapError.nestedAbort
            }
            return
        }
        if state.pointee.observers != 0 { observeEnd(of: lane) }
        recycleFresh(lane)
        lane.abort()
        locks.end(index)
    }
}
