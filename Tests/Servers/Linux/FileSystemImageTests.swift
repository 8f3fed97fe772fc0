import ABI
import Testing

@testable import LinuxServer

/// Writes images, right ones and wrong ones, apart from the command's own writer.
struct ImageWriter {
    struct Record {
        var name = ""
        var mode: UInt32 = 0o100644
        var parent: UInt32 = 0
        var link: UInt32 = 0
        var size: UInt64 = 0
        var firstPage: UInt32 = 1
        var target = ""
        var device: UInt64 = 0
    }
    var records = [Record(mode: 0o040711)]
    /// Page 1 holds this and then zeros.
    static let data = Bytes("hello\n".utf8)

    func image() -> Bytes {
        var table = Bytes()
        for record in records {
            var fixed = Bytes(repeating: 0, count: Image.recordBytes)
            func put(_ value: UInt64, _ place: Int, _ count: Int) {
                for index in 0..<count {
                    fixed[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
                }
            }
            put(UInt64(record.mode), 0, 4)
            put(7, 4, 4)
            put(8, 8, 4)
            put(UInt64(record.parent), 12, 4)
            put(1_000_000_000, 16, 8)
            put(5, 24, 4)
            put(UInt64(record.link), 28, 4)
            put(record.device, 32, 8)
            put(record.size, 40, 8)
            put(UInt64(record.firstPage), 48, 4)
            put(UInt64(record.name.utf8.count), 52, 2)
            put(UInt64(record.target.utf8.count), 54, 2)
            table += fixed + Bytes(record.name.utf8) + Bytes(record.target.utf8)
            table += Bytes(repeating: 0, count: (8 - table.count % 8) % 8)
        }
        var bytes = Bytes()
        let words = [
            Image.magic, Image.format, 2 * pageSize, UInt64(table.count), UInt64(records.count),
        ]
        for word in words {
            for index in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index)))
            }
        }
        bytes += Bytes(repeating: 0, count: Int(pageSize) - bytes.count)
        bytes += ImageWriter.data
        bytes += Bytes(repeating: 0, count: 2 * Int(pageSize) - bytes.count)
        bytes += table
        bytes += Bytes(repeating: 0, count: (4096 - bytes.count % 4096) % 4096)
        return bytes
    }
}

struct FileSystemImageTests {
    private let bench = Bench()

    private func populate(_ image: Bytes, _ bench: Bench? = nil) -> ImageError? {
        do throws(ImageError) {
            try (bench ?? self.bench).fileSystem.populate(image: ByteArrayContents(image)) {
                let start = Int($0.firstPage * pageSize)
                return ByteArrayContents(Bytes(image[start..<start + Int($0.size)]))
            }
            return nil
        } catch {
            return error
        }
    }

    private static let tree: [ImageWriter.Record] = [
        .init(name: "usr", mode: 0o041755),
        .init(name: "file", mode: 0o104755, parent: 1, size: 6),
        .init(name: "other", parent: 1, link: 3),
        .init(name: "link", mode: 0o120777, target: "usr/file"),
        .init(name: "null", mode: 0o020666, device: 0x103),
        .init(name: "pipe", mode: 0o010600),
        .init(name: "inner", mode: 0o040700, parent: 1),
        .init(name: "empty", parent: 7),
    ]

    @Test func everyKindOfInode() throws {
        var writer = ImageWriter()
        writer.records += Self.tree
        #expect(populate(writer.image()) == nil)
        bench.fileSystem.populateDefaults()
        #expect(try bench.content("/usr/file") == "hello\n")
        #expect(try bench.content("/link") == "hello\n")
        let file = try bench.find("/usr/file")
        #expect(file === (try bench.find("/usr/other")))
        #expect((file.linkCount, file.permissions) == (2, 0o4755))
        #expect((file.owner, file.group) == (7, 8))
        #expect(file.modified == Timestamp(seconds: 1_000_000_000, nanoseconds: 5))
        #expect(try bench.find("/usr").permissions == 0o1755)
        #expect(try bench.find("/").permissions == 0o711)
        #expect(try bench.find("/null").deviceNumber == 0x103)
        #expect(try bench.find("/pipe").kind == .fifo)
        #expect(try bench.content("/usr/inner/empty") == "")
        #expect(bench.fileSystem.fault() == nil)
        // A name of the image is a name like any other.
        try bench.unlink("/usr/other")
        try bench.rename("/usr/file", "/usr/inner/empty")
        #expect(try bench.content("/usr/inner/empty") == "hello\n")
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test(arguments: [
        (ImageWriter.Record(name: ""), ImageError.Fault.badName), (.init(name: "."), .badName),
        (.init(name: ".."), .badName), (.init(name: "a/b"), .badName),
        (.init(name: "a\0"), .badName),
        (.init(name: String(repeating: "n", count: 256)), .badName), (.init(name: "usr"), .badName),
        (.init(name: "x", parent: 9), .badParent), (.init(name: "x", parent: 2), .badParent),
        (.init(name: "x", parent: .max), .badParent), (.init(name: "x", mode: 0o644), .unknownKind),
        (.init(name: "x", mode: 0o120777), .badTarget), (.init(name: "x", target: "t"), .badTarget),
        (.init(name: "x", mode: 0o120777, target: "t\0"), .badTarget),
        (.init(name: "x", mode: 0o120777, target: String(repeating: "t", count: 4096)), .badTarget),
        (.init(name: "x", link: 2), .badLink), (.init(name: "x", link: 10), .badLink),
        (.init(name: "x", link: .max), .badLink), (.init(name: "x", size: .max), .badExtent),
        (.init(name: "x", size: 3 * 4096, firstPage: 1), .badExtent),
        (.init(name: "x", firstPage: .max), .badExtent),
    ])
    func hostileRecords(record: ImageWriter.Record, expected: ImageError.Fault) {
        var writer = ImageWriter()
        writer.records += Self.tree + [record]
        #expect(populate(writer.image()) == ImageError(expected, record: 9))
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func hostileHeaders() {
        let whole = ImageWriter().image()
        for (word, value) in [
            (0, 0), (1, 2), (2, UInt64.max), (3, UInt64.max), (4, UInt64.max), (4, 1 << 40),
        ] as [(Int, UInt64)] {
            var image = whole
            for index in 0..<8 {
                image[8 * word + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
            }
            #expect(populate(image) == ImageError(.badHeader, record: 0))
        }
        #expect(populate([]) == ImageError(.badHeader, record: 0))
        var short = whole
        short[24] = 60
        #expect(populate(short)?.fault == .truncated)
        var root = ImageWriter()
        root.records[0].mode = 0o100644
        #expect(populate(root.image()) == ImageError(.badRoot, record: 0))
    }

    /// Changed bytes: an error or a tree, never a trap, and the tree is whole.
    @Test(arguments: 0..<40) func mutations(seed: Int) {
        var writer = ImageWriter()
        writer.records += Self.tree
        let whole = writer.image()
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<50 {
            var image = whole
            for _ in 0...random.below(6) {
                let place = random.chance(20) ? random.below(40) : 8192 + random.below(700)
                image[place] = random.chance(50) ? UInt8(truncatingIfNeeded: random.next()) : 0xFF
            }
            let bench = Bench()
            _ = populate(image, bench)
            #expect(bench.fileSystem.fault() == nil, "seed \(seed)")
        }
    }
}
