import Testing

@testable import LinuxServer

/// mkdir, mknod, symlink, link, unlink, rmdir, rename: error tables and stamps. Everything else
/// about them is compared with Linux in FileSystemDifferentialTests.
struct FileSystemNamesTests {
    private let bench = Bench(defaults: true)

    init() throws {
        try bench.makeDirectory("/tmp/d")
        try bench.makeDirectory("/tmp/d/inner")
        try bench.makeFile("/tmp/f", "abc")
        try bench.makeLink("/tmp/l", to: "d")
    }

    private func errnoOf(_ body: (FileSystem, Caller) throws(Errno) -> Void) -> Errno? {
        errno { () throws(Errno) in try body(bench.fileSystem, bench.superuser) }
    }

    @Test(arguments: [
        ("/tmp/d", Errno.EEXIST), ("/tmp/f", .EEXIST), ("/tmp/l", .EEXIST), ("/tmp/l/", .EEXIST),
        ("/", .EEXIST),
        (".", .EEXIST), ("/tmp/f/x", .ENOTDIR), ("/tmp/x/y", .ENOENT), ("", .ENOENT),
        ("/proc/x", .ENOENT),
        ("/proc/self", .EEXIST), ("/sys/x", .ENOENT),
    ])
    func makeDirectoryErrors(path: String, expected: Errno) {
        #expect(errno { () throws(Errno) in try bench.makeDirectory(path) } == expected)
    }

    @Test(arguments: [
        ("/tmp/d", Errno.EISDIR), ("/tmp/d/", .EISDIR), ("/tmp/f/", .ENOTDIR),
        ("/tmp/l/", .ENOTDIR), ("/", .EISDIR),
        ("/tmp/.", .EISDIR), ("/tmp/d/..", .EISDIR), ("/tmp/x", .ENOENT), ("/proc/version", .EPERM),
        ("/proc/self/x", .ENOENT),
    ])
    func unlinkErrors(path: String, expected: Errno) {
        #expect(errno { () throws(Errno) in try bench.unlink(path) } == expected)
    }

    @Test(arguments: [
        ("/tmp/d", Errno.ENOTEMPTY), ("/tmp/f", .ENOTDIR), ("/tmp/l", .ENOTDIR),
        ("/tmp/l/", .ENOTDIR), ("/", .EBUSY),
        ("/tmp/d/.", .EINVAL), ("/tmp/d/..", .ENOTEMPTY), ("/tmp/x", .ENOENT), ("/proc", .EBUSY),
        ("/dev", .EBUSY),
        ("/sys/kernel", .EPERM), ("/proc/version", .ENOTDIR),
    ])
    func removeDirectoryErrors(path: String, expected: Errno) {
        #expect(errno { () throws(Errno) in try bench.removeDirectory(path) } == expected)
    }

