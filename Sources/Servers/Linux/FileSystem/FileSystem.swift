/// The Linux server's file system: a tree of inodes in memory. The server's memory is persistent,
/// so this is the disk.
///
/// A pure data structure: no system calls, no locks (the server holds its own), no clock. Errors
/// are those of the system calls' man pages. Nothing traps on hostile input.
public final class FileSystem {
    /// Time that changes are stamped with. The server sets it before each call that may change
    /// something.
    public var now: Timestamp
    public let root: Inode
    /// Told of the absolute path of each look-up that found nothing, but for those of a caller who
    /// is about to make the name.
    public var onMissing: ((Bytes) -> Void)?
    let process: ProcessInformation
    private let makeContents: () -> FileContents
    /// Numbers are never used again, so that (device, number) names a file for good.
    private var nextNumber: UInt64 = 1
    /// Named or open inodes that are not generated.
    var liveInodes: UInt64 = 1

    /// An empty root directory. `makeContents` makes the store of each new regular file.
    public init(
        makeContents: @escaping () -> FileContents, process: ProcessInformation, now: Timestamp
    ) {
        self.makeContents = makeContents
        self.process = process
        self.now = now
        root = Inode(
            number: 1, device: FileSystemDevice.root, kind: .directory, permissions: 0o755,
            time: now)
        root.linkCount = 2
        nextNumber = 2
    }

    /// Walks a path, which has no zero byte inside. `base` is the directory of relative paths, nil
    /// the caller's working directory.
    ///
    /// ENOENT, ENOTDIR, EACCES, ELOOP (more than 40 links), ENAMETOOLONG (name > 255, path > 4095)
    /// as path_resolution(7).
    public func resolve(
        _ path: Bytes, at base: Inode?, flags: ResolveFlags, _ caller: Caller
    ) throws(Errno) -> Resolved {
        guard !path.isEmpty else { throw .ENOENT }
        guard path.count < PathLimit.path else { throw .ENAMETOOLONG }
        var walk = PathWalk(self, path, from: base ?? caller.workingDirectory, flags: flags, caller)
        return try walk.run()
    }

    /// One more open file or mapping.
    public func retain(_ inode: Inode) { inode.openCount += 1 }

    /// One fewer. The contents go when neither a name nor an open file is left.
    public func release(_ inode: Inode) {
        guard inode.openCount > 0 else { return }
        inode.openCount -= 1
        disposeIfUnused(inode)
    }

    /// An inode without a name, for memfd_create(2), pipes and sockets. Nobody holds it open yet:
    /// `retain` it.
    public func makeAnonymous(kind: NodeKind, permissions: UInt32) -> Inode {
        let inode = Inode(
            number: takeNumber(), device: FileSystemDevice.anonymous, kind: kind,
            permissions: permissions, time: now)
        if kind == .regular {
            inode.contents = makeContents()
            inode.linkCount = 0
            liveInodes += 1
        }
        return inode
    }

    /// Permission check of access(2) with the caller's file system identity: EACCES.
    public func access(_ inode: Inode, _ mask: UInt32, _ caller: Caller) throws(Errno) {
        guard inode.permits(mask, caller.credentials) else { throw .EACCES }
    }

    // MARK: For the operations in this folder

    /// The child of a directory under a name.
    func child(of directory: Inode, named name: ArraySlice<UInt8>, _ caller: Caller) throws(Errno)
        -> Inode?
    {
        guard let generated = directory.generated else {
            return directory.directory?.inode(named: name)
        }
        guard let child = try generated.lookUp(Bytes(name), caller) else { return nil }
        if child.parent == nil {
            child.parent = directory
            child.name = Bytes(name)
        }
        return child
    }

    func takeNumber() -> UInt64 {
        defer { nextNumber &+= 1 }
        return nextNumber
    }

    /// An inode with no name yet, on the device of its directory-to-be.
    func makeInode(
        _ kind: NodeKind, permissions: UInt32, owner: UInt32, group: UInt32, device: UInt64
    ) -> Inode {
        let inode = Inode(
            number: takeNumber(), device: device, kind: kind, permissions: permissions,
            owner: owner, group: group,
            time: now)
        inode.linkCount = 0
        if kind == .regular { inode.contents = makeContents() }
        liveInodes += 1
        return inode
    }

    /// Ends an inode that neither a name nor an open file holds.
    func disposeIfUnused(_ inode: Inode) {
        guard inode.linkCount == 0, inode.openCount == 0, inode.generated == nil else { return }
        guard inode.kind != .regular || inode.contents != nil else { return }
        inode.contents?.release()
        inode.contents = nil
        if liveInodes > 0 { liveInodes -= 1 }
    }
}
