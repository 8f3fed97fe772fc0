import ABI

/// The guest program, whose instructions never run: a static ELF with names to read and structures
/// to write, at addresses that the events know. execve(2) of it brings the same ones back.
enum LinuxProgram {
    static let text: UInt64 = 0x40_0000
    /// 64 names of at most 63 bytes each.
    static let names: UInt64 = 0x40_1000
    /// 64 structures of 64 bytes each, a page of pointers to names, and two pages of zeros.
    static let structures: UInt64 = 0x60_0000
    static let pointers: UInt64 = 0x60_1000
    static let buffers: UInt64 = 0x60_2000
    static let dataPages: UInt64 = 4
    /// Mapped by the first process, shared by all.
    static let shared: UInt64 = 0x70_0000
    static let handler = text + 0x100
    static let restorer = text + 0x200

    static let paths: [String] = [
        "/", "", ".", "..", "/bin/program", "file", "/data/file", "/data/text", "/data/directory",
        "/data/directory/inner", "/data/script", "/data/link", "/data/loop", "/data/fifo", "new",
        "/data/new", "/data/newer", "/data/directory/new", "/tmp/a", "/tmp/b", "/tmp/a/b", "b",
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/tty", "/dev/console",
        "/dev/ptmx", "/dev/fd/0", "/proc", "/proc/self", "/proc/self/maps", "/proc/self/stat",
        "/proc/self/status", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/fd/7",
        "/proc/self/exe", "/proc/self/cwd", "/proc/self/root", "/proc/self/comm",
        "/proc/self/cmdline", "/proc/self/environ", "/proc/self/fdinfo/5", "/proc/self/task",
        "/proc/3/stat", "/proc/4/maps", "/proc/4/fd/0", "/proc/4/cwd", "/proc/meminfo",
        "/proc/mounts", "/proc/uptime", "/proc/loadavg", "/proc/stat", "/sys",
        "/proc/sys/kernel/random/uuid", "/proc/sys/kernel/hostname", "//data//./directory/..//text",
        "/data/text/x", "a", "#!", "/data/broken", "/data/lines",
    ]

    private static func field(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    private static func words(_ values: UInt64...) -> [UInt8] { values.flatMap { field($0, 8) } }
    private static func padded(_ bytes: [UInt8], to count: Int) -> [UInt8] {
        Array((bytes + [UInt8](repeating: 0, count: count)).prefix(count))
    }

    private static func header(_ flags: UInt64, _ offset: UInt64, _ address: UInt64, _ size: UInt64)
        -> [UInt8]
    {
        field(1, 4) + field(flags, 4) + words(offset, address, address, min(size, 8192), size, 4096)
    }

    static let file: [UInt8] = {
        var first: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
        first += field(2, 2) + field(62, 2) + field(1, 4) + words(text + 0x100, 64, 0)
        first += field(0, 4) + field(64, 2) + field(56, 2) + field(2, 2) + field(0, 6)
        first += header(5, 0, text, 8192) + header(6, 8192, structures, dataPages * pageSize)
        let strings = paths.prefix(64).flatMap { padded(Array($0.utf8), to: 64) }
        let table = structureTable.prefix(64).flatMap { padded($0, to: 64) }
        var lists: [UInt8] = []
        for index in 0..<512 as Range<UInt64> {
            // Argument lists: every fourth pointer is null.
            lists += words(index % 4 == 3 ? 0 : names + index * 64 % 4096)
        }
        return padded(first, to: 4096) + padded(strings, to: 4096) + padded(table, to: 4096) + lists
    }()

    /// What calls take by address. Slots without one are zeros.
    private static let structureTable: [[UInt8]] = {
        let pollFile = { (descriptor: UInt64, events: UInt64) in
            field(descriptor, 4) + field(events, 4)
        }
        return [
            words(0, 0), words(0, 1_000_000), words(1, 999_999_999), words(UInt64.max, 0),
            words(0x7FFF_FFFF_FFFF, 5), words(0, 10_000, 0, 10_000), words(0, 500, 3, 500),
            words(0, 0, 0, 0), words(0, 1000, 2, 2000),
            words(buffers, 64, buffers + 100, 200), words(names, 5000, structures, 8, 0, 9),
            words(buffers, 1 << 62, buffers, 1 << 62), words(shared, 4096, 0x3FFF_FFFF_F000, 8192),
            pollFile(0, 1) + pollFile(3, 5) + pollFile(5, 1) + pollFile(6, 4) + pollFile(7, 0x45),
            pollFile(1, 4) + pollFile(99, 1) + pollFile(0xFFFF_FFFF, 1) + pollFile(8, 1),
            words(0xFF, 0, 0, 0), words(0xFFF, 0), words(0x28), words(1 << 63),
            words(handler, 0x0400_0000, restorer, 0), words(handler, 0x1C00_0004, restorer, 0x4000),
            words(handler, 0xC400_0004, restorer, UInt64.max), words(handler, 0, 0, 0),
            words(0, 0, 0, 0), words(1, 0, 0, 0), words(1, 3, 0, 0),
            words(0), words(UInt64.max), words(1 << 16), words(0x4000), words(1 << 33),
            field(1, 4) + words(1), field(0x8000_2005, 4) + words(2), field(0x4000_0001, 4),
            // clone3(2): a thread, a process, a child with a stack of its own, vfork.
            words(0x3D_0F00, 0, shared, shared + 8, 0, buffers, 4096, shared),
            words(0, 0, 0, 0, 17, 0, 0, 0), words(0x300, 0, 0, 0, 10, buffers, 8192, 0),
            words(0x4100, 0, 0, 0, 17, 0, 0, 0),
            // struct termios: canonical, raw, raw without waiting, no echo.
            field(0o2400, 4) + field(5, 4) + field(0o277, 4) + field(0o105073, 4)
                + [0, 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
            field(0, 16) + [0, 3, 28, 127, 21, 4, 0, 1],
            field(0, 16) + [0, 3, 28, 127, 21, 4, 0, 0],
            field(0o2500, 4) + field(5, 4) + field(0o277, 4) + field(0o405, 4)
                + [0, 3, 28, 127, 21, 4, 9, 1, 0, 17, 19, 26, 10, 18, 15, 23, 22],
            words(0x0050_0018), words(3), words(4), words(5), words(0xFFFF_FFFF),
            words(buffers, 0, 8192), words(buffers + 4096, 0, 2048), words(0, 2, 0),
            words(1 << 20, 1 << 20), words(16, 64), words(5, UInt64.max), words(7, 65536),
            words(structures + 54 * 64, 0, 0), words(structures + 56 * 64, 8, structures),
            words(0x7FFF_FFFF, 0x8000_0000), words(0, 0, 1, 0xFF, 0xFFFF_FFFF, 0),
            words(1_000_000, 0, 1_000_000, 500), words(0, 0x3FFF_FFFE, 0, 0x3FFF_FFFF),
            words(4096, 1, 0, 0), words(0x2000_0000_0000),
        ]
    }()
}
