import PersistentHeap
import Testing

/// A method of an ordinary structure: works on a copy in volatile memory and on a value read from
/// the heap.
extension Node {
    var doubled: Int { value * 2 }
}

/// One function for heaps and transactions.
private func sum<Reader: HeapReading & ~Copyable>(_ head: PRef<Node>?, in reader: borrowing Reader)
    -> Int
{
    var (total, next) = (0, head)
    while let reference = next {
        let node: Node = reader.load(reference.word)
        total += node.value
        next = node.next
    }
    return total
}

/// go-pmem's seven design goals (Go-pmem, USENIX ATC 2020, section 3), one test for each.
@Suite struct SevenGoals {
    @Test func singleTypeSystem() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let volatile = Node(value: 4, next: nil)
        let persistent = try heap.root(named: "node", as: Node.self) { volatile }
        let copy: Node = heap[persistent]
        #expect(copy.value == volatile.value)
        #expect(MemoryLayout<Node>.size == 16)
    }

    @Test func twoHeaps() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        var volatile: [String: PRef<Node>] = [:]
        volatile["a"] = try heap.root(named: "a", as: Node.self) { Node(value: 1, next: nil) }
        let reference = try #require(volatile["a"])
        #expect(heap[reference].value == 1)
    }

    @Test func eightByteReferences() throws {
        #expect(MemoryLayout<PRef<Node>>.size == 8)
        #expect(MemoryLayout<PRef<Node>?>.size == 8)
        let file = TemporaryHeap()
        let heap = try file.open()
        let node = try heap.root(named: "node", as: Node.self) { Node(value: 9, next: nil) }
        let address = heap.region.base + Int(node.offset)
        #expect(
            address.load(as: Int.self) == 9, "a reference is an offset, followed by one addition")
    }

    @Test func dataAcrossRestarts() throws {
        let file = TemporaryHeap()
        do {
            let heap = try file.open()
            _ = try heap.root(named: "node", as: Node.self) { Node(value: 12, next: nil) }
            heap.close()
        }
        let heap = try file.open()
        let node = try #require(try heap.root(named: "node", as: Node.self))
        #expect(heap[node].value == 12)
    }

    @Test func crashConsistentUpdates() throws {
        let memory = SimulatedMemory(bytes: 1 << 20)
        var options = TemporaryHeap().options
        options.arenaShift = 18
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        let heap = try PersistentHeap(region: memory.region(), options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        var random = SplitMix64(seed: 5)
        var images: [[UInt64]] = []
        memory.onStep = { memory in
            var image = [UInt64](repeating: 0, count: 1 << 17)
            memory.crashImage(into: &image, random: &random)
            images.append(image)
        }
        try heap.transaction { tx in
            try push(1, root, tx)
            tx.edit(root).maybe = 5
        }
        memory.onStep = nil
        #expect(images.count > 3)
        for image in images {
            let after = SimulatedMemory(image: image, committedBytes: memory.committedBytes)
            let reopened = try PersistentHeap(region: after.region(), options: options)
            let found = try #require(try reopened.root(named: "list", as: NodeList.self))
            let isBefore = reopened[found].count == 0 && reopened[found].maybe == nil
            let isAfter = values(reopened, found) == [1] && reopened[found].maybe == 5
            #expect(isBefore || isAfter)
        }
    }

    @Test func functionsReused() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in
            try push(1, root, tx)
            try push(2, root, tx)
            #expect(sum(tx[root].head, in: tx) == 3)
        }
        #expect(sum(heap[root].head, in: heap) == 3)
        let head = try #require(heap[root].head)
        #expect(heap[head].doubled == Node(value: 2, next: nil).doubled)
    }

    @Test func updatesOutsideTransactions() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let node = try heap.root(named: "node", as: Node.self) { Node(value: 1, next: nil) }
        heap.unlogged { access in
            access.edit(node).value = 2
            access.persist(node)
        }
        #expect(heap[node].value == 2)
    }
}
