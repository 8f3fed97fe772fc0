import Testing

@testable import LinuxServer

struct FileSystemPathTests {
    private let bench = Bench()

    init() throws {
        try bench.makeDirectory("/d")
        try bench.makeDirectory("/d/e")
        try bench.makeFile("/d/f", "content")
        try bench.makeLink("/toDirectory", to: "d")
        try bench.makeLink("/toFile", to: "/d/f")
        try bench.makeLink("/toNothing", to: "nowhere")
        try bench.makeLink("/loop", to: "loop")
        try bench.makeLink("/d/up", to: "../d/./e/..")
    }

    /// `onMissing` hears of each look-up that found nothing, never of a name that is to be made.
    @Test func whatIsMissingIsTold() throws {
        var told: [String] = []
        bench.fileSystem.onMissing = { told.append(text($0)) }
        _ = errnoOf("/d/none", .followFinal)
        _ = errnoOf("/toDirectory/none/x/../y", .followFinal)
        _ = errnoOf("/toNothing", .followFinal)
        #expect(told == ["/d/none", "/d/none/x/../y", "/nowhere"])
        told = []
        try bench.makeDirectory("/made")
        try bench.makeFile("/made/file")
        #expect(errno { () throws(Errno) in try bench.unlink("/made/other") } == .ENOENT)
        _ = try bench.find("/made/file")
        #expect(told == [])
    }

    private func errnoOf(_ path: String, _ flags: ResolveFlags, _ caller: Caller? = nil) -> Errno? {
        errno { () throws(Errno) in _ = try bench.find(path, flags, caller) }
    }

    @Test(arguments: [
        ("", Errno.ENOENT), ("/missing", .ENOENT), ("/missing/x", .ENOENT), ("/d/f/", .ENOTDIR),
        ("/d/f/x", .ENOTDIR),
        ("/d/f/.", .ENOTDIR), ("/d/f/..", .ENOTDIR), ("/toFile/", .ENOTDIR),
        ("/toFile/x", .ENOTDIR),
        ("/toNothing", .ENOENT), ("/toNothing/", .ENOENT), ("/loop", .ELOOP), ("/loop/x", .ELOOP),
    ])
    func errors(path: String, expected: Errno) {
        #expect(errnoOf(path, .followFinal) == expected)
    }

