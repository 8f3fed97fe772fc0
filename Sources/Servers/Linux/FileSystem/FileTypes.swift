/// What an inode is. Raw values are the `d_type` of getdents64(2); the type bits of `st_mode` are
/// these << 12.
public enum NodeKind: UInt8, Sendable {
    case fifo = 1
    case characterDevice = 2
    case directory = 4
    case blockDevice = 6
    case regular = 8
    case symbolicLink = 10
    case socket = 12

    /// The kind that a mode's type bits (`S_IFMT`, 0o170000) name; nil when they name none.
    public init?(mode: UInt32) {
        self.init(rawValue: UInt8(truncatingIfNeeded: mode >> 12 & 0xF))
    }

    /// The type bits of `st_mode`.
    public var modeBits: UInt32 { UInt32(rawValue) << 12 }
}

/// Seconds and nanoseconds since 1970.
public struct Timestamp: Equatable, Comparable, Sendable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public static func < (a: Timestamp, b: Timestamp) -> Bool {
        a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds
    }
}

/// Anything the server hangs on an inode: a fifo's pipe, a socket, record locks.
open class InodeAttachment {
    public init() {}
}

/// Who asks, for permission checks: the effective (file system) identifiers of credentials(7).
public struct Credentials: Sendable {
    public var user: UInt32
    public var group: UInt32
    /// Supplementary groups.
    public var groups: [UInt32]

    public init(user: UInt32 = 0, group: UInt32 = 0, groups: [UInt32] = []) {
        self.user = user
        self.group = group
        self.groups = groups
    }

    /// User 0 has every file capability of capabilities(7); nobody else has any.
    public var isSuperuser: Bool { user == 0 }

    /// Whether the caller belongs to a group.
    public func belongs(to wanted: UInt32) -> Bool { group == wanted || groups.contains(wanted) }
}

/// Who asks, for one call.
public struct Caller {
    public var credentials: Credentials
    /// Where absolute paths start, and where ".." stops (chroot(2)).
    public var root: Inode
    public var workingDirectory: Inode
    public var processID: Int32
    public var threadID: Int32
    /// Permission bits that new files do not get (umask(2)); applied by the file system.
    public var umask: UInt32

    public init(
        credentials: Credentials = Credentials(), root: Inode, workingDirectory: Inode,
        processID: Int32 = 1, threadID: Int32 = 1, umask: UInt32 = 0o022
    ) {
        self.credentials = credentials
        self.root = root
        self.workingDirectory = workingDirectory
        self.processID = processID
        self.threadID = threadID
        self.umask = umask
    }
}

/// One entry of a directory, as getdents64(2) shows it.
public struct DirectoryEntry: Sendable {
    public var name: Bytes
    /// Inode number.
    public var inode: UInt64
    public var kind: NodeKind
    /// Cookie from which a later read goes on behind this entry (`d_off`).
    public var next: UInt64

    public init(name: Bytes, inode: UInt64, kind: NodeKind, next: UInt64) {
        self.name = name
        self.inode = inode
        self.kind = kind
        self.next = next
    }
}

/// The bits of access(2).
public enum AccessMask {
    public static let execute: UInt32 = 1
    public static let write: UInt32 = 2
    public static let read: UInt32 = 4
}

/// Permission bits of `st_mode` that mean more than read, write and execute (inode(7)).
enum ModeBits {
    static let all: UInt32 = 0o7777
    static let setUser: UInt32 = 0o4000
    static let setGroup: UInt32 = 0o2000
    static let sticky: UInt32 = 0o1000
    static let groupExecute: UInt32 = 0o010
    static let anyExecute: UInt32 = 0o111
}

/// Limits of path_resolution(7).
public enum PathLimit {
    /// Longest name in a directory, in bytes.
    public static let name = 255
    /// First path length that is too long: 4096 with the terminating zero.
    public static let path = 4096
    /// Symbolic links that one resolution may follow.
    public static let symbolicLinks = 40
}
