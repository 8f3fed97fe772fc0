import ABI
import Store
import SystemPackage
import Testing

@testable import HostKit

/// `evertree missing`: the table that the guest's server keeps, and whatever else may be there.
struct MissingTests {
    /// A store whose directory names the table.
    private func store(_ scratch: Scratch) throws -> (StoreDirectory, MappedMemory, UInt64) {
        let directory = try scratch.store()
        let memory = MappedMemory(try MappedFile(directory.nvm, writable: true))
        let store = try Store(reading: memory)
        defer { store.close() }
        let first = FrameNumber(store.layout.eternal.lowerBound)
        Store.formatRing(memory, first, frameCount: MissingPaths.pages)
        let number = try #require(RingNumber(MissingPaths.ring))
        store.setRing(number, first: first, frameCount: MissingPaths.pages)
        return (directory, memory, first.offset + Ring.dataOffset)
    }

    private func put(
        _ path: [UInt8], count: UInt32, length: UInt32? = nil, hash: UInt64 = 1, slot: Int,
        _ memory: MappedMemory, _ table: UInt64
    ) {
        let start = table + UInt64(slot * MissingPaths.slotBytes)
        memory.store(hash, at: start)
        memory.store(UInt64(count) | UInt64(length ?? UInt32(path.count)) << 32, at: start + 8)
        path.withUnsafeBytes { memory.write($0, at: start + UInt64(MissingPaths.pathOffset)) }
    }

    @Test func theMostWantedComesFirst() throws {
        let scratch = try Scratch()
        let (directory, memory, table) = try store(scratch)
        put(Array("/b".utf8), count: 2, slot: 9, memory, table)
        put(Array("/a".utf8), count: 2, slot: 500, memory, table)
        put(Array("/often".utf8), count: 70_000, slot: 1023, memory, table)
        let report = try MissingPathReport(directory)
        #expect(report.entries.map(\.path) == ["/often", "/a", "/b"])
        #expect(report.entries.map(\.count) == [70_000, 2, 2])
    }

    @Test func aHostileTableShowsNothingThatItIsNot() throws {
        let scratch = try Scratch()
        let (directory, memory, table) = try store(scratch)
        put(Array("/x".utf8), count: 1, length: .max, slot: 0, memory, table)
        put(Array("/x".utf8), count: 0, slot: 1, memory, table)
        put(Array("/x".utf8), count: 1, hash: 0, slot: 2, memory, table)
        put(Array("/x".utf8), count: 1, length: 241, slot: 3, memory, table)
        put([0x2F, 0x1B, 0x5B, 0x0A, 0xFF, 0x5C], count: 1, slot: 4, memory, table)
        let report = try MissingPathReport(directory)
        #expect(report.entries.map(\.path) == ["/\\x1b[\\x0a\\xff\\x5c"])
        var random = Seeded(3)
        for word in 0..<UInt64(MissingPaths.slots * MissingPaths.slotBytes / 8) {
            memory.store(random.next(), at: table + word * 8)
        }
        #expect(try MissingPathReport(directory).entries.count <= MissingPaths.slots)
    }

    @Test func aStoreWithoutATableHasNone() throws {
        let scratch = try Scratch()
        #expect(try MissingPathReport(try scratch.store()).entries.isEmpty)
    }
}
