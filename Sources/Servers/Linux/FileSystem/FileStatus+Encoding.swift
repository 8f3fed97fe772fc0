/// The records of stat(2), statx(2), statfs(2) and getdents64(2) in their x86-64 layouts. Offsets
/// are bytes.
extension FileStatus {
    /// `struct stat`, 144 bytes.
    public func encodeStat() -> Bytes {
        var record = Record(count: 144)
        record.put(device, at: 0)
        record.put(inode, at: 8)
        record.put(linkCount, at: 16)
        record.put(mode, at: 24)
        record.put(owner, at: 28)
        record.put(group, at: 32)
        record.put(deviceNumber, at: 40)
        record.put(size, at: 48)
        record.put(blockSize, at: 56)
        record.put(blocks, at: 64)
        record.putLong(accessed, at: 72)
        record.putLong(modified, at: 88)
        record.putLong(changed, at: 104)
        return record.bytes
    }

    /// `struct statx`, 256 bytes: all basic fields and the time of birth, whatever was asked.
    public func encodeStatx() -> Bytes {
        var record = Record(count: 256)
        record.put(Self.basicAndBirth, at: 0)
        record.put(UInt32(truncatingIfNeeded: blockSize), at: 4)
        record.put(UInt32(truncatingIfNeeded: linkCount), at: 16)
        record.put(owner, at: 20)
        record.put(group, at: 24)
        record.put(UInt16(truncatingIfNeeded: mode), at: 28)
        record.put(inode, at: 32)
        record.put(size, at: 40)
        record.put(blocks, at: 48)
        record.putShort(accessed, at: 64)
        record.putShort(created, at: 80)
        record.putShort(changed, at: 96)
        record.putShort(modified, at: 112)
        record.put(DeviceNumber.major(deviceNumber), at: 128)
        record.put(DeviceNumber.minor(deviceNumber), at: 132)
        record.put(DeviceNumber.major(device), at: 136)
        record.put(DeviceNumber.minor(device), at: 140)
        return record.bytes
    }

    /// STATX_BASIC_STATS | STATX_BTIME.
    private static let basicAndBirth: UInt32 = 0xFFF
}

/// What statfs(2) tells.
public struct FileSystemStatus: Equatable, Sendable {
    /// `f_type`: what kind of file system. tmpfs, proc, sysfs (linux/magic.h).
    public enum Magic: UInt64, Sendable {
        case memory = 0x0102_1994
        case processes = 0x9FA0
        case system = 0x6265_6572
    }

    public var magic: Magic
    /// Pages of 4 KiB.
    public var totalPages: UInt64
    public var freePages: UInt64
    public var totalInodes: UInt64
    public var freeInodes: UInt64

    public init(
        magic: Magic, totalPages: UInt64, freePages: UInt64, totalInodes: UInt64, freeInodes: UInt64
    ) {
        self.magic = magic
        self.totalPages = totalPages
        self.freePages = freePages
        self.totalInodes = totalInodes
        self.freeInodes = freeInodes
    }

    /// `struct statfs`, 120 bytes.
    public func encode() -> Bytes {
        var record = Record(count: 120)
        record.put(magic.rawValue, at: 0)
        record.put(UInt64(4096), at: 8)
        record.put(totalPages, at: 16)
        record.put(freePages, at: 24)
        record.put(freePages, at: 32)
        record.put(totalInodes, at: 40)
        record.put(freeInodes, at: 48)
        record.put(UInt64(PathLimit.name), at: 64)
        record.put(UInt64(4096), at: 72)
        record.put(Self.validFlag, at: 80)
        return record.bytes
    }

    /// ST_VALID: `f_flags` is meant.
    private static let validFlag: UInt64 = 0x20
}

extension Inode {
    /// The `f_type` of the part of the tree that the inode is in.
    public var fileSystemMagic: FileSystemStatus.Magic {
        switch device {
        case FileSystemDevice.processes: .processes
        case FileSystemDevice.system: .system
        default: .memory
        }
    }
}

extension DirectoryEntry {
    /// Appends a `struct linux_dirent64`, a multiple of 8 bytes, unless more than `limit` bytes
    /// would result. Answers whether it fitted.
    public func encode(into bytes: inout Bytes, limit: Int) -> Bool {
        let length = (19 + name.count + 1 + 7) & ~7
        guard length <= limit - bytes.count else { return false }
        var record = Record(count: length)
        record.put(inode, at: 0)
        record.put(next, at: 8)
        record.put(UInt16(truncatingIfNeeded: length), at: 16)
        record.put(kind.rawValue, at: 18)
        record.put(name, at: 19)
        bytes.append(contentsOf: record.bytes)
        return true
    }
}

/// Bytes that are being laid out, zero where nothing is put.
private struct Record {
    private(set) var bytes: Bytes

    init(count: Int) { bytes = Bytes(repeating: 0, count: count) }

    mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        var rest = value
        for place in offset..<offset + Value.bitWidth / 8 {
            bytes[place] = UInt8(truncatingIfNeeded: rest)
            rest = Value.bitWidth > 8 ? rest >> 8 : 0
        }
    }

    mutating func put(_ text: Bytes, at offset: Int) {
        bytes.replaceSubrange(offset..<offset + text.count, with: text)
    }

    /// `struct timespec`.
    mutating func putLong(_ time: Timestamp, at offset: Int) {
        put(time.seconds, at: offset)
        put(UInt64(time.nanoseconds), at: offset + 8)
    }

    /// `struct statx_timestamp`.
    mutating func putShort(_ time: Timestamp, at offset: Int) {
        put(time.seconds, at: offset)
        put(time.nanoseconds, at: offset + 8)
    }
}
