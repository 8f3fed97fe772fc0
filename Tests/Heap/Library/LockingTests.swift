import Foundation
import PersistentHeap
import Synchronization
import Testing

/// Runs `body` in threads of its own at the same time: a dispatch queue may run them one after the
/// other.
private func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        let thread = Thread {
            body(index)
            group.leave()
        }
        thread.start()
    }
    group.wait()
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    func add() { count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
}

@Suite struct LockingTests {
    @Test func transactionsOfManyThreadsAddUp() throws {
        for isolation in [Isolation.serial, .locking] {
            let file = TemporaryHeap()
            let heap = try file.open { $0.isolation = isolation }
            let root = try heap.root(named: "list", as: NodeList.self) { .empty }
            inThreads(4) { _ in
                for _ in 0..<200 {
                    try? heap.transaction { tx in
                        try tx.lock(root)
                        tx.edit(root).count += 1
                    }
                }
            }
            #expect(heap[root].count == 800)
        }
    }

    @Test func aStoreWithoutTheLockIsRefused() throws {
        let file = TemporaryHeap()
        let heap = try file.open { $0.isolation = .locking }
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        #expect(throws: HeapError.notLocked(offset: root.offset)) {
            try heap.transaction { tx in tx.edit(root).count = 1 }
        }
        #expect(heap[root].count == 0)
    }

    @Test func aDeadlockIsReportedAndTheOtherGoesOn() throws {
        let file = TemporaryHeap()
        let heap = try file.open { $0.isolation = .locking }
        let a = try heap.root(named: "a", as: NodeList.self) { .empty }
        let b = try heap.root(named: "b", as: NodeList.self) { .empty }
        let (deadlocks, arrived) = (Counter(), Counter())
        inThreads(2) { index in
            let (first, second) = index == 0 ? (a, b) : (b, a)
            var isFirst = true
            while true {
                do {
                    try heap.transaction { tx in
                        try tx.lock(first)
                        if isFirst {
                            isFirst = false
                            arrived.add()
                            while arrived.value < 2 { usleep(100) }
                        }
                        try tx.lock(second)
                        tx.edit(first).count += 1
                        tx.edit(second).count += 1
                    }
                    return
                } catch HeapError.deadlock {
                    deadlocks.add()
                } catch {
                    Issue.record("\(error)")
                    return
                }
            }
        }
        #expect(deadlocks.value >= 1)
        #expect(heap[a].count == 2)
        #expect(heap[b].count == 2)
    }
}
