import Testing

@testable import LinuxServer

struct FileSystemReadDirectoryTests {
    private let bench = Bench()

    @Test func orderIsThatOfInsertion() throws {
        for name in ["zeta", "alpha", "mid"] { try bench.makeFile("/" + name) }
        #expect(try bench.names("/") == [".", "..", "zeta", "alpha", "mid"])
    }

    /// Reads in steps of one entry, and does something between the steps.
    private func readSlowly(_ path: String, between: (Int, String) throws -> Void) throws
        -> [String]
    {
        let directory = try bench.find(path)
        var cookie: UInt64 = 0
        var names: [String] = []
        for step in 0..<10_000 {
            var last: DirectoryEntry?
            try bench.fileSystem.readDirectory(directory, from: cookie, bench.superuser) {
                last = $0
                return false
            }
            guard let entry = last else { return names }
            #expect(entry.next > cookie)
            cookie = entry.next
            names.append(text(entry.name))
            try between(step, text(entry.name))
        }
        return names
    }

    @Test func removalWhileReadingSkipsNothing() throws {
        for index in 0..<200 { try bench.makeFile("/f\(index)") }
        let names = try readSlowly("/") { _, name in
            if name.hasPrefix("f") { try bench.unlink("/" + name) }
        }
        #expect(names == [".", ".."] + (0..<200).map { "f\($0)" })
        #expect(try bench.names("/") == [".", ".."])
    }

    @Test func whatStaysIsSeenOnceUnderRandomChanges() throws {
        var random = SeededGenerator(seed: 7)
        for index in 0..<300 { try bench.makeFile("/\(index % 3 == 0 ? "stay" : "go")\(index)") }
        let names = try readSlowly("/") { step, _ in
            if step > 400 { return }
            try? bench.unlink("/go\(random.below(300))")
            try? bench.makeFile("/new\(step)")
        }
        #expect(names.filter { $0.hasPrefix("stay") } == (0..<100).map { "stay\($0 * 3)" })
        #expect(Set(names).count == names.count)
    }

    @Test func renamingWhileReadingEnds() throws {
        for index in 0..<50 { try bench.makeFile("/f\(index)") }
        let names = try readSlowly("/") { _, name in
            if name.hasPrefix("f") { try bench.rename("/" + name, "/r" + name) }
        }
        #expect(names.count == 52)
        #expect(try bench.names("/").filter { $0.hasPrefix("rf") }.count == 50)
    }

    @Test func cookiesBeyondTheEndAndHostileOnes() throws {
        try bench.makeFile("/f")
        for cookie in [UInt64(4), 1 << 40, UInt64(Int64.max), .max] {
            #expect(try bench.names("/", from: cookie) == [])
        }
        #expect(try bench.names("/", from: 1) == ["..", "f"])
    }

    @Test func removedDirectoryAndFile() throws {
        try bench.makeDirectory("/d")
        try bench.makeFile("/f")
        let directory = try bench.find("/d")
        let file = try bench.find("/f")
        try bench.removeDirectory("/d")
        #expect(
            errno { () throws(Errno) in
                try bench.fileSystem.readDirectory(directory, from: 0, bench.superuser) { _ in true
                }
            } == .ENOENT)
        #expect(
            errno { () throws(Errno) in
                try bench.fileSystem.readDirectory(file, from: 0, bench.superuser) { _ in true }
            } == .ENOTDIR)
    }

    /// getdents64 in buffers of every size gives the same entries.
    @Test func recordsFitAnyBuffer() throws {
        for length in [1, 2, 4, 5, 12, 13, 100, 255] {
            try bench.makeFile("/" + String(repeating: "x", count: length))
        }
        try bench.makeDirectory("/dir")
        let all = try read(limit: 1 << 16)
        #expect(all.map { $0.name } == (try bench.names("/")))
        #expect(all.last?.kind == NodeKind.directory.rawValue)
        for limit in [280, 281, 300, 512, 1000] {
            let part = try read(limit: limit)
            #expect(part.map { $0.name } == all.map { $0.name })
            #expect(part.map { $0.inode } == all.map { $0.inode })
        }
        var none = Bytes()
        let entry = DirectoryEntry(name: bytes("abcd"), inode: 1, kind: .regular, next: 2)
        #expect(!entry.encode(into: &none, limit: 23) && none.isEmpty)
        #expect(entry.encode(into: &none, limit: 24) && none.count == 24)
    }

    private func read(limit: Int) throws -> [(
        name: String, inode: UInt64, next: UInt64, kind: UInt8
    )] {
        var result: [(name: String, inode: UInt64, next: UInt64, kind: UInt8)] = []
        while true {
            var buffer = Bytes()
            try bench.fileSystem.readDirectory(
                bench.fileSystem.root, from: result.last?.next ?? 0, bench.superuser
            ) {
                $0.encode(into: &buffer, limit: limit)
            }
            if buffer.isEmpty { return result }
            #expect(buffer.count <= limit && buffer.count % 8 == 0)
            result += decodeEntries(buffer[...])
        }
    }

    /// 10,000 entries are looked up and read without a scan for each: the number of name
    /// comparisons would be 50 million, which a debug build does not do in the time limit.
    @Test(.timeLimit(.minutes(1))) func manyEntries() throws {
        for index in 0..<10_000 { try bench.makeFile("/file\(index)") }
        for index in 0..<10_000 { _ = try bench.find("/file\(index)") }
        #expect(try bench.names("/").count == 10_002)
        for index in 0..<10_000 { try bench.unlink("/file\(index)") }
        #expect(bench.fileSystem.fault() == nil)
    }
}
