import Testing

@testable import LinuxServer

struct FileSystemDefaultsTests {
    @Test func theTreeOfHier7() throws {
        let bench = Bench(defaults: true)
        let modes: [(String, UInt32)] = [
            ("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/dev/shm", 0o1777), ("/root", 0o700),
            ("/etc", 0o755),
            ("/dev/null", 0o666), ("/dev/console", 0o600), ("/etc/passwd", 0o644),
            ("/usr/bin", 0o755), ("/run", 0o755),
        ]
        for (path, mode) in modes { #expect(try bench.find(path).permissions == mode, "\(path)") }
        #expect(try bench.find("/bin") === bench.find("/usr/bin"))
        #expect(try bench.find("/lib64") === bench.find("/usr/lib64"))
        #expect(try bench.content("/etc/passwd").hasPrefix("root:x:0:0:root:/root:/bin/sh\n"))
        #expect(try bench.find("/dev/urandom").deviceNumber == DeviceNumber.make(1, 9))
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func aSecondTimeChangesNothing() throws {
        let bench = Bench(defaults: true)
        let before = (try bench.names("/"), try bench.names("/dev"), bench.fileSystem.statistics())
        let devices = try bench.find("/dev")
        bench.fileSystem.populateDefaults()
        #expect(try bench.names("/") == before.0)
        #expect(try bench.names("/dev") == before.1)
        #expect(bench.fileSystem.statistics() == before.2)
        #expect(try bench.find("/dev") === devices)
    }

    @Test func whatIsThereIsLeftAlone() throws {
        let bench = Bench()
        try bench.makeDirectory("/etc", mode: 0o700)
        try bench.makeFile("/etc/passwd", "own")
        try bench.makeDirectory("/bin")
        try bench.makeFile("/bin/sh", "shell")
        try bench.makeDirectory("/proc")
        try bench.makeDirectory("/dev")
        try bench.makeFile("/dev/null", "own device")
        try bench.makeFile("/home", "a file in the way")
        bench.fileSystem.populateDefaults()
        #expect(try bench.content("/etc/passwd") == "own")
        #expect(try bench.find("/etc").permissions == 0o700)
        #expect(try bench.content("/bin/sh") == "shell")
        #expect(try bench.content("/dev/null") == "own device")
        #expect(try bench.find("/dev/zero").kind == .characterDevice)
        #expect(try bench.find("/home").kind == .regular)
        #expect(try bench.find("/proc").isMountPoint)
        #expect(try bench.content("/proc/sys/kernel/ostype") == "Linux\n")
        #expect(bench.fileSystem.fault() == nil)
    }

    @Test func devicesAndProcAreOtherDevices() throws {
        let bench = Bench(defaults: true)
        #expect(try bench.find("/").device == bench.find("/tmp").device)
        let devices = try ["/", "/dev", "/proc", "/sys"].map { try bench.find($0).device }
        #expect(Set(devices).count == 4)
        #expect(try bench.find("/dev/..") === bench.fileSystem.root)
        #expect(try bench.find("/proc/sys/..") === bench.find("/proc"))
        #expect(
            bench.fileSystem.path(
                of: try bench.find("/proc/sys/kernel"), root: bench.fileSystem.root)
                == bytes("/proc/sys/kernel"))
    }
}
