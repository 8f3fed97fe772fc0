import Foundation
import PersistentHeap
import Testing

@Persistent struct Ledger {
    var total: Int
    var entries: PArray<Int>
}

@Suite struct AsyncTests {
    private let file = TemporaryHeap()
    private let heap: PersistentHeap
    private let ledger: PRef<Ledger>

    init() throws {
        heap = try file.open { $0.arenaShift = 22 }
        ledger = try heap.root(named: "ledger", as: Ledger.self) {
            Ledger(total: 0, entries: PArray())
        }
    }

    @Test func waitingTransactionsShareACommit() async throws {
        let (heap, ledger) = (heap, ledger)
        let results = try await withThrowingTaskGroup(of: Int.self) { group in
            // Holds the lock while the others queue up.
            let gate = DispatchSemaphore(value: 0)
            group.addTask {
                try await heap.perform { _ in
                    gate.wait()
                    return 0
                }
            }
            for number in 1...200 {
                group.addTask {
                    try await heap.perform { tx in
                        tx.edit(ledger).total += number
                        try tx.edit(ledger).entries.append(number)
                        return number
                    }
                }
            }
            // All wait: the first ones in the commit that the gate holds up, the others behind it.
            while heap.queuedTransactions < 201 { try await Task.sleep(for: .milliseconds(1)) }
            gate.signal()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.sorted() == Array(0...200))
        #expect(heap[ledger].total == 200 * 201 / 2)
        #expect(heap.view(ledger).entries.sorted() == Array(1...200))
        let figures = heap.groupCommits
        #expect(figures.transactions == 201 && figures.commits < 50)
    }

    /// One that fails takes none of the others along, and leaves nothing.
    @Test(arguments: [LogMode.redo, .undo]) func failuresStayAlone(_ mode: LogMode) async throws {
        let (heap, ledger) = (heap, ledger)
        let failures = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    do {
                        try await heap.perform(mode) { tx in
                            try tx.edit(ledger).entries.append(number)
                            tx.edit(ledger).total += 1
                            if number % 10 == 0 { throw Deliberate() }
                        }
                        return false
                    } catch { return error is Deliberate }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failures == 10 && heap[ledger].total == 90)
        #expect(heap.view(ledger).entries.allSatisfy { $0 % 10 != 0 })
        try heap.checkInvariants()
    }

    /// An actor's own pool of threads is free while the disk is waited for.
    @Test func manyWaitersNeedNoThreadEach() async throws {
        let (heap, ledger) = (heap, ledger)
        let gate = DispatchSemaphore(value: 0)
        async let slow: Void = heap.perform { _ in gate.wait() }
        async let waiting: Void = withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<500 {
                group.addTask { try await heap.perform { tx in tx.edit(ledger).total += 1 } }
            }
            try await group.waitForAll()
        }
        // Were a pool's threads blocked, this task would not run.
        let ran = await Task.detached { 1 }.value
        gate.signal()
        try await slow
        try await waiting
        #expect(ran == 1 && heap[ledger].total == 500)
    }

    @Test func commitsAreTold() async throws {
        var notices = heap.commits.makeAsyncIterator()
        try heap.transaction { tx in tx.edit(ledger).total = 5 }
        #expect(await notices.next()?.number == 1)
        _ = try? heap.transaction { tx in
            tx.edit(ledger).total = 6
            throw Deliberate()
        }
        for value in 7...9 { try heap.transaction { tx in tx.edit(ledger).total = value } }
        // The newest only: the reader was slower.
        #expect(await notices.next()?.number == 4)
        heap.close()
        #expect(await notices.next() == nil)
    }

    @Test func valuesComeWhenTheyChange() async throws {
        let (heap, ledger) = (heap, ledger)
        var totals = heap.values { $0[ledger].total }.makeAsyncIterator()
        #expect(try await totals.next() == 0)
        try await heap.perform { tx in try tx.edit(ledger).entries.append(1) }
        try await heap.perform { tx in tx.edit(ledger).total = 3 }
        #expect(try await totals.next() == 3)
        #expect(heap.view(ledger).entries == [1])
    }

    @Test func aClosedHeapRefuses() async throws {
        let (heap, ledger) = (heap, ledger)
        try await heap.perform { tx in tx.edit(ledger).total = 1 }
        heap.close()
        await #expect(throws: HeapError.closed) { try await heap.perform { _ in } }
    }

    @Test(.timeLimit(.minutes(5))) func aHeapMayEndOnItsOwnThread() async throws {
        let other = TemporaryHeap()
        var heap: PersistentHeap? = try other.open()
        let root = try #require(
            try heap?.root(named: "ledger", as: Ledger.self) { Ledger(total: 0, entries: PArray()) }
        )
        try await heap?.perform { tx in tx.edit(root).total = 4 }
        heap = nil
        // The last reference may go on either thread; opening waits for the file's lock.
        // However long that takes; a heap that is never closed is the time limit's.
        while true {
            if let again = try? other.open() {
                #expect(again[root].total == 4)
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
