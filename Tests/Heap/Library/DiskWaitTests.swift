import PersistentHeap
import Testing

/// How often each kind of operation waits for the disk on an ordinary file: the table of
/// Docs/heap.md.
@Suite struct DiskWaitTests {
    let file = TemporaryHeap()

    /// A heap with a list of 1,000 numbers and names, and every type known.
    private func makeHeap(_ change: (inout HeapOptions) -> Void = { _ in }) throws -> (
        PersistentHeap, PRef<NodeList>
    ) {
        var options = file.options
        options.collectsAtOpen = false
        options.arenaShift = 24
        options.laneBytes = 1 << 16
        // Growth has a test of its own.
        options.initialSize = 1 << 24
        change(&options)
        let heap = try PersistentHeap(path: file.path, domain: .fileSync, options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in
            try tx.lock(root)
            let edit = tx.edit(root)
            for value in 0..<1000 {
                try edit.numbers.append(value)
                try edit.byName.updateValue(value, forKey: try tx.string("name \(value)"))
            }
            try push(1, root, tx)
        }
        return (heap, root)
    }

    private func waits(_ heap: PersistentHeap, _ body: () throws -> Void) rethrows -> Int {
        let before = heap.region.diskWaits
        try body()
        return heap.region.diskWaits - before
    }

    @Test(arguments: [LogMode.redo, .undo]) func aCommitWaitsOnceAndNeverMoreThanTwice(
        _ mode: LogMode
    ) throws {
        let (heap, root) = try makeHeap()
        var counts: [Int: Int] = [:]
        for value in 0..<3000 {
            let count = try waits(heap) {
                try heap.transaction(mode) { tx in
                    let edit = tx.edit(root)
                    edit.numbers[value % 1000] = value
                    edit.numbers.swapAt(value % 7, value % 11)
                    try push(value, root, tx)
                    edit.name = try tx.string("the name of the list is number \(value)")
                }
            }
            counts[count, default: 0] += 1
        }
        // Two: the homes of half a log are made durable.
        #expect(Set(counts.keys) == [1, 2])
        #expect(counts[2, default: 0] < 100)
        try heap.checkInvariants()
    }

    /// However much it changes, and whatever it allocates.
    @Test(arguments: [LogMode.redo, .undo]) func aLongTransactionWaitsAtMostTwice(_ mode: LogMode)
        throws
    {
        let (heap, root) = try makeHeap()
        let appends = try waits(heap) {
            try heap.transaction(mode) { tx in
                for value in 0..<20_000 { try tx.edit(root).numbers.append(value) }
            }
        }
        #expect((1...2).contains(appends))
        let inserts = try waits(heap) {
            try heap.transaction(mode) { tx in
                for value in 1000..<20_000 {
                    let name = try tx.string("a longer name than fits \(value)")
                    try tx.edit(root).byName.updateValue(value, forKey: name)
                }
            }
        }
        #expect((1...2).contains(inserts))
        let updates = try waits(heap) {
            try heap.transaction(mode) { tx in
                let numbers = tx.edit(root).numbers
                for index in 0..<numbers.count { numbers[index] = -index }
            }
        }
        #expect((1...2).contains(updates))
        #expect(heap[root].numbers.element(at: 20_999, in: heap) == -20_999)
        try heap.checkInvariants()
    }

