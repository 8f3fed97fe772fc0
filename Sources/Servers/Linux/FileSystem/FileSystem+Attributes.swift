/// Attributes: readlink(2), truncate(2), chmod(2), chown(2), utimensat(2), statfs(2).
extension FileSystem {
    /// readlink(2): the text of a symbolic link; EINVAL for anything else.
    public func readLink(_ inode: Inode, _ caller: Caller) throws(Errno) -> Bytes {
        guard inode.kind == .symbolicLink else { throw .EINVAL }
        guard let generated = inode.generated else { return inode.target }
        return try generated.target(caller)
    }

    /// The effect of truncate(2), ftruncate(2) and O_TRUNC. The caller has checked that the file
    /// may be written. EISDIR, EINVAL (not a regular file, or a size beyond 2^63 − 1), EPERM
    /// (sealed).
    public func truncate(_ inode: Inode, to size: UInt64, _ caller: Caller) throws(Errno) {
        guard inode.kind != .directory else { throw .EISDIR }
        guard inode.kind == .regular, let contents = inode.contents else { throw .EINVAL }
        guard size <= UInt64(Int64.max) else { throw .EINVAL }
        let sealed = size < contents.size ? Seals.shrink : size > contents.size ? Seals.grow : 0
        if inode.isSealed(sealed) { throw .EPERM }
        try contents.truncate(to: size)
        dropSetIDBits(inode, caller)
        inode.stampModified(now)
    }

    /// A write by anybody but the superuser takes set-user and set-group bits away. For the
    /// server's write(2).
    public func dropSetIDBits(_ inode: Inode, _ caller: Caller) {
        guard inode.kind == .regular, !caller.credentials.isSuperuser else { return }
        removeSetIDBits(inode, caller)
    }

    /// chmod(2). EPERM when the caller does not own the file. Without membership the set-group bit
    /// is lost.
    public func setPermissions(_ inode: Inode, _ mode: UInt32, _ caller: Caller) throws(Errno) {
        guard inode.kind != .symbolicLink else { throw .EOPNOTSUPP }
        try checkOwner(inode, caller)
        var permissions = mode & ModeBits.all
        if !caller.credentials.isSuperuser && !caller.credentials.belongs(to: inode.group) {
            permissions &= ~ModeBits.setGroup
        }
        inode.permissions = permissions
        inode.changed = now
    }

    /// chown(2); nil leaves an identifier. EPERM: only the superuser gives files away; an owner may
    /// choose one of its own groups.
    public func setOwner(_ inode: Inode, user: UInt32?, group: UInt32?, _ caller: Caller)
        throws(Errno)
    {
        guard inode.generated == nil else { throw .EPERM }
        let credentials = caller.credentials
        if let user, !credentials.isSuperuser,
            user != inode.owner || credentials.user != inode.owner
        {
            throw .EPERM
        }
        if let group, !credentials.isSuperuser,
            credentials.user != inode.owner
                || (group != inode.group && !credentials.belongs(to: group))
        {
            throw .EPERM
        }
        if user == nil && group == nil && !inode.isOwned(by: credentials) { return }
        if inode.kind != .directory { removeSetIDBits(inode, caller) }
        inode.owner = user ?? inode.owner
        inode.group = group ?? inode.group
        inode.changed = now
    }

    /// utimensat(2). A nil time stays. `isNow`: both are the current time, which also a caller who
    /// may write may set (EACCES otherwise); explicit times need the owner (EPERM otherwise).
    public func setTimes(
        _ inode: Inode, accessed: Timestamp?, modified: Timestamp?, isNow: Bool, _ caller: Caller
    ) throws(Errno) {
        guard isNow || accessed != nil || modified != nil else { return }
        guard inode.generated == nil else { throw .EPERM }
        if !inode.isOwned(by: caller.credentials) {
            guard isNow else { throw .EPERM }
            try access(inode, AccessMask.write, caller)
        }
        inode.accessed = isNow ? now : accessed ?? inode.accessed
        inode.modified = isNow ? now : modified ?? inode.modified
        inode.changed = now
    }

    /// Inodes in use, and the bytes of all regular files that have a name, for statfs(2).
    ///
    /// Counts by walking the tree: statfs is rare, and writes do not come by here.
    public func statistics() -> (inodes: UInt64, regularBytes: UInt64) {
        var bytes: UInt64 = 0
        var pending = [root]
        while let inode = pending.popLast() {
            for entry in inode.directory?.entries ?? [] {
                guard let child = entry.inode else { continue }
                if child.directory != nil { pending.append(child) }
                guard let contents = child.contents, child.linkCount > 0 else { continue }
                // A file with several names counts once, in parts that add up to its size or a
                // little less.
                bytes &+= contents.size / UInt64(child.linkCount)
            }
        }
        return (liveInodes, bytes)
    }

    private func checkOwner(_ inode: Inode, _ caller: Caller) throws(Errno) {
        guard inode.generated == nil, inode.isOwned(by: caller.credentials) else { throw .EPERM }
    }

    /// The set-group bit of a file that its group may not execute once meant mandatory locking;
    /// members leave it.
    private func removeSetIDBits(_ inode: Inode, _ caller: Caller) {
        inode.permissions &= ~ModeBits.setUser
        let isMember = caller.credentials.isSuperuser || caller.credentials.belongs(to: inode.group)
        if inode.permissions & ModeBits.groupExecute != 0 || !isMember {
            inode.permissions &= ~ModeBits.setGroup
        }
    }
}
