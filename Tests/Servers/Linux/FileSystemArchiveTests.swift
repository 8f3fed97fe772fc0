import Testing

@testable import LinuxServer

/// Writes "newc" archives, right ones and wrong ones.
struct CpioWriter {
    private(set) var bytes = Bytes()

    mutating func add(
        _ name: String, mode: UInt32, data: Bytes = [], inode: UInt32 = 1, links: UInt32 = 1,
        size: UInt32? = nil,
        device: (UInt32, UInt32) = (0, 0), magic: String = "070701"
    ) {
        let nameBytes = Bytes(name.utf8) + [0]
        bytes += Bytes(magic.utf8)
        let fields: [UInt32] = [
            inode, mode, 7, 8, links, 1_000_000_000, size ?? UInt32(data.count), 0, 9, device.0,
            device.1,
            UInt32(nameBytes.count), 0,
        ]
        for field in fields {
            let digits = String(field, radix: 16, uppercase: true)
            bytes += Bytes((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        bytes += nameBytes
        pad()
        bytes += data
        pad()
    }

    mutating func finish() -> ByteArrayContents {
        add("TRAILER!!!", mode: 0)
        return ByteArrayContents(bytes)
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}

struct FileSystemArchiveTests {
    private let bench = Bench()

    private func unpack(_ archive: FileContents) -> ArchiveError? {
        do throws(ArchiveError) {
            try bench.fileSystem.unpack(archive: archive) { _ in false }
            return nil
        } catch {
            return error
        }
    }

    @Test func whatGNUCpioWrites() throws {
        #expect(unpack(ByteArrayContents(GNUArchive.bytes)) == nil)
        #expect(try bench.names("/") == [".", "..", "bin", "etc"])
        #expect(try bench.names("/etc").sorted() == [".", "..", "c", "link", "one", "pipe"])
        for path in ["/bin/a", "/bin/b", "/etc/c", "/etc/link"] {
            #expect(try bench.content(path) == "hello\n")
        }
        #expect(try bench.find("/bin/a") === bench.find("/etc/c"))
        let program = try bench.find("/etc/one")
        #expect((program.permissions, program.owner, program.group) == (0o4755, 3, 4))
        #expect(program.modified == Timestamp(seconds: 1_000_000_000))
        #expect(try bench.find("/etc").modified == Timestamp(seconds: 1_000_000_000))
        #expect(try bench.find("/etc/pipe").kind == .fifo)
        #expect(try bench.find("/bin/a").linkCount == 3)
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func everyKindAndMissingParents() throws {
        var writer = CpioWriter()
        writer.add("./a/b/c/file", mode: 0o100640, data: bytes("data"))
        writer.add("/a/b", mode: 0o040700)
        writer.add("a/null", mode: 0o020666, device: (1, 3))
        writer.add("a/disk", mode: 0o060600, device: (8, 300))
        writer.add("a/socket", mode: 0o140755)
        writer.add(".", mode: 0o040711)
        #expect(unpack(writer.finish()) == nil)
        #expect(try bench.content("/a/b/c/file") == "data")
        #expect(try bench.find("/a/b").permissions == 0o700)
        #expect(try bench.find("/a/b/c").permissions == 0o755)
        #expect(try bench.find("/a/null").deviceNumber == 0x103)
        #expect(try bench.find("/a/disk").deviceNumber == DeviceNumber.make(8, 300))
        #expect(try bench.find("/a/socket").kind == .socket)
        #expect(try bench.find("/").permissions == 0o711)
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func presentNames() throws {
        try bench.makeDirectory("/usr")
        try bench.makeDirectory("/usr/lib")
        try bench.makeLink("/lib", to: "usr/lib")
        try bench.makeFile("/old", "old content")
        var writer = CpioWriter()
        writer.add("lib", mode: 0o040755)
        writer.add("lib/x", mode: 0o100644, data: bytes("x"))
        writer.add("old", mode: 0o120777, data: bytes("lib/x"))
        #expect(unpack(writer.finish()) == nil)
        #expect(try bench.content("/usr/lib/x") == "x")
        #expect(try bench.content("/old") == "x")
        #expect(try bench.find("/lib", []).kind == .symbolicLink)
    }

    @Test func skippedMembersAndLookUp() throws {
        var writer = CpioWriter()
        writer.add("keep", mode: 0o100644, data: bytes("keep"))
        writer.add("./skip", mode: 0o100644, data: bytes("skipped"))
        let archive = writer.finish()
        try bench.fileSystem.unpack(archive: archive) { $0 == bytes("skip") }
        #expect(try bench.names("/") == [".", "..", "keep"])
        let found = try #require(try FileSystem.archiveMember(archive, bytes("skip")))
        #expect(
            try archive.readBytes(offset: found.offset, count: Int(found.size)) == bytes("skipped"))
        #expect(try FileSystem.archiveMember(archive, bytes("none")) == nil)
    }

    @Test(arguments: [
        ("../x", UInt32(0o100644), 1, ArchiveError.Fault.leavesTree),
        ("a/../x", 0o100644, 1, .leavesTree),
        ("", 0o100644, 1, .badName), ("/", 0o100644, 1, .badName), ("a\0b", 0o100644, 1, .badName),
        (String(repeating: "p", count: 4096), 0o100644, 1, .badName),
        (String(repeating: "p", count: 256), 0o100644, 1, .refused(.ENAMETOOLONG)),
        ("x", 0o030644, 1, .unknownKind), ("x", 0, 1, .unknownKind), ("x", 0o120777, 0, .badTarget),
        ("x", 0o120777, 4096, .badTarget), ("file/x", 0o100644, 1, .refused(.ENOTDIR)),
        ("directory", 0o100644, 1, .refused(.EISDIR)), ("file", 0o040755, 0, .refused(.ENOTDIR)),
    ])
    func hostileMembers(name: String, mode: UInt32, size: Int, expected: ArchiveError.Fault) throws
    {
        try bench.makeFile("/file")
        try bench.makeDirectory("/directory")
        var writer = CpioWriter()
        writer.add("good", mode: 0o100644, data: bytes("good"))
        let offset = UInt64(writer.bytes.count)
        writer.add(name, mode: mode, data: Bytes(repeating: 0x61, count: size))
        #expect(unpack(writer.finish()) == ArchiveError(expected, offset: offset))
        #expect(try bench.content("/good") == "good")
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func hostileHeaders() throws {
        var truncated = CpioWriter()
        truncated.add("x", mode: 0o100644, data: bytes("abc"), size: .max)
        #expect(unpack(truncated.finish())?.fault == .truncated)
        var other = CpioWriter()
        other.add("x", mode: 0o100644, magic: "070702")
        #expect(unpack(other.finish())?.fault == .notNewc)
        #expect(unpack(ByteArrayContents())?.fault == .truncated)
        #expect(unpack(ByteArrayContents(Bytes(repeating: 0x30, count: 4096)))?.fault == .notNewc)
        var number = GNUArchive.bytes
        number[20] = 0x67
        #expect(unpack(ByteArrayContents(number))?.fault == .badNumber)
        var linked = CpioWriter()
        linked.add("directory", mode: 0o040755, inode: 5, links: 2)
        linked.add("pipe", mode: 0o010644, inode: 6, links: 2)
        linked.add("file", mode: 0o100644, inode: 6, links: 2)
        #expect(unpack(linked.finish())?.fault == .badLink)
        #expect(ArchiveError(.badLink, offset: 0).errno == .EINVAL)
        #expect(ArchiveError(.refused(.EISDIR), offset: 0).errno == .EISDIR)
    }

    @Test func everyPrefixIsTruncated() throws {
        let whole = GNUArchive.bytes
        let trailerName = whole.count - 2
        for count in stride(from: 0, to: trailerName, by: 7) {
            #expect(
                unpack(ByteArrayContents(Bytes(whole.prefix(count))))?.fault == .truncated,
                "\(count) bytes")
        }
        #expect(bench.fileSystem.fault() == nil)
    }

    /// Changed bytes, changed fields, cut ends: an error or a tree, never a trap, and the tree is
    /// whole.
    @Test(arguments: 0..<40) func mutations(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<60 {
            var bytes = GNUArchive.bytes
            for _ in 0...random.below(6) {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[place] = random.pick(Array("0123456789ABCDEFf/.\0".utf8))
                case 2: bytes.remove(at: place)
                default:
                    bytes.insert(
                        contentsOf: bytes[place..<min(place + random.below(120), bytes.count)],
                        at: place)
                }
            }
            let bench = Bench(defaults: random.chance(20))
            _ = try? bench.fileSystem.unpack(archive: ByteArrayContents(bytes)) { _ in false }
            #expect(bench.fileSystem.fault() == nil, "seed \(seed)")
        }
    }
}
