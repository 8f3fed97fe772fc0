/// Taking names away: unlink(2), rmdir(2).
extension FileSystem {
    /// unlink(2). An open file stays usable until its last release.
    public func unlink(_ path: Bytes, at base: Inode?, _ caller: Caller) throws(Errno) {
        let place = try resolve(path, at: base, flags: .keepFinal, caller)
        if let error = place.lookUpError { throw error }
        guard place.isOrdinaryName else { throw .EISDIR }
        guard let inode = place.inode else { throw .ENOENT }
        guard !place.mustBeDirectory else { throw inode.kind == .directory ? .EISDIR : .ENOTDIR }
        try checkRemoval(of: inode, from: place.parent, asDirectory: false, caller)
        guard !inode.isMountPoint else { throw .EBUSY }
        detach(inode, from: place.parent, place.name)
    }

    /// rmdir(2). EINVAL for a path that ends in ".", ENOTEMPTY for "..", EBUSY for a root or mount
    /// point.
    public func removeDirectory(_ path: Bytes, at base: Inode?, _ caller: Caller) throws(Errno) {
        let place = try resolve(path, at: base, flags: .keepFinal, caller)
        if let error = place.lookUpError { throw error }
        if place.name.isEmpty { throw .EBUSY }
        if place.name == [.dot] { throw .EINVAL }
        if place.name == [.dot, .dot] { throw .ENOTEMPTY }
        guard let inode = place.inode else { throw .ENOENT }
        try checkRemoval(of: inode, from: place.parent, asDirectory: true, caller)
        guard !inode.isMountPoint, inode !== caller.root else { throw .EBUSY }
        guard inode.directory?.isEmpty ?? true else { throw .ENOTEMPTY }
        detach(inode, from: place.parent, place.name)
    }

    /// Whether a name may be taken from a directory: EACCES, EPERM (sticky directory, generated),
    /// ENOTDIR, EISDIR; in the order in which Linux tests.
    func checkRemoval(
        of inode: Inode, from parent: Inode, asDirectory: Bool, _ caller: Caller
    ) throws(Errno) {
        try access(parent, AccessMask.write | AccessMask.execute, caller)
        if parent.permissions & ModeBits.sticky != 0, !inode.isOwned(by: caller.credentials),
            !parent.isOwned(by: caller.credentials)
        {
            throw .EPERM
        }
        if asDirectory != (inode.kind == .directory) { throw asDirectory ? .ENOTDIR : .EISDIR }
        guard parent.directory != nil else { throw .EPERM }
    }

    /// Takes away a name that is there; an inode without names and users ends.
    func detach(_ inode: Inode, from parent: Inode, _ name: Bytes) {
        _ = parent.directory?.remove(name)
        parent.stampModified(now)
        forgetName(of: inode, name, in: parent)
        dropName(of: inode, from: parent)
    }

    /// A file no longer remembers a name that it lost, but for its last one, which /proc/N/fd shows;
    /// a directory does, for its "..".
    func forgetName(of inode: Inode, _ name: Bytes, in parent: Inode) {
        guard inode.kind != .directory, inode.linkCount > 1, inode.parent === parent,
            inode.name == name
        else { return }
        inode.parent = nil
        inode.name = []
    }

    /// An inode lost a name in a directory.
    func dropName(of inode: Inode, from parent: Inode) {
        inode.changed = now
        if inode.kind == .directory {
            inode.linkCount = 0
            parent.linkCount &-= 1
        } else if inode.linkCount > 0 {
            inode.linkCount -= 1
        }
        disposeIfUnused(inode)
    }
}
