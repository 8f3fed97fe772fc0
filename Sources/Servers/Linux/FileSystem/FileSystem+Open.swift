/// Flags of open(2), x86-64 values.
public enum OpenFlags {
    public static let accessMode: UInt32 = 0o3
    public static let writeOnly: UInt32 = 0o1
    public static let readWrite: UInt32 = 0o2
    public static let create: UInt32 = 0o100
    public static let exclusive: UInt32 = 0o200
    public static let truncate: UInt32 = 0o1000
    public static let append: UInt32 = 0o2000
    public static let directory: UInt32 = 0o200000
    public static let noFollow: UInt32 = 0o400000
    public static let noAccessTime: UInt32 = 0o1000000
    public static let pathOnly: UInt32 = 0o10000000
    /// `__O_TMPFILE`: O_TMPFILE without its O_DIRECTORY.
    public static let temporary: UInt32 = 0o20000000
}

/// The decoded flags of one open(2).
private struct OpenRequest {
    let flags: UInt32

    /// EINVAL: O_TMPFILE without O_DIRECTORY or write access, or O_CREAT with O_DIRECTORY.
    init(_ given: UInt32) throws(Errno) {
        if given & OpenFlags.pathOnly != 0 {
            flags = given & (OpenFlags.pathOnly | OpenFlags.directory | OpenFlags.noFollow)
            return
        }
        flags = given
        if has(OpenFlags.temporary) {
            guard has(OpenFlags.directory), !has(OpenFlags.create) else { throw .EINVAL }
            guard accessMask & AccessMask.write != 0 else { throw .EINVAL }
        } else if has(OpenFlags.create) && has(OpenFlags.directory) {
            throw .EINVAL
        }
    }

    func has(_ flag: UInt32) -> Bool { flags & flag != 0 }

    var isPathOnly: Bool { has(OpenFlags.pathOnly) }
    var creates: Bool { has(OpenFlags.create) }
    var isExclusive: Bool { creates && has(OpenFlags.exclusive) }

    /// Permissions that an existing file must grant. Access mode 3 asks for both, as on Linux.
    var accessMask: UInt32 {
        let truncation = has(OpenFlags.truncate) ? AccessMask.write : 0
        return switch flags & OpenFlags.accessMode {
        case 0: AccessMask.read | truncation
        case OpenFlags.writeOnly: AccessMask.write
        default: AccessMask.read | AccessMask.write
        }
    }

    var resolveFlags: ResolveFlags {
        var result: ResolveFlags = []
        if !has(OpenFlags.noFollow) && !isExclusive { result.insert(.followFinal) }
        if has(OpenFlags.directory) { result.insert(.directoryRequired) }
        if creates { result.insert(.creating) }
        return result
    }
}

/// open(2).
extension FileSystem {
    /// open(2) without descriptors: finds or makes the inode, checks access, truncates. Retains the
    /// inode, and answers its absolute path as the caller's root shows it. ENXIO of fifos and
    /// sockets is the server's to find.
    ///
    /// `mode` and the caller's umask give the permissions of a new file.
    public func open(
        _ path: Bytes, at base: Inode?, flags: UInt32, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> (inode: Inode, path: Bytes) {
        let request = try OpenRequest(flags)
        var place = try resolve(path, at: base, flags: request.resolveFlags, caller)
        if request.has(OpenFlags.temporary) {
            return try openTemporary(place.inode, request, mode: mode, caller)
        }
        if let inode = place.inode {
            try openExisting(inode, in: place.parent, request, caller)
        } else {
            guard request.creates else { throw .ENOENT }
            try checkChange(of: place.parent, caller)
            let permissions = mode & ModeBits.all & ~caller.umask
            place.inode = create(.regular, in: place.parent, place.name, permissions, caller)
        }
        guard let inode = place.inode else { throw .ENOENT }
        retain(inode)
        return (inode, self.path(of: place, root: caller.root))
    }

    /// O_TMPFILE: a file without a name on the directory's device, which link(2) may name unless
    /// O_EXCL forbids it. EOPNOTSUPP where no names can be made.
    private func openTemporary(
        _ directory: Inode?, _ request: OpenRequest, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> (inode: Inode, path: Bytes) {
        guard let directory else { throw .ENOENT }
        guard directory.kind == .directory else { throw .ENOTDIR }
        guard directory.directory != nil else { throw .EOPNOTSUPP }
        guard !directory.isRemoved else { throw .ENOENT }
        try access(directory, AccessMask.write | AccessMask.execute, caller)
        let isSetGroup = directory.permissions & ModeBits.setGroup != 0
        let inode = makeInode(
            .regular, permissions: mode & ModeBits.all & ~caller.umask,
            owner: caller.credentials.user,
            group: isSetGroup ? directory.group : caller.credentials.group,
            device: directory.device)
        inode.mayBeLinked = !request.has(OpenFlags.exclusive)
        retain(inode)
        var path = self.path(of: directory, root: caller.root) ?? []
        if path.last != .slash { path.append(.slash) }
        path.append("#")
        path.append(decimal: inode.number)
        return (inode, path)
    }

    private func openExisting(
        _ inode: Inode, in parent: Inode, _ request: OpenRequest, _ caller: Caller
    ) throws(Errno) {
        if request.isPathOnly { return }
        if request.isExclusive { throw .EEXIST }
        if inode.kind == .directory && request.creates { throw .EISDIR }
        if request.creates && isTrap(inode, in: parent, caller) { throw .EACCES }
        if inode.kind == .symbolicLink { throw .ELOOP }
        let mask = request.accessMask
        if inode.kind == .directory && mask & AccessMask.write != 0 { throw .EISDIR }
        try access(inode, mask, caller)
        if request.has(OpenFlags.noAccessTime), !inode.isOwned(by: caller.credentials) {
            throw .EPERM
        }
        if request.has(OpenFlags.truncate), inode.contents != nil {
            try truncate(inode, to: 0, caller)
        }
    }

    /// Linux refuses O_CREAT on what somebody else left in a directory like /tmp and is neither a
    /// file nor a fifo (these two only under /proc/sys/fs/protected_regular and protected_fifos).
    private func isTrap(_ inode: Inode, in parent: Inode, _ caller: Caller) -> Bool {
        let isShared =
            parent.permissions & ModeBits.sticky != 0 && parent.permissions & AccessMask.write != 0
        return isShared && inode.kind != .regular && inode.kind != .fifo
            && inode.owner != parent.owner
            && inode.owner != caller.credentials.user
    }
}
