import Foundation
import PersistentHeap
import Synchronization
import Testing

@Suite struct BackupTests {
    /// Copies taken while transactions run: each is whole, checks out, and is one moment's state.
    @Test(arguments: [LogMode.redo, .undo], [Isolation.serial, .locking])
    func aCopyIsOneMoment(_ mode: LogMode, _ isolation: Isolation) throws {
        let file = TemporaryHeap()
        let heap = try file.open {
            $0.isolation = isolation
            $0.arenaShift = 22
        }
        let ledger = try heap.root(named: "ledger", as: Ledger.self) {
            Ledger(total: 0, entries: PArray())
        }
        let list = try heap.root(named: "list", as: NodeList.self) { .empty }
        let mustStop = Atomic(false)
        let writer = Writer(heap, ledger, list, mode)
        let thread = Thread {
            while !mustStop.load(ordering: .acquiring) { writer.step() }
            writer.isDone.signal()
        }
        thread.start()
        var least = 0
        for _ in 0..<6 {
            let copy = TemporaryHeap()
            // Each copy is of another state, however slow the writer is.
            let last = least
            while writer.count.load(ordering: .acquiring) < last + 10 { usleep(1_000) }
            let before = writer.count.load(ordering: .acquiring)
            let summary = try heap.backup(to: copy.path)
            #expect(summary.bytes > 0 && summary.pauseNanoseconds > 0)
            #expect(!FileManager.default.fileExists(atPath: copy.path + ".partial"))
            let opened = try copy.open()
            #expect(opened.recovery.replayedTransactions == 0)
            try opened.checkInvariants()
            let total = opened[ledger].total
            #expect(total >= before && total >= least)
            least = total
            #expect(opened.view(ledger).entries == (0..<total).map { $0 })
            // The transaction that takes the oldest out is one of its own.
            #expect([0, 1].contains(values(opened, list).count - min(total, 200)))
            #expect(values(opened, list).first == total - 1 || total == 0)
            #expect(opened.view(list).byName["count", default: 0] == total)
        }
        mustStop.store(true, ordering: .releasing)
        writer.isDone.wait()
        #expect(writer.failure.withLock { $0 } == nil)
        try heap.checkInvariants()
    }

    /// On a file each commit waits for the disk; the copy has what was committed, not more.
    @Test(arguments: [LogMode.redo, .undo]) func filesAreCopiedWithTheirJournals(_ mode: LogMode)
        throws
    {
        let (file, copy) = (TemporaryHeap(), TemporaryHeap())
        let heap = try PersistentHeap(path: file.path, domain: .fileSync, options: file.options)
        let ledger = try heap.root(named: "ledger", as: Ledger.self) {
            Ledger(total: 0, entries: PArray())
        }
        for number in 0..<300 {
            try heap.transaction(mode) { tx in
                tx.edit(ledger).total += 1
                try tx.edit(ledger).entries.append(number)
            }
        }
        #expect(throws: Deliberate.self) {
            try heap.transaction(mode) { tx in
                tx.edit(ledger).total = -1
                try tx.edit(ledger).entries.append(contentsOf: 0..<100)
                throw Deliberate()
            }
        }
        try heap.backup(to: copy.path)
        try heap.transaction(mode) { tx in tx.edit(ledger).total = -2 }
        let opened = try copy.open()
        #expect(opened.recovery.replayedTransactions == 0 && opened.recovery.undoneRanges == 0)
        #expect(opened[ledger].total == 300 && opened.view(ledger).entries == Array(0..<300))
        try opened.checkInvariants()
    }

    @Test func unloggedStoresAreInTheCopy() throws {
        let (file, copy) = (TemporaryHeap(), TemporaryHeap())
        let heap = try file.open()
        let ledger = try heap.root(named: "ledger", as: Ledger.self) {
            Ledger(total: 0, entries: PArray())
        }
        heap.unlogged { access in
            access.edit(ledger).total = 77
            access.persist(ledger)
        }
        try heap.backup(to: copy.path)
        #expect(try copy.open()[ledger].total == 77)
    }

    @Test func aFailedBackupLeavesNothing() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        #expect(throws: PersistentMemoryError.self) { try heap.backup(to: "/nonexistent/copy") }
        let folder = TemporaryHeap()
        try FileManager.default.createDirectory(
            atPath: folder.path, withIntermediateDirectories: true)
        #expect(throws: PersistentMemoryError.self) { try heap.backup(to: folder.path) }
        #expect(!FileManager.default.fileExists(atPath: folder.path + ".partial"))
        let copy = TemporaryHeap()
        try heap.backup(to: copy.path)
        try heap.backup(to: copy.path)
        _ = try copy.open()
    }
}

/// Changes a ledger and a list in each transaction so that a mixture of two states shows.
private final class Writer: @unchecked Sendable {
    let heap: PersistentHeap
    let ledger: PRef<Ledger>
    let list: PRef<NodeList>
    let mode: LogMode
    let count = Atomic(0)
    let failure = Mutex<(any Error)?>(nil)
    let isDone = DispatchSemaphore(value: 0)

    init(_ heap: PersistentHeap, _ ledger: PRef<Ledger>, _ list: PRef<NodeList>, _ mode: LogMode) {
        (self.heap, self.ledger, self.list, self.mode) = (heap, ledger, list, mode)
    }

    func step() {
        let number = heap[ledger].total
        do {
            try heap.transaction(mode) { tx in
                try tx.lock(ledger)
                try tx.lock(list)
                tx.edit(ledger).total += 1
                try tx.edit(ledger).entries.append(number)
                tx.edit(list).byName["count", default: 0] += 1
                try push(number, list, tx)
                if number % 7 == 3 { throw Deliberate() }
            }
        } catch is Deliberate {
            do {
                try heap.transaction(mode) { tx in
                    try tx.lock(ledger)
                    try tx.lock(list)
                    tx.edit(ledger).total += 1
                    try tx.edit(ledger).entries.append(number)
                    tx.edit(list).byName["count", default: 0] += 1
                    try push(number, list, tx)
                }
            } catch { failure.withLock { $0 = error } }
        } catch { failure.withLock { $0 = error } }
        do {
            // The list keeps its newest 200 nodes.
            var node = heap[list].head
            for _ in 0..<199 { node = node.flatMap { heap[$0].next } }
            if let last = node, heap[last].next != nil {
                try heap.transaction(mode) { tx in
                    try tx.lock(last)
                    tx.edit(last).next = nil
                }
            }
        } catch { failure.withLock { $0 = error } }
        count.store(number + 1, ordering: .releasing)
    }
}
