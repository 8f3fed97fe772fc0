import PersistentHeap
import Testing

@Persistent struct Tables {
    var numbers: PDictionary<PString, Int>
    var texts: PDictionary<PString, PString>
}

@Suite struct DictionaryTests {
    private func table(_ file: TemporaryHeap) throws -> (PersistentHeap, PRef<Tables>) {
        let heap = try file.open()
        return (
            heap,
            try heap.root(named: "tables") { Tables(numbers: PDictionary(), texts: PDictionary()) }
        )
    }

    private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows
        -> R
    {
        try Array(text.utf8).withUnsafeBytes(body)
    }

    /// "m0" and "m7" fall into neighbouring slots of a table of eight.
    @Test func aRemovedNeighbourHidesNoKey() throws {
        let file = TemporaryHeap()
        let (heap, root) = try table(file)
        for key in ["m0", "m7"] {
            try heap.transaction { tx in
                try tx.edit(root).numbers.updateValue(1, forKey: tx.string(key))
                try tx.edit(root).texts.updateValue(tx.string(key), forKey: tx.string(key))
            }
        }
        try heap.transaction { tx in
            bytes("m7") { _ = tx.edit(root).numbers.removeValue(forBytes: $0) }
            bytes("m7") { _ = tx.edit(root).texts.removeValue(forBytes: $0) }
        }
        #expect(bytes("m0") { heap[root].numbers.value(forBytes: $0, in: heap) } == 1)
        #expect(
            bytes("m0") { heap[root].texts.value(forBytes: $0, in: heap)?.string(in: heap) } == "m0"
        )
        #expect(bytes("m7") { heap[root].numbers.value(forBytes: $0, in: heap) } == nil)
    }

    /// Random insertions, replacements and removals, one or many to a transaction, beside a Swift
    /// dictionary.
    @Test(arguments: [LogMode.redo, .undo]) func agreesWithASwiftDictionary(_ mode: LogMode) throws
    {
        let file = TemporaryHeap()
        let (heap, root) = try table(file)
        var random = Steps(state: 3)
        var expected: [String: Int] = [:]
        for _ in 0..<400 {
            try heap.transaction(mode) { tx in
                for _ in 0..<random.below(12) {
                    let key =
                        "m\(random.below(60))" + (random.below(2) == 0 ? "" : " with a longer name")
                    let value = random.below(1000)
                    let old: Int?
                    if random.below(3) == 0 {
                        old = bytes(key) { tx.edit(root).numbers.removeValue(forBytes: $0)?.value }
                        #expect(old == expected.removeValue(forKey: key))
                    } else {
                        old = try bytes(key) {
                            try tx.edit(root).numbers.updateValue(value, forBytes: $0, in: tx)
                        }
                        #expect(old == expected.updateValue(value, forKey: key))
                    }
                }
            }
        }
        var found: [String: Int] = [:]
        heap[root].numbers.forEach(in: heap) { found[$0.string(in: heap)] = $1 }
        #expect(found == expected && heap[root].numbers.count == expected.count)
        for (key, value) in expected {
            #expect(bytes(key) { heap[root].numbers.value(forBytes: $0, in: heap) } == value)
        }
    }
}

private struct Steps {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }
}