    @Test(arguments: [
        ("/tmp/f", "/dev/f", UInt32(0), Errno.EXDEV), ("/tmp/f", "/proc/f", 0, .EXDEV),
        ("/dev", "/tmp/dev", 0, .EBUSY),
        ("/tmp/d", "/dev", 0, .EBUSY), ("/proc/version", "/proc/v", 0, .EPERM),
        ("/tmp/d", "/tmp/d/inner/x", 0, .EINVAL),
        ("/tmp/d/inner", "/tmp/d", 0, .ENOTEMPTY), ("/tmp/f", "/tmp/x", 4, .EINVAL),
        ("/tmp/f", "/tmp/x", 3, .EINVAL),
        ("/tmp/f", "/tmp/x", .max, .EINVAL), ("/", "/tmp/x", 0, .EBUSY),
        ("/tmp/f", "/", 1, .EEXIST),
    ])
    func renameErrors(old: String, new: String, flags: UInt32, expected: Errno) {
        #expect(errno { () throws(Errno) in try bench.rename(old, new, flags: flags) } == expected)
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func linkAndNodeErrors() throws {
        let file = try bench.find("/tmp/f")
        let directory = try bench.find("/tmp/d")
        let version = try bench.find("/proc/version")
        #expect(
            errnoOf { (fs, c) throws(Errno) in
                try fs.link(from: directory, bytes("/tmp/x"), at: nil, c)
            } == .EPERM)
        #expect(
            errnoOf { (fs, c) throws(Errno) in try fs.link(from: file, bytes("/dev/x"), at: nil, c)
            } == .EXDEV)
        #expect(
            errnoOf { (fs, c) throws(Errno) in
                try fs.link(from: version, bytes("/tmp/x"), at: nil, c)
            } == .EXDEV)
        #expect(
            errnoOf { (fs, c) throws(Errno) in
                try fs.makeSymbolicLink(target: [], bytes("/tmp/x"), at: nil, c)
            } == .ENOENT)
        #expect(
            errnoOf { (fs, c) throws(Errno) in
                try fs.makeSymbolicLink(
                    target: Bytes(repeating: 1, count: 4096), bytes("/tmp/x"), at: nil, c)
            } == .ENAMETOOLONG)
        for mode: UInt32 in [0o120644, 0o030000, 0o170000, .max] {
            #expect(
                errnoOf { (fs, c) throws(Errno) in
                    try fs.makeNode(bytes("/tmp/x"), at: nil, mode: mode, deviceNumber: 0, c)
                } == .EINVAL)
        }
        let user = bench.user
        #expect(
            errnoOf { (fs, _) throws(Errno) in
                try fs.makeNode(bytes("/tmp/x"), at: nil, mode: 0o020666, deviceNumber: 0x103, user)
            } == .EPERM)
    }

    @Test func stickyDirectoriesProtectOthersFiles() throws {
        try bench.makeFile("/tmp/mine", "", bench.user)
        var other = bench.user
        other.credentials.user = 1001
        #expect(errno { () throws(Errno) in try bench.unlink("/tmp/mine", other) } == .EPERM)
        #expect(
            errno { () throws(Errno) in try bench.rename("/tmp/mine", "/tmp/x", other) } == .EPERM)
        #expect(errno { () throws(Errno) in try bench.unlink("/tmp/mine", bench.user) } == nil)
    }

    /// Which of the three times of a file and its directory each call moves (inode(7)).
    @Test func stamps() throws {
        let file = try bench.find("/tmp/f")
        let directory = try bench.find("/tmp")
        func check(
            _ place: Comment, fileChanged: Bool, directoryModified: Bool, _ body: () throws -> Void
        ) throws {
            bench.fileSystem.now.seconds += 1
            let (fileModified, now) = (file.modified, bench.fileSystem.now)
            try body()
            #expect((file.changed == now) == fileChanged, place)
            #expect(file.modified == fileModified, place)
            #expect((directory.modified == now) == directoryModified, place)
            #expect((directory.changed == now) == directoryModified, place)
        }
        let (fs, caller) = (bench.fileSystem, bench.superuser)
        try check("chmod", fileChanged: true, directoryModified: false) {
            try fs.setPermissions(file, 0o600, caller)
        }
        try check("chown", fileChanged: true, directoryModified: false) {
            try fs.setOwner(file, user: 5, group: nil, caller)
        }
        try check("link", fileChanged: true, directoryModified: true) {
            try fs.link(from: file, bytes("/tmp/g"), at: nil, caller)
        }
        try check("unlink", fileChanged: true, directoryModified: true) {
            try bench.unlink("/tmp/g")
        }
        try check("rename", fileChanged: true, directoryModified: true) {
            try bench.rename("/tmp/f", "/tmp/d/f")
        }
        try check("back", fileChanged: true, directoryModified: true) {
            try bench.rename("/tmp/d/f", "/tmp/f")
        }
        try check("other", fileChanged: false, directoryModified: true) {
            try bench.makeFile("/tmp/other")
        }
        try check("failure", fileChanged: false, directoryModified: false) {
            #expect(errno { () throws(Errno) in try bench.removeDirectory("/tmp/d") } == .ENOTEMPTY)
        }
        bench.fileSystem.now.seconds += 1
        try fs.truncate(file, to: 1, caller)
        #expect(file.modified == fs.now && file.changed == fs.now)
    }

    @Test func explicitTimes() throws {
        let (fs, file) = (bench.fileSystem, try bench.find("/tmp/f"))
        let (early, late) = (
            Timestamp(seconds: -5, nanoseconds: 7),
            Timestamp(seconds: .max, nanoseconds: 999_999_999)
        )
        try fs.setTimes(file, accessed: early, modified: nil, isNow: false, bench.superuser)
        #expect(file.accessed == early && file.modified == Timestamp(seconds: 1000))
        try fs.setTimes(file, accessed: nil, modified: late, isNow: false, bench.superuser)
        #expect(file.accessed == early && file.modified == late && file.changed == fs.now)
        // Nothing to set needs no permission; explicit times need the owner; "now" is for whoever
        // may write.
        let user = bench.user
        #expect(
            errnoOf { (fs, _) throws(Errno) in
                try fs.setTimes(file, accessed: nil, modified: nil, isNow: false, user)
            } == nil)
        #expect(
            errnoOf { (fs, _) throws(Errno) in
                try fs.setTimes(file, accessed: early, modified: early, isNow: false, user)
            } == .EPERM)
        #expect(
            errnoOf { (fs, _) throws(Errno) in
                try fs.setTimes(file, accessed: nil, modified: nil, isNow: true, user)
            } == .EACCES)
        file.permissions = 0o666
        try fs.setTimes(file, accessed: nil, modified: nil, isNow: true, user)
        #expect(file.accessed == fs.now && file.modified == fs.now)
    }

    @Test func hostileSizes() throws {
        let (fs, file) = (bench.fileSystem, try bench.find("/tmp/f"))
        for (size, expected) in [
            (UInt64(1) << 63, Errno.EINVAL), (.max, .EINVAL), (UInt64(Int64.max), .EFBIG),
        ] {
            #expect(
                errnoOf { (fs, c) throws(Errno) in try fs.truncate(file, to: size, c) } == expected)
        }
        #expect(file.contents?.size == 3)
        #expect(errnoOf { (fs, c) throws(Errno) in try fs.truncate(fs.root, to: 0, c) } == .EISDIR)
        let null = try bench.find("/dev/null")
        #expect(errnoOf { (fs, c) throws(Errno) in try fs.truncate(null, to: 0, c) } == .EINVAL)
        try fs.setPermissions(file, .max, bench.superuser)
        #expect(file.permissions == 0o7777)
        #expect(fs.fault() == nil)
    }

    @Test func statisticsCountFilesAndBytes() throws {
        let before = bench.fileSystem.statistics()
        try bench.makeFile("/tmp/x", "0123456789")
        try bench.fileSystem.link(
            from: try bench.find("/tmp/x"), bytes("/tmp/y"), at: nil, bench.superuser)
        let after = bench.fileSystem.statistics()
        #expect(after.inodes == before.inodes + 1)
        #expect(after.regularBytes == before.regularBytes + 10)
        try bench.unlink("/tmp/x")
        try bench.unlink("/tmp/y")
        #expect(bench.fileSystem.statistics() == before)
    }
}
