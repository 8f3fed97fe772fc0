import HeapTool
import PersistentHeap
import Testing

@Suite struct HeapToolTests {
    private func lines(_ command: HeapTool.Command, _ path: String) throws -> String {
        var lines: [String] = []
        try HeapTool.run(command, path: path) { lines.append($0) }
        return lines.joined(separator: "\n")
    }

    @Test func aHeapIsExplainedWithoutItsProgram() throws {
        let file = TemporaryHeap()
        do {
            let heap = try file.open()
            let root = try heap.root(named: "list", as: NodeList.self) { .empty }
            try heap.transaction { tx in
                try push(41, root, tx)
                tx.edit(root).name = try tx.string("a name longer than fifteen bytes")
                _ = try tx.new(Node(value: 1, next: nil))
            }
            heap.close()
        }
        #expect(try lines(.info, file.path).contains("root        list: NodeList"))
        #expect(try lines(.check, file.path).contains("1 × Node"))
        let dump = try lines(.dump, file.path)
        #expect(dump.contains("value: Int = 41"))
        #expect(dump.contains("name: PString = \"a name longer than fifteen bytes\""))
        #expect(try lines(.gc, file.path).contains("objects reachable"))
    }

    @Test func aMissingFileIsAnErrorAndIsNotMade() throws {
        #expect(throws: PersistentMemoryError.self) { try lines(.info, "/nonexistent/heap") }
    }
}
