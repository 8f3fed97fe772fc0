import ABI

/// fallocate(2): room, holes, zeros, and ranges taken out or put in.
extension GuestThread {
    private enum Mode {
        static let keepSize: UInt32 = 1, punch: UInt32 = 2, collapse: UInt32 = 8
        static let zero: UInt32 = 0x10, insert: UInt32 = 0x20
        static let all = keepSize | punch | collapse | zero | insert
    }

    func callAllocate(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        let mode = a.b.word
        guard a.c.signed >= 0, a.d.signed > 0 else { throw .EINVAL }
        guard mode & ~Mode.all == 0 else { throw .EOPNOTSUPP }
        let kind = mode & ~Mode.keepSize
        if mode & Mode.punch != 0, mode != Mode.punch | Mode.keepSize { throw .EOPNOTSUPP }
        if mode & (Mode.collapse | Mode.insert) != 0, mode != Mode.collapse, mode != Mode.insert {
            throw .EOPNOTSUPP
        }
        guard file.isWritable else { throw .EBADF }
        if file is PipeFile || file is StreamFile { throw .ESPIPE }
        if file is DirectoryFile { throw .EISDIR }
        guard let inode = file.inode, let contents = inode.contents else { throw .ENODEV }
        let (end, overflow) = a.c.addingReportingOverflow(a.d)
        if overflow || end > UInt64(Int64.max) { throw .EFBIG }
        // A file of memfd_create(2) is one of tmpfs(5), which has no more than holes.
        if inode.device == FileSystemDevice.anonymous, kind & ~Mode.punch != 0 {
            throw .EOPNOTSUPP
        }
        server.stampTime()
        try allocate(kind, inode, contents, from: a.c, to: end, keepsSize: mode & 1 != 0)
        inode.stampModified(server.fileSystem.now)
        return 0
    }

    private func allocate(
        _ kind: UInt32, _ inode: Inode, _ contents: FileContents, from start: UInt64,
        to end: UInt64, keepsSize: Bool
    ) throws(Errno) {
        let size = contents.size
        if kind != 0, inode.isSealed(Seals.anyWrite) { throw .EPERM }
        switch kind {
        case Mode.punch: try contents.zero(from: start, to: end)
        case Mode.collapse:
            guard start % pageSize == 0, end % pageSize == 0, end < size else { throw .EINVAL }
            try contents.collapse(from: start, to: end)
        case Mode.insert:
            guard start % pageSize == 0, end % pageSize == 0, start < size else { throw .EINVAL }
            let (larger, overflow) = size.addingReportingOverflow(end - start)
            if overflow || larger > process.limits.fileSize { throw .EFBIG }
            try contents.insert(at: start, count: end - start)
        default:
            if end > size, !keepsSize {
                if end > process.limits.fileSize {
                    process.raise(Signal(25))
                    throw .EFBIG
                }
                if inode.isSealed(Seals.grow) { throw .EPERM }
                try server.fileSystem.truncate(inode, to: end, caller)
            }
            if kind == Mode.zero { try contents.zero(from: start, to: end) }
        }
    }
}

/// The seals of a file of memfd_create(2): F_ADD_SEALS of fcntl(2).
enum Seals {
    static let seal: UInt32 = 1, shrink: UInt32 = 2, grow: UInt32 = 4, write: UInt32 = 8
    static let futureWrite: UInt32 = 0x10
    static let anyWrite = write | futureWrite
    static let all = seal | shrink | grow | anyWrite
}

extension Inode {
    func isSealed(_ which: UInt32) -> Bool { (seals ?? 0) & which != 0 }
}

extension GuestThread {
    func callAddSeals(_ file: OpenFile, _ wanted: UInt32) throws(Errno) -> Int64 {
        guard let inode = file.inode, let seals = inode.seals else { throw .EINVAL }
        guard file.isWritable else { throw .EPERM }
        guard wanted & ~Seals.all == 0 else { throw .EINVAL }
        if seals & Seals.seal != 0 { throw .EPERM }
        if wanted & Seals.write != 0, seals & Seals.write == 0, inode.writableMappings > 0 {
            throw .EBUSY
        }
        inode.seals = seals | wanted
        return 0
    }

    func callGetSeals(_ file: OpenFile) throws(Errno) -> Int64 {
        guard let seals = file.inode?.seals else { throw .EINVAL }
        return Int64(seals)
    }
}
