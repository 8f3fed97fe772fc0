import Testing

@testable import LinuxServer

/// The ELF reader accepts what it can run and refuses everything else with ENOEXEC.
@Suite struct ElfImageTests {
    /// A small program: one segment of text, one of data with four pages of zeros behind it.
    static func program() -> Bytes {
        var writer = ByteWriter()
        for word: UInt32 in [0x464C_457F, 0x0001_0102, 0, 0] { writer.put32(word) }
        writer.put16(2)
        writer.put16(62)
        writer.put32(UInt32(1))
        writer.put64(UInt64(0x40_1000))
        writer.put64(UInt64(64))
        writer.put64(UInt64(0))
        writer.put32(UInt32(0))
        for half: UInt16 in [64, 56, 2, 0, 0, 0] { writer.put16(half) }
        segment(
            &writer, flags: 5, offset: 0x1000, address: 0x40_1000, fileSize: 0x100,
            memorySize: 0x100)
        segment(
            &writer, flags: 6, offset: 0x1100, address: 0x40_2100, fileSize: 0x80,
            memorySize: 0x4080)
        writer.zeros(0x1200 - writer.bytes.count)
        return writer.bytes
    }

    private static func segment(
        _ writer: inout ByteWriter, flags: UInt32, offset: UInt64, address: UInt64,
        fileSize: UInt64,
        memorySize: UInt64
    ) {
        writer.put32(UInt32(1))
        writer.put32(flags)
        for word in [offset, address, address, fileSize, memorySize, 4096] { writer.put64(word) }
    }

    static func read(_ bytes: Bytes) throws(Errno) -> ElfImage {
        let contents = ByteArrayContents()
        try contents.writeBytes(bytes, offset: 0)
        return try ElfImage(contents)
    }

    @Test func aSoundProgramIsRead() throws {
        let image = try Self.read(Self.program())
        #expect(image.entry == 0x40_1000)
        #expect(image.segments.count == 2)
        #expect(image.span.start == 0x40_1000)
        #expect(image.span.end == 0x40_7000)
        #expect(image.segments[0].protection == [.read, .execute])
        #expect(!image.isRelocatable)
        #expect(image.interpreter == nil)
    }

    @Test(arguments: [0, 4, 16, 18, 32, 54, 56])
    func aDamagedHeaderFieldIsRefused(offset: Int) {
        var bytes = Self.program()
        bytes[offset] = 0xEE
        #expect(throws: Errno.ENOEXEC) { try Self.read(bytes) }
    }

    @Test func truncationAnywhereIsRefusedOrHarmless() {
        let bytes = Self.program()
        for count in 0..<0x1180 {
            #expect(throws: Errno.ENOEXEC) { try Self.read(Bytes(bytes.prefix(count))) }
        }
    }

    /// Any combination of hostile words is answered: with an image whose segments lie in user
    /// space, or ENOEXEC.
    @Test func randomDamageNeverTraps() {
        let seed: UInt64 = 1
        var random = SeededGenerator(seed: seed)
        let words: [UInt64] = [0, 1, 0xFFF, 0x1000, 1 << 31, 1 << 46, 1 << 63, .max, .max - 4095]
        for _ in 0..<1000 {
            var bytes = Self.program()
            for _ in 0...(random.next() % 4) {
                let at = Int(random.next() % 22) * 8
                let word =
                    random.next() % 3 == 0
                    ? random.next() : words[Int(random.next() % UInt64(words.count))]
                for index in 0..<8 {
                    bytes[at + index] = UInt8(truncatingIfNeeded: word >> UInt64(index * 8))
                }
            }
            guard let image = try? Self.read(bytes) else { continue }
            for segment in image.segments {
                #expect(segment.pageStart <= segment.pageEnd, "seed \(seed)")
                #expect(segment.pageEnd <= AddressSpace.top, "seed \(seed)")
            }
        }
    }
}