    @Test(arguments: [
        ("/", "/"), ("//", "/"), ("/..", "/"), ("/../../d", "/d"), ("/d/e/../f", "/d/f"),
        ("/toDirectory/f", "/d/f"),
        ("/toDirectory/", "/d"), ("/toDirectory", "/d"), ("/toFile", "/d/f"), ("d//e///", "/d/e"),
        (".", "/"),
        ("/d/up", "/d"), ("/d/up/up/up/f", "/d/f"), ("/toDirectory/../toFile", "/d/f"),
    ])
    func goals(path: String, expected: String) throws {
        let inode = try bench.find(path)
        #expect(
            bench.fileSystem.path(of: inode, root: bench.fileSystem.root).map { text($0) }
                == expected)
    }

    @Test func finalLinkIsKeptOrFollowed() throws {
        #expect(try bench.find("/toFile", []).kind == .symbolicLink)
        #expect(try bench.find("/toFile", .followFinal).kind == .regular)
        #expect(try bench.find("/toDirectory", []).kind == .symbolicLink)
        #expect(try bench.find("/toDirectory/", []).kind == .directory)
        #expect(try bench.find("/toDirectory/", .keepFinal).kind == .symbolicLink)
        #expect(errnoOf("/toFile", [.followFinal, .directoryRequired]) == .ENOTDIR)
        #expect(errnoOf("/toDirectory/f", [.followFinal, .noSymbolicLinks]) == .ELOOP)
        #expect(errnoOf("/toFile", [.noSymbolicLinks]) == nil)
        #expect(errnoOf("/toFile", [.followFinal, .noSymbolicLinks]) == .ELOOP)
    }

    @Test func fortyLinksAndNotOneMore() throws {
        try bench.makeFile("/l0")
        for index in 1...41 { try bench.makeLink("/l\(index)", to: "l\(index - 1)") }
        #expect(errnoOf("/l40", .followFinal) == nil)
        #expect(errnoOf("/l41", .followFinal) == .ELOOP)
        // Links on the way count as those at the end.
        try bench.makeLink("/self", to: ".")
        let steps = String(repeating: "self/", count: 40)
        #expect(errnoOf("/\(steps)d", .followFinal) == nil)
        #expect(errnoOf("/\(steps)toFile", .followFinal) == .ELOOP)
    }

    @Test func longNamesAndPaths() throws {
        let longest = String(repeating: "n", count: 255)
        try bench.makeFile("/" + longest)
        #expect(errnoOf("/" + longest, .followFinal) == nil)
        #expect(errnoOf("/" + longest + "n", .followFinal) == .ENAMETOOLONG)
        #expect(errnoOf("/\(longest)n/x", .followFinal) == .ENAMETOOLONG)
        let path = String(repeating: "d/../", count: 819)
        #expect(path.count == 4095)
        #expect(errnoOf(path, .followFinal) == nil)
        #expect(errnoOf(path + "d", .followFinal) == .ENAMETOOLONG)
    }

    @Test func searchPermissionIsNeededOnTheWay() throws {
        try bench.makeDirectory("/closed", mode: 0o700)
        try bench.makeFile("/closed/f", mode: 0o666)
        #expect(errnoOf("/closed/f", .followFinal, bench.user) == .EACCES)
        #expect(errnoOf("/closed/missing", .followFinal, bench.user) == .EACCES)
        #expect(errnoOf("/closed", .followFinal, bench.user) == nil)
        #expect(errnoOf("/closed/f", .followFinal) == nil)
        // The class of a caller is the first that fits: an owner without the bit is refused though
        // others have it.
        try bench.makeDirectory("/odd", mode: 0o077)
        let inode = try bench.find("/odd")
        inode.owner = 1000
        #expect(errnoOf("/odd/x", .followFinal, bench.user) == .EACCES)
    }

    @Test func relativePathsStartAtTheBase() throws {
        let directory = try bench.find("/d")
        let file = try bench.find("/d/f")
        let resolved = try bench.fileSystem.resolve(
            bytes("f"), at: directory, flags: [], bench.superuser)
        #expect(resolved.inode === file)
        let caller = bench.superuser
        #expect(
            errno { () throws(Errno) in
                _ = try bench.fileSystem.resolve(bytes("x"), at: file, flags: [], caller)
            } == .ENOTDIR)
        #expect(
            errno { () throws(Errno) in
                _ = try bench.fileSystem.resolve(bytes("/d"), at: file, flags: [], caller)
            } == nil)
    }

    @Test func anotherRootHoldsTheCaller() throws {
        try bench.makeDirectory("/d/e/deep")
        try bench.makeLink("/d/e/absolute", to: "/deep")
        var caller = bench.superuser
        caller.root = try bench.find("/d/e")
        caller.workingDirectory = caller.root
        for path in ["/../deep", "../../deep", "/absolute", "deep/../../deep"] {
            let inode = try bench.find(path, .followFinal, caller)
            #expect(bench.fileSystem.path(of: inode, root: caller.root).map { text($0) } == "/deep")
        }
        let outside = try bench.find("/d")
        #expect(bench.fileSystem.path(of: outside, root: caller.root) == nil)
    }

    @Test func theLastComponentIsReported() throws {
        let cases: [(String, String, Bool)] = [
            ("/", "", true), ("/d/.", ".", true), ("/d/..", "..", true), ("/d/new", "new", false),
            ("/d/new/", "new", true), ("/toNothing", "nowhere", false),
        ]
        for (path, name, isDirectory) in cases {
            let resolved = try bench.fileSystem.resolve(
                bytes(path), at: nil, flags: .followFinal, bench.superuser)
            #expect(text(resolved.name) == name)
            #expect(resolved.mustBeDirectory == isDirectory)
        }
    }

    @Test func pathsOfMovedAndRemovedFiles() throws {
        let root = bench.fileSystem.root
        let file = try bench.find("/d/f")
        let directory = try bench.find("/d/e")
        try bench.rename("/d", "/moved")
        #expect(bench.fileSystem.path(of: file, root: root) == bytes("/moved/f"))
        try bench.fileSystem.link(from: file, bytes("/second"), at: nil, bench.superuser)
        #expect(bench.fileSystem.path(of: file, root: root) == bytes("/second"))
        try bench.unlink("/second")
        #expect(bench.fileSystem.path(of: file, root: root) == nil)
        try bench.removeDirectory("/moved/e")
        #expect(bench.fileSystem.path(of: directory, root: root) == nil)
        #expect(text(directory.shownPath(below: root)) == "/moved/e (deleted)")
    }

    /// ".." of a removed directory still leads up; and 50,000 of them, one in the other, end
    /// without recursion.
    @Test func removedDirectoriesKeepTheirParent() throws {
        var caller = bench.superuser
        var places: [Inode] = []
        for _ in 0..<50_000 {
            try bench.fileSystem.makeDirectory(bytes("x"), at: nil, mode: 0o755, caller)
            caller.workingDirectory = try bench.find("x", .followFinal, caller)
            places.append(caller.workingDirectory)
        }
        #expect(
            bench.fileSystem.path(of: caller.workingDirectory, root: bench.fileSystem.root)?.count
                == 100_000)
        while let place = places.popLast() {
            try bench.fileSystem.removeDirectory(
                bytes("x"), at: places.last ?? bench.fileSystem.root, bench.superuser)
            #expect(place.isRemoved)
        }
        #expect(try bench.find("..", .followFinal, caller).isRemoved)
        #expect(errnoOf("x", .followFinal, caller) == .ENOENT)
        #expect(errno { () throws(Errno) in try bench.makeFile("x", "", caller) } == .ENOENT)
        caller.workingDirectory = bench.fileSystem.root
    }
}
