import NIOCore
import NIOPosix
import PersistentHeap

/// Runs the commands of all connections that were readable in one turn of the event loop as one
/// transaction, and sends the replies after it: what is acknowledged is durable, and one commit
/// serves many clients.
final class GroupCommit {
    private let store: Store
    private let loop: any EventLoop
    private var waiting: [Connection] = []

    init(_ store: Store, _ loop: any EventLoop) {
        self.store = store
        self.loop = loop
    }

    /// Called when a connection has commands. The commit runs after the turn's other connections
    /// have been read.
    func add(_ connection: Connection) {
        waiting.append(connection)
        guard waiting.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.commit() }
    }

    private func commit() {
        let connections = waiting
        waiting.removeAll(keepingCapacity: true)
        do {
            try store.heap.transaction { tx in
                store.readClock()
                for connection in connections {
                    try connection.forEachRequest { try store.run($0, tx, connection) }
                }
            }
        } catch {
            // One command that does not fit the heap must not fail the others: each alone, then.
            for connection in connections { runOneByOne(connection) }
        }
        for connection in connections { connection.finish() }
    }

    /// Ten times a second: removes keys whose time has come; collects in the background after much
    /// was dropped.
    func tick() throws {
        try store.removeExpired()
        guard store.wantsCollection else { return }
        store.wantsCollection = false
        let heap = store.heap
        NIOSingletons.posixBlockingThreadPool.submit { _ in heap.collect() }
    }

    private func runOneByOne(_ connection: Connection) {
        connection.reply.buffer.clear()
        connection.isEnding = false
        connection.forEachRequest { request in
            let before = connection.reply.buffer.writerIndex
            do {
                try store.heap.transaction { tx in try store.run(request, tx, connection) }
            } catch {
                connection.reply.buffer.moveWriterIndex(to: before)
                connection.reply.error("ERR \(error)")
            }
        }
    }
}
