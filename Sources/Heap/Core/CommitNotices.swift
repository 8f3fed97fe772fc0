import CPersistentMemory
import PersistentMemory
import Synchronization

/// Tells that a transaction has committed.
public struct CommitNotice: Sendable, Equatable {
    /// Counts the commits of this heap since somebody first asked for notices, from 1.
    public let number: UInt64
}

/// Who is told of commits.
final class CommitWatchers: Sendable {
    private struct State {
        var number: UInt64 = 0
        var next = 0
        var continuations: [Int: AsyncStream<CommitNotice>.Continuation] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())

    func add(_ continuation: AsyncStream<CommitNotice>.Continuation) {
        let key: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            defer { state.next += 1 }
            state.continuations[state.next] = continuation
            return state.next
        }
        guard let key else { return continuation.finish() }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.continuations[key] = nil }
        }
    }

    func tell() {
        let (notice, continuations) = state.withLock { state in
            state.number += 1
            return (CommitNotice(number: state.number), Array(state.continuations.values))
        }
        for continuation in continuations { continuation.yield(notice) }
    }

    func close() {
        let continuations = state.withLock { state in
            state.isClosed = true
            return Array(state.continuations.values)
        }
        for continuation in continuations { continuation.finish() }
    }
}

/// What transactions do beside committing, when somebody asked: bits of `HeapState.observers`.
enum TransactionObserver {
    static let notices: UInt8 = 1
    /// A backup notes which pages change.
    static let backup: UInt8 = 2
}

extension PersistentHeap {
    /// A notice for each transaction that commits from now on, until the heap is closed.
    ///
    /// A reader that is slower than the transactions gets the newest notice and can tell by its
    /// number how many it missed. Transactions never wait for a reader. Stores of
    /// `PersistentHeap.unlogged` are not noticed.
    ///
    /// Waits for the transaction that runs; not to be asked for inside one in locking isolation.
    public var commits: AsyncStream<CommitNotice> {
        setObserver(TransactionObserver.notices, true)
        let (stream, continuation) = AsyncStream.makeStream(
            of: CommitNotice.self, bufferingPolicy: .bufferingNewest(1))
        watchers.add(continuation)
        return stream
    }

    /// A value computed from the heap: now, and whenever a commit has changed it.
    ///
    /// ```swift
    /// for try await count in heap.values(of: { $0[list].items.count }) { show(count) }
    /// ```
    ///
    /// `body` runs on the heap's own thread, while no transaction runs (serial isolation). The
    /// sequence ends when the heap is closed, and throws what `body` throws.
    public func values<Value: Sendable & Equatable>(
        of body: @escaping @Sendable (PersistentHeap) throws -> Value
    ) -> HeapValues<Value> {
        HeapValues(heap: self, notices: commits, body: body)
    }

    func setObserver(_ bit: UInt8, _ isOn: Bool) {
        let isSet = state.pointee.observers & bit != 0
        guard isSet != isOn else { return }
        if state.pointee.isSerial, state.pointee.owner == pm_thread_id() {
            state.pointee.observers ^= bit
        } else {
            stopTransactions { state.pointee.observers ^= bit }
        }
    }

    /// Called by the transaction paths when `observers` is not 0: before the commit, while the lane
    /// still knows what it changes.
    @usableFromInline @inline(never)
    func observeEnd(of lane: LogLane) {
        if state.pointee.observers & TransactionObserver.backup != 0 { noteForBackup(lane) }
    }

    /// Called behind the commit.
    @usableFromInline @inline(never)
    func observeCommit() {
        if state.pointee.observers & TransactionObserver.notices != 0 { watchers.tell() }
    }
}

/// A value of a heap over time (`PersistentHeap.values(of:)`).
public struct HeapValues<Value: Sendable & Equatable>: AsyncSequence, Sendable {
    let heap: PersistentHeap
    let notices: AsyncStream<CommitNotice>
    let body: @Sendable (PersistentHeap) throws -> Value

    public struct Iterator: AsyncIteratorProtocol {
        let values: HeapValues
        var notices: AsyncStream<CommitNotice>.Iterator
        var last: Value?

        public mutating func next() async throws -> Value? {
            if last == nil { return try await read() }
            while await notices.next() != nil {
                let before = last
                let value = try await read()
                if value != before { return value }
            }
            return nil
        }

        private mutating func read() async throws -> Value {
            let (heap, body) = (values.heap, values.body)
            let value = try await heap.perform { _ in try body(heap) }
            last = value
            return value
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(values: self, notices: notices.makeAsyncIterator())
    }
}
