/// One file, directory, link or device. Names are in directories; an inode lives as long as
/// something refers to it.
///
/// Invariants: `linkCount` is the number of names (for a directory: 2 + its subdirectories; 0 once
/// removed); `directory` is set exactly for directories that are not generated; `contents` only for
/// regular files.
public final class Inode {
    public let number: UInt64
    /// `st_dev`: a `DeviceNumber` of `FileSystemDevice`. An inode whose parent has another one is a
    /// mount point.
    public let device: UInt64
    public let kind: NodeKind
    /// The low twelve bits of `st_mode`.
    public var permissions: UInt32
    public var owner: UInt32
    public var group: UInt32
    public internal(set) var linkCount: UInt32
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp
    public let created: Timestamp
    /// Linux encoding (makedev(3)) of character and block devices; 0 for others.
    public internal(set) var deviceNumber: UInt64 = 0
    /// Bytes of a regular file.
    public internal(set) var contents: FileContents?
    /// /proc and such: when set it stands for contents, directory or link target.
    public internal(set) var generated: GeneratedNode?
    public var attachment: InodeAttachment?
    /// Record locks, while there are any.
    var recordLocks: RecordLocks?
    /// Seals of a file of memfd_create(2); nil: it cannot be sealed.
    var seals: UInt32?
    /// Shared mappings through descriptors that may write.
    var writableMappings = 0
    /// Made by O_TMPFILE: link(2) may give it its first name.
    var mayBeLinked = false
    /// Open files and mappings. Changed only through `FileSystem.retain` and `release`.
    public internal(set) var openCount = 0

    /// Names of an ordinary directory.
    let directory: Directory?
    /// Target of an ordinary symbolic link.
    var target: Bytes = []
    /// Directory that holds the name the inode got last, and that name: a directory's place in the
    /// tree, a file's most recent one. A removed directory keeps them, so that its ".." works as on
    /// Linux; a file keeps those of its last name.
    var parent: Inode?
    var name: Bytes = []

    /// An inode with no name yet. Servers make generated ones; ordinary ones come from
    /// `FileSystem`.
    public init(
        number: UInt64, device: UInt64, kind: NodeKind, permissions: UInt32, owner: UInt32 = 0,
        group: UInt32 = 0,
        time: Timestamp, generated: GeneratedNode? = nil
    ) {
        self.number = number
        self.device = device
        self.kind = kind
        self.permissions = permissions & ModeBits.all
        self.owner = owner
        self.group = group
        self.generated = generated
        linkCount = 1
        accessed = time
        modified = time
        changed = time
        created = time
        directory = kind == .directory && generated == nil ? Directory() : nil
    }

    /// A removed directory holds its parent, which may be removed too, and so on: thousands deep, a
    /// recursive release would overflow the stack. So the chain is taken apart here, one link at a
    /// time.
    deinit {
        var above = parent
        parent = nil
        while above != nil, isKnownUniquelyReferenced(&above) {
            let next = above?.parent
            above?.parent = nil
            above = next
        }
    }

    /// A directory without a name any more: nothing can be found or made in it.
    public var isRemoved: Bool { linkCount == 0 }

    /// The first directory of another device than the one that holds it.
    public var isMountPoint: Bool {
        kind == .directory && parent.map { $0.device != device } ?? true
    }

    /// Whether two references mean the same file. Generated inodes may be made anew at each
    /// look-up.
    public func isSame(as other: Inode) -> Bool {
        self === other || (number == other.number && device == other.device)
    }

    /// The nearest directory above; the root is its own.
    var parentDirectory: Inode { parent ?? self }
}

extension Inode {
    /// Whether permission bits grant all of `mask` (access(2) bits), as path_resolution(7) says.
    public func permits(_ mask: UInt32, _ credentials: Credentials) -> Bool {
        if credentials.isSuperuser {
            return mask & AccessMask.execute == 0 || kind == .directory
                || permissions & ModeBits.anyExecute != 0
        }
        let granted =
            if credentials.user == owner { permissions >> 6 } else if credentials.belongs(to: group)
            {
                permissions >> 3
            } else { permissions }
        return mask & 7 & ~granted == 0
    }

    /// Whether the caller may change attributes that belong to the owner.
    func isOwned(by credentials: Credentials) -> Bool {
        credentials.isSuperuser || credentials.user == owner
    }

    /// Contents and metadata changed.
    func stampModified(_ now: Timestamp) {
        modified = now
        changed = now
    }
}
