/// Unpacking the boot archive.
extension FileSystem {
    /// Unpacks a cpio archive of format "newc" into the tree. Missing parents are made, files of
    /// the same name replaced, names of one inode become hard links. `isSkipped` sees each name
    /// without leading "/" or "./".
    ///
    /// Throws where the archive is wrong; what came before stays unpacked.
    public func unpack(archive: FileContents, isSkipped: (Bytes) -> Bool) throws(ArchiveError) {
        var reader = CpioReader(archive)
        var unpacker = Unpacker(self, archive)
        while let member = try reader.next() {
            if isSkipped(member.name) { continue }
            do throws(ArchiveError.Fault) {
                try unpacker.unpack(member)
            } catch {
                throw ArchiveError(error, offset: member.offset)
            }
        }
        unpacker.finish()
    }

    /// Where an archive has the data of a member; nil when it has no such member.
    public static func archiveMember(
        _ archive: FileContents, _ name: Bytes
    ) throws(ArchiveError) -> (offset: UInt64, size: UInt64)? {
        var reader = CpioReader(archive)
        while let member = try reader.next() {
            if member.name == name { return (member.dataOffset, member.size) }
        }
        return nil
    }
}

/// Enters members into a file system.
private struct Unpacker {
    private let fileSystem: FileSystem
    private let archive: FileContents
    private let caller: Caller
    /// Inodes with several names, by their identity in the archive.
    private let linked = Directory()
    /// Times of directories, set at the end because each entry made in them changes them.
    private var directoryTimes: [(Inode, Timestamp)] = []

    init(_ fileSystem: FileSystem, _ archive: FileContents) {
        self.fileSystem = fileSystem
        self.archive = archive
        caller = Caller(root: fileSystem.root, workingDirectory: fileSystem.root, umask: 0)
    }

    mutating func unpack(_ member: CpioMember) throws(ArchiveError.Fault) {
        guard let kind = NodeKind(mode: member.mode) else { throw .unknownKind }
        guard !hasParentComponent(member.name) else { throw .leavesTree }
        guard member.name.count < PathLimit.path - 1 else { throw .badName }
        if kind == .directory { return try unpackDirectory(member) }
        guard !member.name.isEmpty else { throw .badName }
        if member.linkCount > 1, let first = linked.inode(named: member.identity[...]) {
            return try unpackLink(member, kind, to: first)
        }
        let inode = try unpackFile(member, kind)
        if member.linkCount > 1 { linked.insert(member.identity, inode) }
    }

    func finish() {
        for (inode, time) in directoryTimes { inode.modified = time }
    }

    private mutating func unpackDirectory(_ member: CpioMember) throws(ArchiveError.Fault) {
        let path = [.slash] + member.name
        let inode = try refusing { () throws(Errno) in
            do throws(Errno) {
                try withParents(of: path) { () throws(Errno) in
                    try fileSystem.makeDirectory(path, at: nil, mode: 0o755, caller)
                }
            } catch {
                guard error == .EEXIST else { throw error }
            }
            return try existing(path)
        }
        setAttributes(of: inode, member)
        directoryTimes.append((inode, Timestamp(seconds: Int64(member.modifiedSeconds))))
    }

    private func existing(_ path: Bytes) throws(Errno) -> Inode {
        let flags: ResolveFlags = [.followFinal, .directoryRequired]
        guard let inode = try fileSystem.resolve(path, at: nil, flags: flags, caller).inode else {
            throw .ENOENT
        }
        return inode
    }

    /// One more name; the data comes with any one of the names.
    private func unpackLink(_ member: CpioMember, _ kind: NodeKind, to inode: Inode)
        throws(ArchiveError.Fault)
    {
        guard kind == inode.kind, kind == .regular else { throw .badLink }
        try refusing { () throws(Errno) in
            let path = [.slash] + member.name
            try makeRoom(path) { () throws(Errno) in
                try fileSystem.link(from: inode, path, at: nil, caller)
            }
            try copyData(member, to: inode)
        }
    }

    private func unpackFile(_ member: CpioMember, _ kind: NodeKind) throws(ArchiveError.Fault)
        -> Inode
    {
        let path = [.slash] + member.name
        let target = kind == .symbolicLink ? try readTarget(member) : []
        let inode = try refusing { () throws(Errno) in
            try makeRoom(path) { () throws(Errno) in
                if kind == .symbolicLink {
                    try fileSystem.makeSymbolicLink(target: target, path, at: nil, caller)
                } else {
                    try fileSystem.makeNode(
                        path, at: nil, mode: member.mode, deviceNumber: member.deviceNumber, caller)
                }
            }
            guard let inode = try fileSystem.resolve(path, at: nil, flags: .keepFinal, caller).inode
            else {
                throw .ENOENT
            }
            if kind == .regular { try copyData(member, to: inode) }
            return inode
        }
        setAttributes(of: inode, member)
        return inode
    }

    private func readTarget(_ member: CpioMember) throws(ArchiveError.Fault) -> Bytes {
        guard member.size > 0, member.size < UInt64(PathLimit.path) else { throw .badTarget }
        let target = try refusing { () throws(Errno) in
            try archive.readBytes(offset: member.dataOffset, count: Int(member.size))
        }
        guard !target.contains(0) else { throw .badTarget }
        return target
    }

    private func copyData(_ member: CpioMember, to inode: Inode) throws(Errno) {
        guard member.size > 0, let contents = inode.contents else { return }
        try contents.truncate(to: 0)
        try contents.append(from: archive, offset: member.dataOffset, count: member.size)
    }

    private func setAttributes(of inode: Inode, _ member: CpioMember) {
        inode.owner = member.owner
        inode.group = member.group
        if inode.kind != .symbolicLink { inode.permissions = member.mode & ModeBits.all }
        inode.modified = Timestamp(seconds: Int64(member.modifiedSeconds))
    }

    /// Makes a name whose parents may be missing and which something may have already.
    private func makeRoom(_ path: Bytes, _ make: () throws(Errno) -> Void) throws(Errno) {
        do throws(Errno) {
            try withParents(of: path, make)
        } catch {
            guard error == .EEXIST else { throw error }
            try fileSystem.unlink(path, at: nil, caller)
            try make()
        }
    }

    private func withParents(of path: Bytes, _ make: () throws(Errno) -> Void) throws(Errno) {
        do throws(Errno) {
            try make()
        } catch {
            guard error == .ENOENT else { throw error }
            try makeParents(of: path)
            try make()
        }
    }

    private func makeParents(of path: Bytes) throws(Errno) {
        for place in path.indices.dropFirst()
        where path[place] == .slash && path[place - 1] != .slash {
            do throws(Errno) {
                try fileSystem.makeDirectory(Bytes(path[..<place]), at: nil, mode: 0o755, caller)
            } catch {
                guard error == .EEXIST else { throw error }
            }
        }
    }

    private func hasParentComponent(_ name: Bytes) -> Bool {
        var cursor = PathCursor(name)
        while let component = cursor.next() {
            if component.count == 2, component.first == .dot, component.last == .dot { return true }
        }
        return false
    }

    private func refusing<Result>(_ body: () throws(Errno) -> Result) throws(ArchiveError.Fault)
        -> Result
    {
        do throws(Errno) { return try body() } catch { throw .refused(error) }
    }
}
