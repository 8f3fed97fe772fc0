import PersistentHeap
import Testing

@Suite struct CollectorTests {
    @Test func whatCannotBeReachedIsReused() throws {
        let file = TemporaryHeap()
        // The collection at the opening would share the work with those that are counted here.
        let heap = try file.open { $0.collectsAtOpen = false }
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        var sizes: Set<UInt64> = []
        for _ in 0..<8 {
            try heap.transaction { tx in for value in 0..<20_000 { try push(value, root, tx) } }
            try heap.transaction { tx in
                tx.edit(root).head = nil
                tx.edit(root).count = 0
            }
            let progress = heap.collect()
            #expect(progress.freedPages > 0)
            sizes.insert(heap.committedBytes)
            try heap.checkInvariants()
        }
        #expect(sizes.count <= 2, "the file stops growing: \(sizes)")
    }

    @Test func freedCellsComeBackWithoutACollection() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        for value in 0..<50_000 {
            try heap.transaction { tx in
                if let head = tx[root].head { tx.free(head) }
                tx.edit(root).head = try tx.new(Node(value: value, next: nil))
            }
        }
        #expect(heap.committedBytes == 1 << 20)
        #expect(values(heap, root) == [49_999])
    }

    @Test func aCrashedAllocationDoesNotLeak() throws {
        let file = TemporaryHeap()
        for _ in 0..<6 {
            let heap = try file.open()
            let root = try heap.root(named: "list", as: NodeList.self) { .empty }
            // Allocated, and never linked: as if the process died in between.
            try heap.transaction { tx in
                for value in 0..<20_000 { _ = try tx.new(Node(value: value, next: nil)) }
            }
            heap.waitForCollector()
            #expect(heap[root].count == 0)
            heap.close()
        }
        let heap = try file.open()
        heap.collect()
        let statistics = try heap.checkInvariants()
        #expect(statistics.committedBytes <= 2 << 20)
        #expect(statistics.liveObjects < 20)
    }

    @Test func objectsThatMoveWhileMarkingAreKept() throws {
        let file = TemporaryHeap()
        let heap = try file.open { $0.arenaShift = 22 }
        let a = try heap.root(named: "a", as: NodeList.self) { .empty }
        let b = try heap.root(named: "b", as: NodeList.self) { .empty }
        try heap.transaction { tx in for value in 0..<30_000 { try push(value, a, tx) } }
        heap.close()
        let again = try file.open { $0.arenaShift = 22 }
        let from = try #require(PRef<NodeList>(word: a.word))
        let to = try #require(PRef<NodeList>(word: b.word))
        for _ in 0..<30_000 {
            try again.transaction { tx in
                guard let node = tx[from].head else { return }
                tx.edit(from).head = tx[node].next
                tx.edit(node).next = tx[to].head
                tx.edit(to).head = node
            }
        }
        again.waitForCollector()
        #expect(values(again, to) == Array(0..<30_000))
        try again.checkInvariants()
    }

    @Test func pinnedObjectsStay() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let node = try heap.transaction { tx in try tx.new(Node(value: 5, next: nil)) }
        heap.pin(node)
        heap.collect()
        for value in 0..<5000 {
            try heap.transaction { tx in _ = try tx.new(Node(value: value, next: nil)) }
        }
        #expect(heap[node].value == 5)
        heap.unpin(node)
    }

    @Test func fragmentationIsReportedAndEmptyPagesServeAnyType() throws {
        let file = TemporaryHeap()
        let heap = try file.open { $0.collectsAtOpen = false }
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        // 1000 nodes kept, each among 20 that nothing reaches.
        for value in 0..<20_000 {
            try heap.transaction { tx in
                if value % 20 == 0 {
                    try push(value, root, tx)
                } else {
                    _ = try tx.new(Node(value: value, next: nil))
                }
            }
        }
        heap.collect()
        let sparse = try heap.statistics()
        #expect(sparse.fragmentation > 0.8)
        try heap.transaction { tx in tx.edit(root).head = nil }
        heap.collect()
        let empty = try heap.statistics()
        #expect(empty.freePages > sparse.freePages + 30)
        #expect(empty.longestFreeRun > sparse.longestFreeRun)
        let size = heap.committedBytes
        try heap.transaction { tx in
            for _ in 0..<(empty.freePages / 2) {
                tx.edit(root).name = try tx.string(String(repeating: "x", count: 4000))
            }
        }
        #expect(heap.committedBytes == size)
        try heap.checkInvariants()
    }
}
