import Testing

@testable import LinuxServer

/// Two processes, 1 and 42, of which 42 has descriptors 0, 5 and 12.
private final class SomeProcesses: ProcessInformation {
    var processes: [Int32] = [42, 1]
    var names: [Int32: Bytes] = [1: bytes("init"), 42: bytes("shell")]
    var host = bytes("guest")
    var program: Inode?
    var place: Inode?
    var pipe: Inode?

    override func processIDs() -> [Int32] { processes }
    override func owner(_ process: Int32) -> (user: UInt32, group: UInt32) {
        process == 42 ? (1000, 100) : (0, 0)
    }
    override func threadIDs(_ process: Int32) -> [Int32] { process == 42 ? [43, 42] : [process] }
    override func commandLine(_ process: Int32) -> Bytes { bytes("shell\0-c\0") }
    override func commandName(_ process: Int32) -> Bytes { names[process] ?? [] }
    override func setCommandName(_ process: Int32, _ name: Bytes) { names[process] = name }
    override func maps(_ process: Int32) -> Bytes { bytes("400000-401000 r-xp\n") }
    override func executable(_ process: Int32) -> (inode: Inode, path: Bytes)? {
        program.map { ($0, bytes("/usr/bin/shell")) }
    }
    override func workingDirectory(_ process: Int32) -> Inode? { place }
    override func descriptors(_ process: Int32) -> [Int32] { process == 42 ? [12, 0, 5] : [] }
    override func descriptor(_ process: Int32, _ fd: Int32) -> (inode: Inode?, path: Bytes)? {
        guard process == 42 else { return nil }
        return switch fd {
        case 0: (program, bytes("/usr/bin/shell"))
        case 5: (pipe, bytes("pipe:[7]"))
        case 12: (nil, bytes("anon_inode:[eventpoll]"))
        default: nil
        }
    }
    override func descriptorInformation(_ process: Int32, _ fd: Int32) -> Bytes {
        bytes("pos:\t\(fd)\n")
    }
    override func memoryPages() -> (total: UInt64, free: UInt64) { (.max, 1000) }
    override func uptimeNanoseconds() -> UInt64 { 12_340_000_000 }
    override func bootEpochSeconds() -> Int64 { 1_700_000_000 }
    override func hostName() -> Bytes { host }
    override func setHostName(_ name: Bytes) { host = name }
    override func cpuCount() -> Int { 2 }
    override func loadedThreads() -> (running: Int, total: Int, lastID: Int32) { (1, 3, 43) }
    override func randomUUID() -> Bytes {
        bytes("11111111-2222-4333-8444-\(names.count)55555555555")
    }
}

struct FileSystemProcTests {
    private let processes = SomeProcesses()
    private let bench: Bench
    private let shell: Caller

    init() throws {
        bench = Bench(information: processes, defaults: true)
        var caller = bench.superuser
        caller.processID = 42
        caller.threadID = 43
        shell = caller
        try bench.makeFile("/usr/bin/shell", "program")
        processes.program = try bench.find("/usr/bin/shell")
        processes.place = try bench.find("/home")
        processes.pipe = bench.fileSystem.makeAnonymous(kind: .fifo, permissions: 0o600)
    }

    private func target(_ path: String) throws -> String {
        text(try bench.fileSystem.readLink(try bench.find(path, [], shell), shell))
    }

