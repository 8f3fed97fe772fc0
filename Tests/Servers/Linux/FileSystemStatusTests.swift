import CHostCalls
import Testing

@testable import LinuxServer

/// Records laid out by us and by the C compiler from Linux's headers.
struct FileSystemStatusTests {
    private func randomStatus(_ random: inout SeededGenerator) -> FileStatus {
        func time() -> Timestamp {
            Timestamp(
                seconds: Int64(truncatingIfNeeded: random.next()),
                nanoseconds: UInt32(random.below(1_000_000_000)))
        }
        var status = FileStatus()
        status.device = DeviceNumber.make(UInt32(random.below(4096)), UInt32(random.below(1 << 20)))
        status.inode = random.next()
        status.linkCount = UInt64(random.below(1 << 32))
        status.mode = UInt32(random.below(1 << 16))
        status.owner = UInt32(truncatingIfNeeded: random.next())
        status.group = UInt32(truncatingIfNeeded: random.next())
        status.deviceNumber = DeviceNumber.make(
            UInt32(random.below(4096)), UInt32(random.below(1 << 20)))
        status.size = random.next() >> 1
        status.blocks = random.next() >> 1
        (status.accessed, status.modified, status.changed, status.created) = (
            time(), time(), time(), time()
        )
        return status
    }

    /// The record that C makes of the same values.
    private func record(
        _ status: FileStatus,
        _ make: (
            UnsafePointer<host_status>, UInt64, UInt64, UnsafePointer<Int64>,
            UnsafeMutableRawPointer
        ) -> Int
    ) -> Bytes {
        var host = host_status(
            inode: status.inode, links: status.linkCount, size: status.size,
            device_number: status.deviceNumber,
            mode: status.mode, owner: status.owner, group: status.group)
        let times = [status.accessed, status.modified, status.changed, status.created]
            .flatMap { [$0.seconds, Int64($0.nanoseconds)] }
        var bytes = Bytes(repeating: 0xAA, count: 512)
        let size = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { make(&host, status.device, status.blocks, times, $0) } ?? 0
        }
        return Bytes(bytes.prefix(size))
    }

    @Test(arguments: 0..<50) func statAndStatxEqualTheHeaders(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let status = randomStatus(&random)
        #expect(status.encodeStat() == record(status) { host_make_stat($0, $1, $2, $3, $4) })
        #expect(status.encodeStatx() == record(status) { host_make_statx($0, $1, $2, $3, $4) })
    }

    @Test func statfsEqualsTheHeader() {
        let status = FileSystemStatus(
            magic: .memory, totalPages: 0x0123_4567_89AB, freePages: 77, totalInodes: .max,
            freeInodes: 5)
        var bytes = Bytes(repeating: 0xAA, count: 512)
        let size = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map {
                host_make_statfs([0x0102_1994, 0x0123_4567_89AB, 77, .max, 5], $0)
            } ?? 0
        }
        #expect(status.encode() == Bytes(bytes.prefix(size)))
    }

    @Test func deviceNumbersEqualMakedev() {
        for major: UInt32 in [0, 1, 5, 255, 256, 4095] {
            for minor: UInt32 in [0, 3, 255, 256, 0xFFFFF] {
                let number = DeviceNumber.make(major, minor)
                #expect(number == host_make_device(major, minor))
                #expect(DeviceNumber.major(number) == major && DeviceNumber.minor(number) == minor)
            }
        }
    }

    @Test func sizesAndBlocks() throws {
        let bench = Bench(defaults: true)
        try bench.makeFile("/f", String(repeating: "x", count: 4097))
        try bench.makeLink("/l", to: "target")
        let file = try bench.find("/f").status
        #expect((file.size, file.blocks, file.mode) == (4097, 16, 0o100644))
        #expect(try bench.find("/l", []).status.size == 6)
        #expect(try bench.find("/").status.mode == 0o040755)
        #expect(try bench.find("/dev/null").status.deviceNumber == 0x103)
        #expect(try bench.find("/proc/version").status.size == 0)
        #expect(try bench.find("/proc").fileSystemMagic == .processes)
        #expect(try bench.find("/sys/kernel").fileSystemMagic == .system)
        #expect(try bench.find("/tmp").fileSystemMagic == .memory)
        #expect(UInt64.max.multipliedClamped(by: 8) == .max)
    }
}
