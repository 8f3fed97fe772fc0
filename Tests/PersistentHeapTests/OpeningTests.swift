import Foundation
import PersistentHeap
import Testing

@Suite struct OpeningTests {
    private func makeHeap(_ file: TemporaryHeap) throws {
        let heap = try file.open()
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        try heap.transaction { tx in try push(1, root, tx) }
        heap.close()
    }

    private func change(_ file: TemporaryHeap, _ body: (FileHandle) throws -> Void) throws {
        let handle = try #require(FileHandle(forUpdatingAtPath: file.path))
        try body(handle)
        try handle.close()
    }

    @Test func aForeignFileIsRefused() throws {
        let file = TemporaryHeap()
        try Data(repeating: 65, count: 1 << 20).write(to: URL(fileURLWithPath: file.path))
        #expect(throws: HeapError.notAHeap(path: file.path)) { try file.open() }
        try Data(repeating: 65, count: 100).write(to: URL(fileURLWithPath: file.path))
        #expect(throws: HeapError.self) { try file.open() }
    }

    @Test func aTruncatedFileIsRefused() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        try change(file) { try $0.truncate(atOffset: 1 << 19) }
        #expect(throws: HeapError.truncated(expected: 1 << 20, found: 1 << 19)) { try file.open() }
    }

    @Test func oneDamagedHeaderIsSurvivedTwoAreNot() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        let garbage = Data(repeating: 7, count: 100)
        try change(file) {
            try $0.seek(toOffset: 16)
            try $0.write(contentsOf: garbage)
        }
        do {
            let heap = try file.open()
            #expect(try heap.root(named: "list", as: NodeList.self) != nil)
            heap.close()
        }
        try change(file) {
            for offset in [16, 4096 + 16] as [UInt64] {
                try $0.seek(toOffset: offset)
                try $0.write(contentsOf: garbage)
            }
        }
        #expect(throws: HeapError.damagedHeader(detail: "checksums")) { try file.open() }
    }

    @Test func aSecondWriterIsRefused() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        #expect(throws: PersistentMemoryError.alreadyOpen(path: file.path)) { try file.open() }
        heap.close()
        _ = try file.open()
    }

    @Test func aWrongTypeIsRefused() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        let heap = try file.open()
        #expect(throws: HeapError.wrongType(name: "list", stored: "NodeList", asked: "Node")) {
            try heap.root(named: "list", as: Node.self)
        }
    }

    @Test func aDamagedTypeRecordIsNamed() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        let data = try Data(contentsOf: URL(fileURLWithPath: file.path))
        let place = try #require(data.range(of: Data("NodeListhead".utf8)))
        try change(file) {
            try $0.seek(toOffset: UInt64(place.lowerBound))
            try $0.write(contentsOf: Data("X".utf8))
        }
        #expect(throws: HeapError.self) { try file.open() }
    }

    @Test func rootsAreListedAndRemoved() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        _ = try heap.root(named: "a", as: NodeList.self) { .empty }
        _ = try heap.root(named: "b", as: Node.self) { Node(value: 1, next: nil) }
        #expect(try heap.rootNames().map(\.name).sorted() == ["a", "b"])
        try heap.transaction { tx in try tx.removeRoot(named: "a") }
        #expect(try heap.rootNames().map(\.name) == ["b"])
        #expect(throws: HeapError.noRoot(name: "a")) { try heap.transaction { tx in try tx.removeRoot(named: "a") } }
    }

    @Test func theHeapMapsAnywhere() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        for address in [0x6000_0000_0000, 0x6100_0000_0000] as [UInt] {
            let heap = try file.open { $0.address = address }
            #expect(UInt(bitPattern: heap.region.base) == address)
            let root = try #require(try heap.root(named: "list", as: NodeList.self))
            #expect(values(heap, root) == [1])
            heap.close()
        }
    }
}