    @Test(arguments: [
        ("/proc/self/comm", "shell\n"), ("/proc/1/comm", "init\n"),
        ("/proc/self/cmdline", "shell\0-c\0"),
        ("/proc/thread-self/comm", "shell\n"), ("/proc/42/task/43/maps", "400000-401000 r-xp\n"),
        ("/proc/self/fdinfo/5", "pos:\t5\n"), ("/proc/uptime", "12.34 0.00\n"),
        ("/proc/loadavg", "0.00 0.00 0.00 1/3 43\n"),
        ("/proc/version", "Linux version 6.1.0-evertree (evertree) #1 SMP Evertree\n"),
        ("/proc/sys/kernel/hostname", "guest\n"),
        ("/proc/sys/kernel/osrelease", "6.1.0-evertree\n"),
        ("/proc/sys/vm/overcommit_memory", "1\n"), ("/proc/sys/net/core/somaxconn", "4096\n"),
        ("/sys/devices/system/cpu/online", "0-1\n"), ("/sys/devices/system/cpu/possible", "0-1\n"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"),
        ("/dev/fd/0", "program"), ("/proc/self/exe", "program"),
    ])
    func texts(path: String, expected: String) throws {
        #expect(try bench.content(path, shell) == expected)
    }

    @Test func longTexts() throws {
        let memory = try bench.content("/proc/meminfo", shell)
        #expect(
            memory.hasPrefix(
                "MemTotal:       18446744073709551615 kB\nMemFree:            4000 kB\n"))
        let statistics = try bench.content("/proc/stat", shell)
        #expect(statistics.hasPrefix("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0"))
        #expect(statistics.contains("\nbtime 1700000000\n"))
        #expect(
            try bench.content("/proc/cpuinfo", shell).split(separator: "\n").filter {
                $0.hasPrefix("processor")
            }.count == 2)
        #expect(try bench.content("/etc/mtab", shell).contains("proc /proc proc rw"))
        let boot = try bench.content("/proc/sys/kernel/random/boot_id", shell)
        processes.names[2] = []
        #expect(try bench.content("/proc/sys/kernel/random/boot_id", shell) == boot)
        #expect(try bench.content("/proc/sys/kernel/random/uuid", shell) != boot)
    }

    @Test func links() throws {
        #expect(try target("/proc/self") == "42")
        #expect(try target("/proc/thread-self") == "42/task/43")
        #expect(try target("/proc/self/exe") == "/usr/bin/shell")
        #expect(try target("/proc/self/cwd") == "/home")
        #expect(try target("/proc/self/fd/5") == "pipe:[7]")
        #expect(try target("/dev/stdin") == "/proc/self/fd/0")
        #expect(try target("/proc/mounts") == "self/mounts")
    }

    /// Magic links lead to the inode itself: a pipe has no path, and a moved program is still
    /// found.
    @Test func magicLinks() throws {
        #expect(try bench.find("/proc/self/fd/5", .followFinal, shell) === processes.pipe)
        try bench.rename("/usr/bin/shell", "/usr/bin/other")
        #expect(try bench.find("/proc/42/exe", .followFinal, shell) === processes.program)
        #expect(try bench.find("/proc/self/cwd/../tmp", .followFinal, shell) === bench.find("/tmp"))
        let opened = try bench.fileSystem.open(
            bytes("/proc/self/exe"), at: nil, flags: 0, mode: 0, shell)
        #expect(opened.inode === processes.program && text(opened.path) == "/usr/bin/other")
        try bench.removeDirectory("/home")
        #expect(try target("/proc/self/cwd") == "/home (deleted)")
    }

    @Test(arguments: [
        ("/proc/43", Errno.ENOENT), ("/proc/042", .ENOENT), ("/proc/99999999999999999999", .ENOENT),
        ("/proc/-1", .ENOENT),
        ("/proc/42\n", .ENOENT), ("/proc/1/fd/0", .ENOENT), ("/proc/self/fd/1", .ENOENT),
        ("/proc/self/fd/12", .ENXIO),
        ("/proc/self/fd/05", .ENOENT), ("/proc/self/task/44", .ENOENT),
        ("/proc/self/comm/x", .ENOTDIR),
        ("/proc/1/root", .ENOENT), ("/proc/self/nothing", .ENOENT),
    ])
    func errors(path: String, expected: Errno) {
        #expect(
            errno { () throws(Errno) in _ = try bench.find(path, .followFinal, shell) } == expected)
    }

    @Test func listings() throws {
        let names = try bench.names("/proc", from: 0, shell)
        #expect(names.suffix(2) == ["1", "42"])
        #expect(names.contains("self") && names.contains("sys"))
        #expect(
            try bench.fileSystem.resolve(bytes("/proc/self/fd"), at: nil, flags: [], shell).inode
                != nil)
        var listed: [String] = []
        try bench.fileSystem.readDirectory(
            try bench.find("/proc/self/fd", .followFinal, shell), from: 2, shell
        ) {
            listed.append(text($0.name))
            return true
        }
        #expect(listed == ["0", "5", "12"])
        #expect(try bench.names("/proc/42/task") == [".", "..", "42", "43"])
        for name in try bench.names("/proc/42") where name != "root" {
            _ = try bench.find("/proc/42/" + name, [], shell)
        }
    }

    @Test func aProcessOwnsItsDirectory() throws {
        var user = bench.user
        user.processID = 42
        let (fs, caller) = (bench.fileSystem, user)
        #expect(try bench.find("/proc/self/fd", .followFinal, user).owner == 1000)
        #expect(try bench.names("/proc/42/fd", from: 2, user) == ["0", "5", "12"])
        let own = try bench.find("/proc/self/fd", .followFinal, user)
        #expect(own.permits(AccessMask.read, user.credentials))
        let other = try bench.find("/proc/1/fd", .followFinal, user)
        #expect(
            errno { () throws(Errno) in try fs.access(other, AccessMask.read, caller) } == .EACCES)
    }

    /// Processes that come and go while /proc is read hide no other.
    @Test func listingGoesOnWhileProcessesChange() throws {
        processes.processes = [1, 10, 20, 30]
        var seen: [String] = []
        var cookie: UInt64 = 0
        while true {
            var entry: DirectoryEntry?
            try bench.fileSystem.readDirectory(try bench.find("/proc"), from: cookie, shell) {
                entry = $0
                return false
            }
            guard let entry else { break }
            cookie = entry.next
            seen.append(text(entry.name))
            if seen.last == "10" { processes.processes = [5, 20, 25, 30] }
        }
        #expect(seen.suffix(5) == ["1", "10", "20", "25", "30"])
    }

    @Test func inodeNumbersInListingsAreThoseOfStat() throws {
        for path in [
            "/proc", "/proc/42", "/proc/42/fd", "/proc/42/task", "/proc/sys/kernel",
            "/sys/devices/system/cpu",
        ] {
            var entries: [DirectoryEntry] = []
            try bench.fileSystem.readDirectory(
                try bench.find(path, .followFinal, shell), from: 2, shell
            ) {
                entries.append($0)
                return true
            }
            #expect(!entries.isEmpty)
            for entry in entries {
                let inode = try bench.find(path + "/" + text(entry.name), [], shell)
                #expect(
                    inode.number == entry.inode && inode.kind == entry.kind,
                    "\(path)/\(text(entry.name))")
            }
        }
    }

    @Test func writing() throws {
        func write(_ path: String, _ content: String, _ caller: Caller) -> Errno? {
            errno { () throws(Errno) in
                try bench.find(path, .followFinal, caller).generated?.write(bytes(content), caller)
            }
        }
        #expect(write("/proc/self/comm", "a-name-of-more-than-fifteen\n", shell) == nil)
        #expect(processes.names[42] == bytes("a-name-of-more-"))
        #expect(write("/proc/1/comm", "x", shell) == .EINVAL)
        #expect(write("/proc/sys/kernel/hostname", "new\n", shell) == nil)
        #expect(processes.host == bytes("new"))
        #expect(write("/proc/sys/kernel/hostname", "new", bench.user) == .EPERM)
        #expect(
            write("/proc/sys/kernel/hostname", String(repeating: "x", count: 65), shell) == .EINVAL)
        #expect(write("/proc/sys/net/core/somaxconn", "512\n", shell) == nil)
        #expect(try bench.content("/proc/sys/net/core/somaxconn", shell) == "512\n")
        for bad in ["", "\n", "x", "1x", "-1", "99999999999999999999", "9223372036854775808"] {
            #expect(write("/proc/sys/net/core/somaxconn", bad, shell) == .EINVAL)
        }
        #expect(write("/proc/version", "x", shell) == .EACCES)
    }

    @Test func anEndedProcessIsGone() throws {
        let directory = try bench.find("/proc/42", .followFinal, shell)
        let file = try bench.find("/proc/42/comm", .followFinal, shell)
        processes.processes = [1]
        #expect(errno { () throws(Errno) in _ = try file.generated?.text(shell) } == .ESRCH)
        let fileSystem = bench.fileSystem
        #expect(
            errno { () throws(Errno) in
                let found = try fileSystem.resolve(bytes("comm"), at: directory, flags: [], shell)
                if found.inode == nil { throw .ENOENT }
            } == .ENOENT)
        #expect(
            errno { () throws(Errno) in
                try fileSystem.readDirectory(directory, from: 2, shell) { _ in true }
            } == .ENOENT)
    }
}
