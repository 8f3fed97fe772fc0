import NIOCore
import NIOPosix
import PersistentHeap

/// Runs the commands of all connections that were readable in one turn of the event loop as one
/// transaction, and sends the replies after it: what is acknowledged is durable, and one commit
/// serves many clients.
final class GroupCommit {
    private static let tickInterval = TimeAmount.milliseconds(100)

    private let store: Store
    private let loop: any EventLoop
    private var waiting: [Connection] = []
    private var running: [Connection] = []
    private var isTicking = false
    /// Open connections.
    var clients = 0

    init(_ store: Store, _ loop: any EventLoop) {
        self.store = store
        self.loop = loop
        tickIfNeeded()
    }

    /// Called when a connection has commands. The commit runs after the turn's other connections
    /// have been read; at once if there is no other.
    func add(_ connection: Connection) {
        waiting.append(connection)
        guard waiting.count == 1 else { return }
        if clients == 1, running.isEmpty { return commit() }
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.commit() }
    }

    private func commit() {
        swap(&waiting, &running)
        do {
            try store.heap.transaction { tx in
                store.readClock()
                for connection in running { try connection.run(store, tx) }
            }
        } catch {
            // One command that does not fit the heap must not fail the others: each alone, then.
            for connection in running { connection.runOneByOne(store) }
        }
        for connection in running { connection.finish() }
        running.removeAll(keepingCapacity: true)
        tickIfNeeded()
    }

    /// Not a repeated task: while nothing can expire, a turn of the loop does without the clock.
    private func tickIfNeeded() {
        guard !isTicking, store.wantsTick else { return }
        isTicking = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.tickInterval) { bound.value.tick() }
    }

    /// Removes keys whose time has come; collects in the background after much was dropped.
    private func tick() {
        isTicking = false
        // What cannot be removed now, in a full heap, is found gone all the same, and tried again.
        try? store.removeExpired()
        if store.wantsCollection {
            store.wantsCollection = false
            let heap = store.heap
            NIOSingletons.posixBlockingThreadPool.submit { _ in heap.collect() }
        }
        tickIfNeeded()
    }
}
