import Foundation
import HeapCore
import HeapTool
import PersistentHeap
import Testing

@Suite struct HeapTopTests {
    private func sample(_ top: inout HeapTop) throws -> [String] {
        var lines: [String] = []
        try top.sample { lines.append($0) }
        return lines
    }

    private func row(_ lines: [String], _ type: String) throws -> [String] {
        let line = try #require(lines.first { $0.hasSuffix("  " + type) })
        return line.split(separator: " ").map(String.init)
    }

    /// Beside a program that has the heap: pages and growth; without one: what lives in them.
    @Test func typesAreSeenGrowing() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        var top = HeapTop(path: file.path)
        try heap.transaction { tx in for value in 0..<10 { try push(value, root, tx) } }
        let before = try sample(&top)
        #expect(before.last?.contains("open in another program") == true)
        #expect(try row(before, "Node")[3] == "-")
        try heap.transaction { tx in
            for value in 0..<2000 { try push(value, root, tx) }
            try tx.edit(root).numbers.append(contentsOf: 0..<3000)
        }
        let grown = try sample(&top)
        let growth = try row(grown, "Node")[3]
        #expect(growth.hasPrefix("+") && (Int(growth.dropFirst()) ?? 0) > 1400 * 16)
        #expect(try (Int(row(grown, "[Int]")[0]) ?? 0) >= 3000 * 8)
        try heap.transaction { tx in tx.edit(root).head = nil }
        heap.close()
        let closed = try sample(&top)
        #expect(!closed.contains { $0.contains("another program") })
        let numbers = try row(closed, "[Int]")
        #expect(numbers[4] == "1" && numbers.contains("%"))
        #expect(!closed.contains { $0.contains("NodeList") && $0.contains("-  ") })
    }

    /// Whatever the file holds, there is an answer or an error.
    @Test func damagedFilesAreSurvived() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in for value in 0..<100 { try push(value, root, tx) } }
        heap.close()
        let whole = try Data(contentsOf: URL(fileURLWithPath: file.path))
        var state: UInt64 = 5
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0..<40 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let place = Int(state >> 20) % 40_000
                bytes[place] ^= UInt8(truncatingIfNeeded: state >> 12)
            }
            let damaged = TemporaryHeap()
            try bytes.write(to: URL(fileURLWithPath: damaged.path))
            do { _ = try HeapSample(path: damaged.path) } catch is HeapError {}
        }
        #expect(throws: PersistentMemoryError.self) { try HeapSample(path: "/nonexistent/heap") }
        let text = TemporaryHeap()
        try Data("no heap".utf8).write(to: URL(fileURLWithPath: text.path))
        #expect(throws: HeapError.notAHeap(path: text.path)) { try HeapSample(path: text.path) }
    }
}
