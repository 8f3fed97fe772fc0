import Glibc
import PersistentMemory

/// One transaction that waits to run on the heap's own thread, and who waits for it.
protocol WaitingTransaction: AnyObject, Sendable {
    var mode: LogMode { get }
    var heap: PersistentHeap { get }
    func run(in tx: borrowing Transaction) throws
    /// Called once, when the outcome is durable.
    func end(_ error: (any Error)?)
}

/// A heap's own thread, for transactions of asynchronous code: it, and no thread of a pool, waits
/// for the lock and for the disk. Started by the first one.
///
/// Invariants
/// 1. Each waiting transaction is ended exactly once, after its outcome is durable.
/// 2. Those that wait together are tried as one transaction: one commit, one wait for the disk. If
///    one fails, nothing of that attempt is kept, and each runs alone.
final class HeapWriter: @unchecked Sendable {
    /// The most transactions to one commit: a long one leaves the journal, which waits more often.
    static let groupLimit = 64

    private var waiting: [any WaitingTransaction] = []
    /// How many the thread has taken from the queue for its commit.
    private var inHand = 0
    private var thread: pthread_t?
    private var mustStop = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Commits so far, and the transactions in them.
    private var commits = 0
    private var transactions = 0

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    private func locked<R>(_ body: () throws -> R) rethrows -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// How many commits served how many transactions.
    var figures: (commits: Int, transactions: Int) { locked { (commits, transactions) } }

    /// Transactions that were added and have not ended.
    var queued: Int { locked { waiting.count + inHand } }

    /// Queues a transaction; ends it at once if the heap is closed or no thread can be had.
    func add(_ transaction: any WaitingTransaction) {
        let error: (any Error)? = locked {
            if mustStop { return HeapError.closed }
            if thread == nil, let error = start() { return error }
            waiting.append(transaction)
            pthread_cond_signal(changed)
            return nil
        }
        if let error { transaction.end(error) }
    }

    private func start() -> (any Error)? {
        let retained = Unmanaged.passRetained(self)
        var new = pthread_t()
        let code = pthread_create(
            &new, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<HeapWriter>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            }, retained.toOpaque())
        guard code == 0 else {
            retained.release()
            return PersistentMemoryError.system(call: "pthread_create", path: "", code: code)
        }
        thread = new
        return nil
    }

    /// Finishes what waits and ends the thread. From then on transactions are refused.
    func stop() {
        let running: pthread_t? = locked {
            mustStop = true
            pthread_cond_signal(changed)
            defer { thread = nil }
            return thread
        }
        guard let running else { return }
        if pthread_equal(running, pthread_self()) != 0 {
            // The last reference to the heap went with a transaction's end.
            pthread_detach(running)
        } else {
            pthread_join(running, nil)
        }
    }

    private func work() { while runGroup() {} }

    private func runGroup() -> Bool {
        let group = takeGroup()
        guard let first = group.first else { return false }
        do {
            try first.heap.transaction(first.mode) { tx in
                for transaction in group { try transaction.run(in: tx) }
            }
            count(transactions: group.count)
            for transaction in group { transaction.end(nil) }
        } catch {
            if group.count == 1 { first.end(error) } else { runAlone(group) }
        }
        return true
    }

    private func runAlone(_ group: [any WaitingTransaction]) {
        for transaction in group {
            do {
                try transaction.heap.transaction(transaction.mode) { try transaction.run(in: $0) }
                count(transactions: 1)
                transaction.end(nil)
            } catch { transaction.end(error) }
        }
    }

    private func count(transactions more: Int) {
        locked {
            commits += 1
            transactions += more
        }
    }

    /// The transactions to commit together: those at the head of the queue with one log mode. Empty
    /// when the thread has to end.
    private func takeGroup() -> [any WaitingTransaction] {
        locked {
            inHand = 0
            while waiting.isEmpty, !mustStop { pthread_cond_wait(changed, mutex) }
            guard let mode = waiting.first?.mode else { return [] }
            let group = waiting.prefix(Self.groupLimit).prefix { $0.mode == mode }
            waiting.removeFirst(group.count)
            inHand = group.count
            return Array(group)
        }
    }
}

/// A transaction whose result someone awaits.
private final class AwaitedTransaction<Result: Sendable>: WaitingTransaction, @unchecked Sendable {
    let heap: PersistentHeap
    let mode: LogMode
    private let body: @Sendable (borrowing Transaction) throws -> Result
    private let continuation: CheckedContinuation<Result, any Error>
    private var result: Result?

    init(
        _ heap: PersistentHeap, _ mode: LogMode,
        _ body: @escaping @Sendable (borrowing Transaction) throws -> Result,
        _ continuation: CheckedContinuation<Result, any Error>
    ) {
        (self.heap, self.mode, self.body, self.continuation) = (heap, mode, body, continuation)
    }

    func run(in tx: borrowing Transaction) throws { result = try body(tx) }

    func end(_ error: (any Error)?) {
        if let error { return continuation.resume(throwing: error) }
        guard let result else { return continuation.resume(throwing: HeapError.closed) }
        continuation.resume(returning: result)
    }
}

extension PersistentHeap {
    /// Runs a transaction from asynchronous code or an actor: the task is suspended until the
    /// changes are durable, and no thread of Swift's pool waits for the disk.
    ///
    /// Transactions that wait at the same time share a commit. If one of them throws, none of that
    /// attempt is kept and each runs again alone: `body` may run twice, so it must change nothing
    /// but the heap. The order in which one task awaits its transactions is kept.
    ///
    /// Throws what `body` throws, what `transaction` throws, and `CancellationError` if the task
    /// was cancelled before the transaction was queued; one that is queued runs.
    public func perform<Result: Sendable>(
        _ mode: LogMode = .redo,
        _ body: @escaping @Sendable (borrowing Transaction) throws -> Result
    ) async throws -> Result {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            writer.add(AwaitedTransaction(self, mode, body, continuation))
        }
    }

    /// How many commits served how many transactions of `perform`.
    public var groupCommits: (commits: Int, transactions: Int) { writer.figures }

    /// Transactions of `perform` that have not ended.
    package var queuedTransactions: Int { writer.queued }
}
