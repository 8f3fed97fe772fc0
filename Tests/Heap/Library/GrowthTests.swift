import Foundation
import PersistentHeap
import Testing

/// A file starts small and grows by shares, within an arena and by arenas.
@Suite struct GrowthTests {
    let file = TemporaryHeap()

    private func fileBytes() throws -> Int {
        try #require(
            try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
    }

    @Test func anEmptyHeapTakesAtMostOneMebibyte() throws {
        for domain in [PersistenceDomain.fileSync, .processCrash] {
            let heap = try PersistentHeap(path: file.path, domain: domain)
            _ = try heap.root(named: "list", as: NodeList.self) { .empty }
            #expect(try fileBytes() <= 1 << 20)
            heap.close()
            try FileManager.default.removeItem(atPath: file.path)
        }
    }

    @Test func theFileGrowsByShares() throws {
        var options = HeapOptions()
        options.collectsAtOpen = false
        let heap = try PersistentHeap(path: file.path, domain: .processCrash, options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        var largest = 0.0
        for round in 0..<200 {
            let before = heap.committedBytes
            try heap.transaction { tx in
                for value in 0..<2000 { try push(round * 2000 + value, root, tx) }
            }
            largest = max(largest, Double(heap.committedBytes) / Double(before))
        }
        #expect(heap.growthsForTests > 5)
        #expect(largest < 1.6)
        #expect(try fileBytes() == Int(heap.committedBytes))
        try heap.checkInvariants()
        heap.close()
        let again = try PersistentHeap(path: file.path, domain: .processCrash, options: options)
        let found = try #require(try again.root(named: "list", as: NodeList.self))
        #expect(again[found].count == 400_000)
        #expect(values(again, found).first == 399_999)
        again.collect()
        try again.checkInvariants()
    }

    /// Objects larger than what is left of an arena go into the next; the file ends where
    /// `maximumSize` says.
    @Test func largeObjectsFindRoom() throws {
        let heap = try file.open {
            $0.collectsAtOpen = false
            $0.initialSize = 1 << 17
            $0.maximumSize = 6 << 20
        }
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        var stored = 0
        var refusal: HeapError?
        while refusal == nil {
            do {
                try heap.transaction { tx in
                    let text = String(repeating: "z", count: 300_000 + stored)
                    try tx.edit(root).byName.updateValue(stored, forKey: try tx.string(text))
                }
                stored += 1
            } catch let error as HeapError { refusal = error }
        }
        #expect(refusal == .full(limit: 6 << 20))
        #expect(stored >= 12)
        #expect(heap[root].byName.count == stored)
        try heap.checkInvariants()
        #expect(throws: HeapError.self) {
            try heap.transaction { tx in _ = try tx.string(String(repeating: "a", count: 1 << 21)) }
        }
    }
}
