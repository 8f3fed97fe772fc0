import Testing

@testable import ACPI

/// Memory with tables in it.
final class TableMemory: PhysicalReader {
    static let base: UInt64 = 0x1000
    var bytes = [UInt8](repeating: 0, count: 4096)

    func byte(at address: UInt64) -> UInt8? {
        guard address >= Self.base, address - Self.base < UInt64(bytes.count) else { return nil }
        return bytes[Int(address - Self.base)]
    }

    func put(_ value: UInt64, at offset: Int, bytes count: Int) {
        for index in 0..<count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
    }

    func put(_ text: StaticString, at offset: Int) {
        for index in 0..<text.utf8CodeUnitCount { bytes[offset + index] = text.utf8Start[index] }
    }

    /// Makes a range's bytes sum to zero by the byte at `place`.
    func seal(_ offset: Int, length: Int, place: Int) {
        bytes[place] = 0
        let sum = bytes[offset..<(offset + length)].reduce(UInt8(0)) { $0 &+ $1 }
        bytes[place] = 0 &- sum
    }

    func header(_ signature: StaticString, at offset: Int, length: Int) {
        put(signature, at: offset)
        put(UInt64(length), at: offset + 4, bytes: 4)
    }

    /// A machine with two processors, one I/O APIC, an override, a timer and 1 GiB of persistent
    /// memory.
    init() {
        put("RSD PTR ", at: 0)
        bytes[15] = 2
        put(36, at: 20, bytes: 4)
        put(Self.base + 64, at: 24, bytes: 8)
        seal(0, length: 20, place: 8)
        seal(0, length: 36, place: 32)
        header("XSDT", at: 64, length: 36 + 24)
        for (index, offset) in [256, 512, 1024].enumerated() {
            put(Self.base + UInt64(offset), at: 100 + 8 * index, bytes: 8)
        }
        seal(64, length: 60, place: 73)
        putInterruptControllers()
        header("FACP", at: 512, length: 244)
        put(0x608, at: 512 + 76, bytes: 4)
        seal(512, length: 244, place: 521)
        putPersistentMemory()
    }

    private func putInterruptControllers() {
        header("APIC", at: 256, length: 44 + 8 + 8 + 12 + 10)
        put(0xFEE0_0000, at: 256 + 36, bytes: 4)
        for processor in 0..<2 {
            let at = 300 + 8 * processor
            put(8 << 8, at: at, bytes: 2)
            put(UInt64(processor), at: at + 3, bytes: 1)
            put(1, at: at + 4, bytes: 4)
        }
        put(12 << 8 | 1, at: 316, bytes: 2)
        put(0xFEC0_0000, at: 320, bytes: 4)
        put(10 << 8 | 2, at: 328, bytes: 2)
        put(0, at: 331, bytes: 1)
        put(2, at: 332, bytes: 4)
        seal(256, length: 82, place: 265)
    }

    private func putPersistentMemory() {
        header("NFIT", at: 1024, length: 40 + 56)
        put(56 << 16, at: 1064, bytes: 4)
        put(0x4074_B4F3_66F0_D379, at: 1080, bytes: 8)
        put(0xDB8C_B718_330D_43AC, at: 1088, bytes: 8)
        put(0x1_0000_0000, at: 1096, bytes: 8)
        put(0x4000_0000, at: 1104, bytes: 8)
        seal(1024, length: 96, place: 1033)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), so that a seed repeats a failure.
struct Stream: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

@Suite struct PlatformParserTests {
    @Test func wholeTablesAreRead() throws {
        let platform = try PlatformParser(reader: TableMemory()).parse(
            rootPointer: TableMemory.base)
        #expect(platform.processorCount == 2)
        #expect(platform.processors[1] == 1)
        #expect(platform.ioAPIC == 0xFEC0_0000)
        #expect(platform.lines[0].interrupt == 2)
        #expect(platform.lines[3].interrupt == 3)
        #expect(platform.timerPort == 0x608)
        #expect(platform.persistentBase == 0x1_0000_0000)
        #expect(platform.persistentBytes == 0x4000_0000)
    }

    /// Each byte changed in turn: a checksum covers it, so something is missing, or the result is
    /// the same.
    @Test func everyDamagedByteIsNoticed() {
        let whole = TableMemory()
        for place in whole.bytes.indices where whole.bytes[place] != 0 {
            let damaged = TableMemory()
            damaged.bytes[place] ^= 0x5A
            // The extended part of the root pointer may fall back to the old table, which this
            // machine does not have.
            #expect(throws: PlatformError.self, "byte \(place)") {
                _ = try PlatformParser(reader: damaged).parse(rootPointer: TableMemory.base)
            }
        }
    }

    /// Random bytes with right checksums: the parser ends, whatever the structures say.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func randomStructuresEnd(seed: UInt64) {
        var random = Stream(state: seed)
        for _ in 0..<50 {
            let memory = TableMemory()
            for place in 300..<338 {
                memory.bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            for place in 1064..<1120 {
                memory.bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            memory.seal(256, length: 82, place: 265)
            memory.seal(1024, length: 96, place: 1033)
            _ = try? PlatformParser(reader: memory).parse(rootPointer: TableMemory.base)
        }
    }

    @Test func nothingThereIsAnError() {
        #expect(throws: PlatformError.noRootPointer) {
            _ = try PlatformParser(reader: TableMemory()).parse(rootPointer: 0)
        }
    }
}