    @Test(arguments: [LogMode.redo, .undo]) func whatChangesNothingDoesNotWait(_ mode: LogMode)
        throws
    {
        let (heap, root) = try makeHeap()
        let count = try waits(heap) {
            try heap.transaction(mode) { _ in }
            #expect(throws: Deliberate.self) {
                try heap.transaction(mode) { tx in
                    let edit = tx.edit(root)
                    for value in 0..<5000 { try edit.numbers.append(value) }
                    for value in 0..<1000 { edit.numbers[value] = -1 }
                    try push(3, root, tx)
                    throw Deliberate()
                }
            }
            try heap.makeDurable()
        }
        #expect(count == 0)
        #expect(heap[root].numbers.elements(in: heap) == Array(0..<1000))
        #expect(values(heap, root) == [1])
    }

    /// Giving runs back waited once for each.
    @Test func freeingRunsAndCollectingThemDoNotWaitForEach() throws {
        let (heap, root) = try makeHeap()
        let freed = try waits(heap) {
            for round in 0..<20 {
                try heap.transaction { tx in
                    tx.edit(root).numbers.removeAll()
                    for value in 0..<(2000 + round) { try tx.edit(root).numbers.append(value) }
                }
            }
        }
        #expect((20...40).contains(freed))
        try heap.transaction { tx in
            for _ in 0..<100 { _ = try tx.string(String(repeating: "x", count: 10_000)) }
            tx.edit(root).count = 2
        }
        let collected = waits(heap) { heap.collect() }
        #expect(collected <= 3, "the log is retired, nothing else")
        try heap.checkInvariants()
    }

    /// Within an arena once.
    @Test func growthWaitsAtMostTwice() throws {
        let (heap, root) = try makeHeap {
            $0.arenaShift = 20
            $0.initialSize = 1 << 18
        }
        let before = heap.growthsForTests
        let count = try waits(heap) {
            try heap.transaction { tx in
                for _ in 0..<8 {
                    let text = String(repeating: "y", count: 500_000)
                    try tx.edit(root).byName.updateValue(0, forKey: try tx.string(text))
                }
            }
        }
        let grown = heap.growthsForTests - before
        #expect(grown > 0)
        #expect(count <= 2 * grown + 2)
    }

    /// The first use of a type writes its record.
    @Test func aNewTypeWaitsAFewTimesOnce() throws {
        let (heap, _) = try makeHeap()
        func use() throws {
            try heap.transaction { tx in
                try tx.setRoot(named: "other", to: tx.new(LockedPair(a: 1, b: 2)))
            }
        }
        #expect(try waits(heap, use) <= 6)
        #expect(try waits(heap, use) == 1)
    }

    /// Where other lanes may change the same words next, each commit makes its homes durable.
    @Test(arguments: [LogMode.redo, .undo]) func lockingTransactionsWaitThreeTimes(_ mode: LogMode)
        throws
    {
        let (heap, root) = try makeHeap { $0.isolation = .locking }
        let count = try waits(heap) {
            try heap.transaction(mode) { tx in
                try tx.lock(root)
                let edit = tx.edit(root)
                for index in 0..<500 { edit.numbers[index] = -1 }
            }
        }
        #expect(count == 3)
        #expect(heap[root].numbers.element(at: 499, in: heap) == -1)
    }

    /// Undo means that reads see the stores where they are, through the heap too, and that an error
    /// takes them back: on a file as elsewhere.
    @Test(arguments: [PersistenceDomain.fileSync, .processCrash]) func undoStoresInPlace(
        _ domain: PersistenceDomain
    ) throws {
        var options = file.options
        options.collectsAtOpen = false
        var heap = try PersistentHeap(path: file.path, domain: domain, options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in tx.edit(root).count = 1 }
        #expect(throws: Deliberate.self) {
            try heap.transaction(.undo) { tx in
                tx.edit(root).count = 2
                #expect(heap[root].count == 2)
                #expect(tx[root].count == 2)
                throw Deliberate()
            }
        }
        #expect(heap[root].count == 1)
        try heap.transaction(.undo) { tx in
            tx.edit(root).count = 3
            #expect(heap[root].count == 3)
        }
        #expect(heap[root].count == 3)
        heap.close()
        heap = try PersistentHeap(path: file.path, domain: domain, options: options)
        let again = try #require(try heap.root(named: "list", as: NodeList.self))
        #expect(heap[again].count == 3)
    }

    /// Pages that cannot be made private: words are gathered, and every kind of read sees them.
    @Test func storesThatFindNoPrivatePageAreGathered() throws {
        let (heap, root) = try makeHeap()
        let reference = try heap.transaction { tx in
            let numbers = tx.edit(root).numbers
            for value in 1000..<100_000 { try numbers.append(value) }
            return root
        }
        for limit in [0, 1, 3] {
            for lane in heap.lanesForTests { lane.state.pointee.mostPrivateRuns = limit }
            for fails in [true, false] {
                let run = {
                    try heap.transaction(.undo) { tx in
                        let numbers = tx.edit(reference).numbers
                        for index in stride(from: 0, to: 100_000, by: 777) {
                            numbers[index] = -index - limit
                            numbers.swapAt(index, (index + 50_000) % 100_000)
                            numbers.swapAt(index, (index + 50_000) % 100_000)
                        }
                        tx.edit(reference).color = .blue
                        tx.edit(reference).maybe = limit
                        #expect(numbers[777] == -777 - limit)
                        #expect(tx[reference].maybe == limit)
                        if fails { throw Deliberate() }
                    }
                }
                let before = heap[reference].numbers.elements(in: heap)
                if fails {
                    #expect(throws: Deliberate.self, performing: run)
                    #expect(heap[reference].numbers.elements(in: heap) == before)
                } else {
                    try run()
                    for index in stride(from: 0, to: 100_000, by: 777) {
                        #expect(
                            heap[reference].numbers.element(at: index, in: heap) == -index - limit)
                    }
                    #expect(heap[reference].maybe == limit)
                }
            }
        }
    }
}

@Persistent struct LockedPair {
    var a: Int
    var b: Int
}
