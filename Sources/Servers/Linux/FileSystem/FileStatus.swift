/// What stat(2) tells of a file.
public struct FileStatus: Equatable, Sendable {
    public var device: UInt64 = 0
    public var inode: UInt64 = 0
    public var linkCount: UInt64 = 0
    /// Type and permission bits.
    public var mode: UInt32 = 0
    public var owner: UInt32 = 0
    public var group: UInt32 = 0
    public var deviceNumber: UInt64 = 0
    /// Bytes.
    public var size: UInt64 = 0
    /// Preferred size of a read, in bytes.
    public var blockSize: UInt64 = 4096
    /// Units of 512 bytes.
    public var blocks: UInt64 = 0
    public var accessed = Timestamp(seconds: 0)
    public var modified = Timestamp(seconds: 0)
    public var changed = Timestamp(seconds: 0)
    public var created = Timestamp(seconds: 0)

    public init() {}
}

extension Inode {
    /// What stat(2) shows.
    public var status: FileStatus {
        var status = FileStatus()
        status.device = device
        status.inode = number
        status.linkCount = UInt64(linkCount)
        status.mode = kind.modeBits | permissions
        status.owner = owner
        status.group = group
        status.deviceNumber = deviceNumber
        status.size = visibleSize
        status.blocks = generated == nil ? visibleBlocks : 0
        status.accessed = accessed
        status.modified = modified
        status.changed = changed
        status.created = created
        return status
    }

    /// Directories show one block, as they do on most disks; generated files show nothing, as in
    /// /proc.
    private var visibleSize: UInt64 {
        if generated != nil { return 0 }
        return switch kind {
        case .regular: contents?.size ?? 0
        case .symbolicLink: UInt64(target.count)
        case .directory: 4096
        default: 0
        }
    }

    private var visibleBlocks: UInt64 {
        switch kind {
        case .regular:
            (visibleSize / 4096 + (visibleSize % 4096 == 0 ? 0 : 1)).multipliedClamped(by: 8)
        case .directory: 8
        default: 0
        }
    }
}

extension UInt64 {
    /// A product that stops at the greatest value instead of trapping.
    func multipliedClamped(by factor: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}

/// Device numbers as makedev(3) makes them: minor in bits 0–7 and 20–31, major in bits 8–19.
public enum DeviceNumber {
    public static func make(_ major: UInt32, _ minor: UInt32) -> UInt64 {
        UInt64(minor & 0xFF) | UInt64(major & 0xFFF) << 8 | UInt64(minor & 0xFFF00) << 12
    }
    public static func major(_ number: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: number >> 8) & 0xFFF
    }
    public static func minor(_ number: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: number) & 0xFF | UInt32(truncatingIfNeeded: number >> 12)
            & 0xFFF00
    }
}

/// `st_dev` of each part of the tree.
public enum FileSystemDevice {
    public static let root: UInt64 = 1
    public static let devices: UInt64 = 2
    public static let processes: UInt64 = 3
    public static let system: UInt64 = 4
    /// Pipes, sockets, memfd_create(2).
    public static let anonymous: UInt64 = 5
}
