import PersistentHeap
import Testing

@Suite struct TransactionTests {
    @Test(arguments: [LogMode.redo, .undo]) func dataSurvivesAReopen(mode: LogMode) throws {
        let file = TemporaryHeap()
        do {
            let heap = try file.open()
            let root = try heap.root(named: "list", as: NodeList.self) { .empty }
            for value in 0..<100 { try heap.transaction(mode) { tx in try push(value, root, tx) } }
            try heap.transaction(mode) { tx in
                let edit = tx.edit(root)
                edit.name = try tx.string("a name that is longer than fifteen bytes")
                edit.color = .blue
                edit.maybe = 42
                for value in 0..<1000 { try edit.numbers.append(value * value) }
                for value in 0..<300 {
                    try edit.byName.updateValue(value, forKey: tx.string("key number \(value)"))
                }
            }
            heap.close()
        }
        let heap = try file.open()
        let root = try #require(try heap.root(named: "list", as: NodeList.self))
        #expect(values(heap, root) == Array((0..<100).reversed()))
        #expect(heap[root].name.string(in: heap) == "a name that is longer than fifteen bytes")
        #expect(heap[root].color == .blue)
        #expect(heap[root].maybe == 42)
        #expect(heap[root].numbers.elements(in: heap) == (0..<1000).map { $0 * $0 })
        #expect(heap[root].byName.count == 300)
        try heap.transaction { tx in
            let key = try tx.string("key number 250")
            #expect(tx.edit(root).byName[key] == 250)
            #expect(tx.edit(root).byName.removeValue(forKey: key)?.value == 250)
            #expect(tx.edit(root).byName[key] == nil)
        }
        heap.waitForCollector()
        try heap.checkInvariants()
    }

    @Test(arguments: [LogMode.redo, .undo]) func aThrowUndoesEverything(mode: LogMode) throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction(mode) { tx in
            try push(1, root, tx)
            try tx.edit(root).numbers.append(5)
        }
        #expect(throws: Deliberate.self) {
            try heap.transaction(mode) { tx in
                try push(2, root, tx)
                for value in 0..<5000 { try tx.edit(root).numbers.append(value) }
                tx.edit(root).numbers[0] = 6
                throw Deliberate()
            }
        }
        #expect(values(heap, root) == [1])
        #expect(heap[root].numbers.elements(in: heap) == [5])
        try heap.checkInvariants()
    }

    @Test(arguments: [LogMode.redo, .undo]) func aTransactionSeesItsOwnStores(mode: LogMode) throws
    {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction(mode) { tx in
            let edit = tx.edit(root)
            edit.count = 3
            edit.maybe = 9
            edit.color = .green
            #expect(tx[root].count == 3)
            #expect(edit.maybe == 9)
            #expect(tx[root].color == .green)
            for value in 0..<100 { try edit.numbers.append(value) }
            edit.numbers.swapAt(0, 99)
            #expect(edit.numbers[0] == 99)
        }
        #expect(heap[root].numbers.element(at: 99, in: heap) == 0)
    }

    @Test func nestedTransactionsJoin() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { outer in
            try push(1, root, outer)
            try heap.transaction { inner in try push(2, root, inner) }
            #expect(outer[root].count == 2)
        }
        #expect(heap[root].count == 2)
        #expect(throws: HeapError.nestedAbort) {
            try heap.transaction { tx in
                try push(3, root, tx)
                try? heap.transaction { _ in throw Deliberate() }
            }
        }
        #expect(heap[root].count == 2)
        try heap.transaction { tx in try push(4, root, tx) }
        #expect(values(heap, root) == [4, 2, 1])
    }

    @Test(arguments: [LogMode.redo, .undo]) func longTransactionsOutgrowTheLane(mode: LogMode)
        throws
    {
        let file = TemporaryHeap()
        let heap = try file.open { $0.arenaShift = 24 }
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        let count = 50_000
        try heap.transaction(mode) { tx in
            try tx.edit(root).numbers.reserve(count)
            for value in 0..<count { try tx.edit(root).numbers.append(value) }
        }
        #expect(throws: Deliberate.self) {
            try heap.transaction(mode) { tx in
                for index in 0..<count { tx.edit(root).numbers[index] = -1 }
                throw Deliberate()
            }
        }
        #expect(heap[root].numbers.elements(in: heap) == Array(0..<count))
        try heap.transaction(mode) { tx in
            for index in 0..<count { tx.edit(root).numbers[index] = index + 1 }
        }
        #expect(heap[root].numbers.elements(in: heap) == Array(1...count))
    }

    @Test func unloggedStoresAreThereAfterPersist() throws {
        let memory = SimulatedMemory(bytes: 1 << 20)
        var options = TemporaryHeap().options
        options.arenaShift = 18
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        let heap = try PersistentHeap(region: memory.region(), options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        heap.unlogged { access in
            access.edit(root).count = 77
            access.persist(root)
        }
        var random = SplitMix64(seed: 3)
        var image = [UInt64](repeating: 0, count: 1 << 17)
        memory.crashImage(into: &image, random: &random)
        let again = SimulatedMemory(image: image, committedBytes: memory.committedBytes)
        let reopened = try PersistentHeap(region: again.region(), options: options)
        let found = try #require(try reopened.root(named: "list", as: NodeList.self))
        #expect(reopened[found].count == 77)
    }

    @Test func aTransactionOfTwoRangesTakesAtMostThreeFences() throws {
        let memory = SimulatedMemory(bytes: 1 << 20)
        var options = TemporaryHeap().options
        options.arenaShift = 18
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        let heap = try PersistentHeap(region: memory.region(), options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in for value in 0..<50 { try tx.edit(root).numbers.append(value) }
        }
        var before = memory.fences
        try heap.transaction(.redo) { tx in tx.edit(root).numbers.swapAt(3, 40) }
        #expect(memory.fences - before == 1)
        // The first undo after a redo makes that one final: two more, once.
        before = memory.fences
        try heap.transaction(.undo) { tx in tx.edit(root).numbers.swapAt(3, 40) }
        #expect(memory.fences - before <= 5)
        before = memory.fences
        try heap.transaction(.undo) { tx in tx.edit(root).numbers.swapAt(3, 40) }
        #expect(memory.fences - before == 3)
    }
}

@Suite struct AnnouncedArrays {
    /// What was announced is logged once, and comes back when the transaction fails.
    @Test(arguments: [LogMode.redo, .undo]) func comeBackAfterAFailure(_ mode: LogMode) throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list") { NodeList.empty }
        try heap.transaction { tx in
            for value in 0..<100 { try tx.edit(root).numbers.append(value) }
        }
        #expect(throws: Deliberate.self) {
            try heap.transaction(mode) { tx in
                let numbers = tx.edit(root).numbers
                numbers.announce()
                for index in 0..<100 { numbers[index] = -1 }
                throw Deliberate()
            }
        }
        #expect(heap[root].numbers.elements(in: heap) == Array(0..<100))
    }
}
