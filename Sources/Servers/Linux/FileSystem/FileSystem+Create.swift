/// Making names: mkdir(2), mknod(2), symlink(2), link(2). Each first finds the free place (may
/// fail, no effect), then attaches (cannot fail).
extension FileSystem {
    /// mkdir(2). Type bits, set-user and set-group bits of `mode` are ignored; the caller's umask
    /// applies.
    public func makeDirectory(_ path: Bytes, at base: Inode?, mode: UInt32, _ caller: Caller)
        throws(Errno)
    {
        let place = try vacancy(path, at: base, forDirectory: true, caller)
        let permissions = mode & (0o777 | ModeBits.sticky) & ~caller.umask
        _ = create(.directory, in: place.parent, place.name, permissions, caller)
    }

    /// mknod(2). `mode` has type bits (none = regular). EPERM: a device by another than the
    /// superuser, a directory.
    public func makeNode(
        _ path: Bytes, at base: Inode?, mode: UInt32, deviceNumber: UInt64, _ caller: Caller
    ) throws(Errno) {
        let kind = try nodeKind(mode)
        let place = try vacancy(path, at: base, forDirectory: false, caller)
        let isDevice = kind == .characterDevice || kind == .blockDevice
        guard !isDevice || caller.credentials.isSuperuser else { throw .EPERM }
        let inode = create(
            kind, in: place.parent, place.name, mode & ModeBits.all & ~caller.umask, caller)
        if isDevice { inode.deviceNumber = deviceNumber }
    }

    /// symlink(2). ENOENT for an empty target, ENAMETOOLONG for one of 4096 bytes or more.
    public func makeSymbolicLink(
        target: Bytes, _ path: Bytes, at base: Inode?, _ caller: Caller
    ) throws(Errno) {
        guard !target.isEmpty else { throw .ENOENT }
        guard target.count < PathLimit.path else { throw .ENAMETOOLONG }
        let place = try vacancy(path, at: base, forDirectory: false, caller)
        create(.symbolicLink, in: place.parent, place.name, 0o777, caller).target = target
    }

    /// link(2): one more name for `inode`. EPERM for directories and for others' files that are not
    /// plain, EXDEV across devices, ENOENT for an inode whose
    /// last name is gone.
    public func link(from inode: Inode, _ path: Bytes, at base: Inode?, _ caller: Caller)
        throws(Errno)
    {
        let place = try resolve(path, at: base, flags: .keepFinal, caller)
        if let error = place.lookUpError { throw error }
        guard place.inode == nil else { throw .EEXIST }
        guard !place.mustBeDirectory else { throw .ENOENT }
        guard inode.device == place.parent.device else { throw .EXDEV }
        guard isSafeToLink(inode, caller) else { throw .EPERM }
        try checkChange(of: place.parent, caller)
        guard inode.kind != .directory, inode.generated == nil else { throw .EPERM }
        guard inode.linkCount > 0 || inode.mayBeLinked else { throw .ENOENT }
        guard inode.linkCount < .max else { throw .EMLINK }
        inode.mayBeLinked = false
        attach(inode, to: place.parent, place.name)
        inode.changed = now
    }

    /// The rule of /proc/sys/fs/protected_hardlinks, which Debian switches on: who does not own a
    /// file links only a plain one that it may read and write, so that nobody pins another's
    /// set-user program.
    private func isSafeToLink(_ inode: Inode, _ caller: Caller) -> Bool {
        if inode.isOwned(by: caller.credentials) { return true }
        let runsAsGroup = ModeBits.setGroup | ModeBits.groupExecute
        return inode.kind == .regular && inode.permissions & ModeBits.setUser == 0
            && inode.permissions & runsAsGroup != runsAsGroup
            && inode.permits(AccessMask.read | AccessMask.write, caller.credentials)
    }

    // MARK: Shared

    /// A place for a new name: EEXIST when it is taken, ENOENT when only a directory may end in a
    /// slash.
    func vacancy(
        _ path: Bytes, at base: Inode?, forDirectory: Bool, _ caller: Caller
    ) throws(Errno) -> Resolved {
        let place = try resolve(path, at: base, flags: .keepFinal, caller)
        if let error = place.lookUpError { throw error }
        guard place.inode == nil else { throw .EEXIST }
        guard forDirectory || !place.mustBeDirectory else { throw .ENOENT }
        try checkChange(of: place.parent, caller)
        return place
    }

    /// Whether names may be made in or taken from a directory. Generated directories have only the
    /// names they have.
    func checkChange(of directory: Inode, _ caller: Caller) throws(Errno) {
        guard directory.directory != nil else { throw .ENOENT }
        try access(directory, AccessMask.write | AccessMask.execute, caller)
    }

    /// A new inode under a name that is free. Owner and set-group rules: inode(7), mkdir(2).
    func create(
        _ kind: NodeKind, in parent: Inode, _ name: Bytes, _ permissions: UInt32, _ caller: Caller
    ) -> Inode {
        let credentials = caller.credentials
        var permissions = permissions
        var group = credentials.group
        if parent.permissions & ModeBits.setGroup != 0 {
            group = parent.group
            if kind == .directory {
                permissions |= ModeBits.setGroup
            } else if permissions & ModeBits.groupExecute != 0, !credentials.isSuperuser,
                !credentials.belongs(to: group)
            {
                permissions &= ~ModeBits.setGroup
            }
        }
        let inode = makeInode(
            kind, permissions: permissions, owner: credentials.user, group: group,
            device: parent.device)
        attach(inode, to: parent, name)
        return inode
    }

    /// Enters a name that is free.
    func attach(_ inode: Inode, to parent: Inode, _ name: Bytes) {
        parent.directory?.insert(name, inode)
        parent.stampModified(now)
        inode.parent = parent
        inode.name = name
        if inode.kind == .directory {
            inode.linkCount = 2
            parent.linkCount &+= 1
        } else {
            inode.linkCount &+= 1
        }
    }

    private func nodeKind(_ mode: UInt32) throws(Errno) -> NodeKind {
        guard mode & 0o170000 != 0 else { return .regular }
        guard let kind = NodeKind(mode: mode), kind != .symbolicLink else { throw .EINVAL }
        guard kind != .directory else { throw .EPERM }
        return kind
    }
}
