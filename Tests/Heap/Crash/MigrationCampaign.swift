import PersistentHeap

@Persistent("Entry") struct EntryV1 {
    var value: Int
    var next: PRef<EntryV1>?
}

@Persistent("Entry") struct EntryV2 {
    var isOdd: Bool
    var value: Int
    var next: PRef<EntryV2>?
}

@Persistent struct OtherEntry {
    var value: Int
    var next: PRef<OtherEntry>?
}

extension CrashCampaign {
    /// A list of the old layout is made and closed; then every persist step of the open that
    /// migrates it is cut.
    mutating func runMigration() throws {
        let old = SimulatedMemory(bytes: Self.bytes)
        old.journals = journals
        var random = SplitMix64(seed: seed)
        let values = (0..<Int(1 + random.next() % 40)).map { _ in Int(random.next() % 1000) }
        try makeOldHeap(old, values)
        var options = Self.options
        options.migrations = [
            Migration(from: EntryV1.self, to: EntryV2.self) {
                // References keep their words: the migration redirects them to the successors.
                EntryV2(
                    isOdd: $0.value % 2 == 1, value: $0.value,
                    next: $0.next.flatMap { PRef(word: $0.word) })
            }
        ]
        let probe = Probe(
            seed: seed, bytes: Self.bytes, images: imagesPerStep * 2, options: options
        ) { heap in
            try Self.checkMigrated(heap, values)
        }
        probe.operation = "migrating \(values.count) objects"
        let memory = SimulatedMemory(bytes: Self.bytes)
        memory.journals = journals
        memory.load(old.contents, committedBytes: old.committedBytes)
        memory.onStep = { probe.crash($0) }
        let heap = try PersistentHeap(region: memory.region(), options: options)
        memory.onStep = nil
        try Self.checkMigrated(heap, values)
        try heap.checkInvariants()
        try finish(probe)
    }

    private func makeOldHeap(_ memory: SimulatedMemory, _ values: [Int]) throws {
        let heap = try PersistentHeap(region: memory.region(), options: Self.options)
        let root = try heap.root(named: "entry", as: EntryV1.self) { EntryV1(value: -1, next: nil) }
        _ = try heap.root(named: "other", as: OtherEntry.self) { OtherEntry(value: 5, next: nil) }
        for value in values.reversed() {
            try heap.transaction { tx in
                tx.edit(root).next = try tx.new(EntryV1(value: value, next: tx[root].next))
            }
        }
        heap.close()
    }

    private static func checkMigrated(_ heap: PersistentHeap, _ values: [Int]) throws {
        guard let root = try heap.root(named: "entry", as: EntryV2.self),
            let other = try heap.root(named: "other", as: OtherEntry.self), heap[other].value == 5
        else { throw CrashFailure("a root is gone") }
        var found: [Int] = []
        var next = heap[root].next
        while let entry = next, found.count <= values.count {
            guard heap[entry].isOdd == (heap[entry].value % 2 == 1) else {
                throw CrashFailure("an object is half migrated")
            }
            found.append(heap[entry].value)
            next = heap[entry].next
        }
        guard found == values else { throw CrashFailure("found \(found), expected \(values)") }
    }
}
