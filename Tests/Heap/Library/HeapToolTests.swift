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

    @Test func nativeObjectsAreShownWithoutTheirClasses() throws {
        let file = TemporaryHeap()
        do {
            let heap = try file.open { $0.nativeTypes = [Person.self] }
            let person = try heap.root(named: "person", as: Person.self) { Person(age: 31) }
            try heap.transaction(.undo) { tx in person.friend = try tx.pnew(Person(age: 32)) }
            heap.close()
        }
        #expect(try lines(.gc, file.path).contains("objects reachable"))
        #expect(try lines(.check, file.path).contains("2 × Person"))
        let dump = try lines(.dump, file.path)
        #expect(dump.contains("age: Int = 32"))
        #expect(dump.contains("friend: Person? = 0x"))
        let heap = try file.open { $0.nativeTypes = [Person.self] }
        #expect(try heap.root(named: "person", as: Person.self)?.ages() == [31, 32])
    }

    @Test func aMissingFileIsAnErrorAndIsNotMade() throws {
        #expect(throws: PersistentMemoryError.self) { try lines(.info, "/nonexistent/heap") }
    }
}
