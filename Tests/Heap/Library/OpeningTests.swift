import CPersistentMemory
import Foundation
import PersistentHeap
import Synchronization
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

    private func flock(_ file: TemporaryHeap, _ command: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["flock", "--no-fork", "--nonblock", file.path] + command
        return process
    }

    @Test func aWriterInAnotherProcessIsRefusedAndRefusesUs() throws {
        let file = TemporaryHeap()
        let heap = try file.open()
        // flock(1) takes the lock as a heap in another process would.
        let refused = flock(file, ["true"])
        try refused.run()
        refused.waitUntilExit()
        #expect(refused.terminationStatus == 1)
        heap.close()
        let pipe = Pipe()
        let holder = flock(file, ["sh", "-c", "echo held; exec cat"])
        let input = Pipe()
        holder.standardInput = input
        holder.standardOutput = pipe
        try holder.run()
        #expect(!pipe.fileHandleForReading.availableData.isEmpty)
        #expect(throws: PersistentMemoryError.alreadyOpen(path: file.path)) { try file.open() }
        // Not SIGTERM: a test runner may ignore it, and its children inherit that.
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
    }

    @Test func aNewerFormatIsRefused() throws {
        let file = TemporaryHeap()
        try makeHeap(file)
        // Both header copies as a later library would write them: version 5, checksum right.
        try change(file) { handle in
            for copy in [0, 4096] as [UInt64] {
                try handle.seek(toOffset: copy)
                let data = try #require(try handle.read(upToCount: 160))
                var words = data.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
                if words[0] == 0 { continue }
                words[1] = words[1] & ~0xFFFF_FFFF | 5
                words[19] = words.dropLast().reduce(0xFFFF_FFFF) { pm_crc32c($0, $1) }
                try handle.seek(toOffset: copy)
                try handle.write(contentsOf: words.withUnsafeBytes { Data($0) })
            }
        }
        #expect(throws: HeapError.newerFormat(found: 5, supported: 4)) { try file.open() }
    }

    @Test func fileSyncWritesTheTouchedPagesAndOnlyThose() throws {
        let file = TemporaryHeap()
        var options = file.options
        options.collectsAtOpen = false
        let heap = try PersistentHeap(path: file.path, domain: .fileSync, options: options)
        #expect(heap.domain == .fileSync)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        for mode in [LogMode.redo, .undo] {
            let before = heap.region.writtenPages
            try heap.transaction(mode) { tx in tx.edit(root).count = 7 }
            heap.lanesForTests.forEach { $0.retire() }
            #expect(
                (1...6).contains(heap.region.writtenPages - before), "log, commit word and object")
        }
        heap.close()
        let again = try PersistentHeap(path: file.path, domain: .fileSync, options: options)
        let found = try #require(try again.root(named: "list", as: NodeList.self))
        #expect(again[found].count == 7)
    }

    /// New objects and homes on many pages: the commit writes the log's new end only.
    @Test func fileSyncCommitsByTheLogAlone() throws {
        let file = TemporaryHeap()
        var options = file.options
        options.collectsAtOpen = false
        let heap = try PersistentHeap(path: file.path, domain: .fileSync, options: options)
        let root = try heap.root(named: "list", as: NodeList.self) { .empty }
        // The type's first page is taken, which is made durable on its own.
        try heap.transaction { tx in tx.edit(root).head = try tx.new(Node(value: 1, next: nil)) }
        let before = heap.region.writtenPages
        try heap.transaction { tx in
            let head = tx.edit(root).head
            tx.edit(root).head = try tx.new(Node(value: 2, next: head))
        }
        #expect((1...2).contains(heap.region.writtenPages - before), "a block may lie on two pages")
    }

    @Test func aCheckpointIsAskedForByName() throws {
        let asked = Mutex(0)
        let file = TemporaryHeap()
        var options = file.options
        let heap = try PersistentHeap(path: file.path, domain: .checkpointed, options: options)
        #expect(throws: HeapError.noCheckpoint) { try heap.makeDurable() }
        heap.close()
        options.checkpoint = { asked.withLock { $0 += 1 } }
        let other = try PersistentHeap(path: file.path, domain: .checkpointed, options: options)
        try other.makeDurable()
        #expect(asked.withLock { $0 } == 1)
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
        #expect(throws: HeapError.noRoot(name: "a")) {
            try heap.transaction { tx in try tx.removeRoot(named: "a") }
        }
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
