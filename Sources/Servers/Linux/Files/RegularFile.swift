import ABI

/// A regular file: one copy between its PMO and the guest.
final class RegularFile: OpenFile {
    override var isSeekable: Bool { true }
    override var mappableContents: FileContents? { inode?.contents }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        guard let inode, let contents = inode.contents else { throw .EIO }
        let start = transfer.offset ?? offset
        let moved = try contents.read(offset: start, count: transfer.count, to: transfer.memory)
        if transfer.offset == nil { offset = start &+ moved }
        inode.accessed = server.fileSystem.now
        return moved
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        guard let inode, let contents = inode.contents else { throw .EIO }
        if inode.isSealed(Seals.anyWrite) { throw .EPERM }
        var start = transfer.offset ?? offset
        if flags & OpenFlags.append != 0 { start = contents.size }
        let limit = thread.process.limits.fileSize
        if start >= limit {
            thread.process.raise(Signal(25))
            throw .EFBIG
        }
        var count = min(transfer.count, limit - start)
        if inode.isSealed(Seals.grow) {
            // Page by page, as on Linux: one that would grow the file is not begun.
            let whole = pageFloor(contents.size)
            if start &+ count > contents.size {
                guard start < whole else { throw .EPERM }
                count = whole - start
            }
        }
        let moved = try contents.write(offset: start, count: count, from: transfer.memory)
        if transfer.offset == nil { offset = start &+ moved }
        inode.modified = server.fileSystem.now
        inode.changed = inode.modified
        return moved
    }

    override func seek(_ offset: Int64, whence: UInt32) throws(Errno) -> UInt64 {
        let size = Int64(truncatingIfNeeded: inode?.contents?.size ?? 0)
        let base: Int64
        switch whence {
        case 0: base = 0
        case 1: base = Int64(truncatingIfNeeded: self.offset)
        case 2: base = size
        case 3, 4:
            // SEEK_DATA and SEEK_HOLE: the whole file counts as data.
            guard offset >= 0, offset < size else { throw .ENXIO }
            self.offset = UInt64(whence == 3 ? offset : size)
            return self.offset
        default: throw .EINVAL
        }
        let (target, overflow) = base.addingReportingOverflow(offset)
        if overflow { throw .EOVERFLOW }
        if target < 0 { throw .EINVAL }
        self.offset = UInt64(target)
        return self.offset
    }

    override func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        guard request == TerminalRequest.bytesReadable else { throw .ENOTTY }
        let size = inode?.contents?.size ?? 0
        let left = size > offset ? min(size - offset, UInt64(Int32.max)) : 0
        try thread.memory.store32(UInt32(truncatingIfNeeded: left), to: argument)
        return 0
    }
}

/// An open directory: read by getdents64(2).
final class DirectoryFile: OpenFile {
    override var isSeekable: Bool { true }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        throw .EISDIR
    }

    override func seek(_ offset: Int64, whence: UInt32) throws(Errno) -> UInt64 {
        guard whence <= 1 else { throw .EINVAL }
        let base = whence == 1 ? Int64(truncatingIfNeeded: self.offset) : 0
        let (target, overflow) = base.addingReportingOverflow(offset)
        if overflow || target < 0 { throw .EINVAL }
        self.offset = UInt64(target)
        return self.offset
    }
}

/// A file whose text is made when it is first read, such as /proc/self/stat.
final class GeneratedFile: OpenFile {
    private var text: Bytes?

    override var isSeekable: Bool { true }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        let start = transfer.offset ?? offset
        if start == 0 || text == nil { text = try inode?.generated?.text(thread.caller) }
        guard let text, start < UInt64(text.count) else { return 0 }
        let part = Bytes(
            text[Int(start)...].prefix(Int(truncatingIfNeeded: min(transfer.count, 1 << 30))))
        let moved = UInt64(
            GuestMemory(space: transfer.memory.slot).writeSome(part, to: transfer.memory.address))
        if moved == 0, !part.isEmpty { throw .EFAULT }
        if transfer.offset == nil { offset = start &+ moved }
        return moved
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        guard let node = inode?.generated else { throw .EIO }
        let count = Int(truncatingIfNeeded: min(transfer.count, 4096))
        let memory = GuestMemory(space: transfer.memory.slot)
        try node.write(try memory.read(transfer.memory.address, count: count), thread.caller)
        return UInt64(count)
    }

    override func seek(_ offset: Int64, whence: UInt32) throws(Errno) -> UInt64 {
        guard whence <= 1 else { throw .EINVAL }
        let (target, overflow) = (whence == 1 ? Int64(truncatingIfNeeded: self.offset) : 0)
            .addingReportingOverflow(offset)
        if overflow || target < 0 { throw .EINVAL }
        self.offset = UInt64(target)
        return self.offset
    }
}
