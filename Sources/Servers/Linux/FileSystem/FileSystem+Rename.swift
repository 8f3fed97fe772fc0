/// Flags of renameat2(2).
public enum RenameFlags {
    public static let noReplace: UInt32 = 1
    public static let exchange: UInt32 = 2
}

/// rename(2). The tests come in the order in which Linux makes them, so that the same one of
/// several errors is reported.
extension FileSystem {
    /// renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE; other flags are EINVAL.
    public func rename(
        _ old: Bytes, oldAt: Inode?, _ new: Bytes, newAt: Inode?, flags: UInt32, _ caller: Caller
    ) throws(Errno) {
        guard flags & ~(RenameFlags.noReplace | RenameFlags.exchange) == 0, flags != 3 else {
            throw .EINVAL
        }
        let from = try resolve(old, at: oldAt, flags: .keepFinal, caller)
        let to = try resolve(new, at: newAt, flags: .keepFinal, caller)
        let source = try checkShape(from, to, flags)
        if let target = to.inode, target === source { return }
        try checkPermissions(source, from, to, flags, caller)
        try checkTarget(source, to, flags)
        commitRename(source, from, to, flags)
    }

    /// What the two names are to each other; answers the inode that moves.
    private func checkShape(_ from: Resolved, _ to: Resolved, _ flags: UInt32) throws(Errno)
        -> Inode
    {
        guard from.parent.device == to.parent.device else { throw .EXDEV }
        guard from.isOrdinaryName else { throw .EBUSY }
        guard to.isOrdinaryName else { throw flags == RenameFlags.noReplace ? .EEXIST : .EBUSY }
        guard let source = from.inode else { throw from.lookUpError ?? .ENOENT }
        if let error = to.lookUpError { throw error }
        let exchanges = flags == RenameFlags.exchange
        if flags == RenameFlags.noReplace && to.inode != nil { throw .EEXIST }
        if exchanges {
            guard let target = to.inode else { throw .ENOENT }
            if target.kind != .directory && to.mustBeDirectory { throw .ENOTDIR }
        }
        if source.kind != .directory && (from.mustBeDirectory || (!exchanges && to.mustBeDirectory))
        {
            throw .ENOTDIR
        }
        // A directory may not go below itself, nor replace (or change places with) one it is in.
        if source.kind == .directory, isInside(to.parent, source) { throw .EINVAL }
        if let target = to.inode, target.kind == .directory, isInside(from.parent, target) {
            throw exchanges ? .EINVAL : .ENOTEMPTY
        }
        return source
    }

    private func checkPermissions(
        _ source: Inode, _ from: Resolved, _ to: Resolved, _ flags: UInt32, _ caller: Caller
    ) throws(Errno) {
        let isDirectory = source.kind == .directory
        try checkRemoval(of: source, from: from.parent, asDirectory: isDirectory, caller)
        guard let target = to.inode else {
            try checkChange(of: to.parent, caller)
            return try checkNewParent(source, from, to, caller)
        }
        let exchanges = flags == RenameFlags.exchange
        let asDirectory = exchanges ? target.kind == .directory : isDirectory
        try checkRemoval(of: target, from: to.parent, asDirectory: asDirectory, caller)
        try checkNewParent(source, from, to, caller)
        if exchanges { try checkNewParent(target, from, to, caller) }
    }

    /// A directory that moves has its ".." written.
    private func checkNewParent(_ moved: Inode, _ from: Resolved, _ to: Resolved, _ caller: Caller)
        throws(Errno)
    {
        guard moved.kind == .directory, !from.parent.isSame(as: to.parent) else { return }
        try access(moved, AccessMask.write, caller)
    }

    private func checkTarget(_ source: Inode, _ to: Resolved, _ flags: UInt32) throws(Errno) {
        guard !source.isMountPoint, !(to.inode?.isMountPoint ?? false) else { throw .EBUSY }
        guard flags != RenameFlags.exchange, let directory = to.inode?.directory else { return }
        guard directory.isEmpty else { throw .ENOTEMPTY }
    }

    // MARK: Effect; nothing below fails

    private func commitRename(_ source: Inode, _ from: Resolved, _ to: Resolved, _ flags: UInt32) {
        from.parent.stampModified(now)
        to.parent.stampModified(now)
        source.changed = now
        guard let target = to.inode else { return move(source, from, to) }
        if flags == RenameFlags.exchange { return exchange(source, target, from, to) }
        _ = from.parent.directory?.remove(from.name)
        _ = to.parent.directory?.replace(to.name, with: source)
        settle(source, from.parent, to.parent, to.name)
        forgetName(of: target, to.name, in: to.parent)
        dropName(of: target, from: to.parent)
    }

    private func move(_ source: Inode, _ from: Resolved, _ to: Resolved) {
        if from.parent === to.parent {
            from.parent.directory?.rename(from.name, to: to.name)
        } else {
            _ = from.parent.directory?.remove(from.name)
            to.parent.directory?.insert(to.name, source)
        }
        settle(source, from.parent, to.parent, to.name)
    }

    private func exchange(_ source: Inode, _ target: Inode, _ from: Resolved, _ to: Resolved) {
        target.changed = now
        _ = from.parent.directory?.replace(from.name, with: target)
        _ = to.parent.directory?.replace(to.name, with: source)
        settle(source, from.parent, to.parent, to.name)
        settle(target, to.parent, from.parent, from.name)
    }

    /// An inode's place in the tree is another one now.
    private func settle(_ inode: Inode, _ oldParent: Inode, _ newParent: Inode, _ name: Bytes) {
        inode.parent = newParent
        inode.name = name
        guard inode.kind == .directory, oldParent !== newParent else { return }
        oldParent.linkCount &-= 1
        newParent.linkCount &+= 1
    }

    /// Whether a directory is `ancestor` or below it. Ends: the chain of parents has no cycle,
    /// which is what this test is for.
    private func isInside(_ directory: Inode, _ ancestor: Inode) -> Bool {
        var place = directory
        while place !== ancestor {
            guard let above = place.parent else { return false }
            place = above
        }
        return true
    }
}
