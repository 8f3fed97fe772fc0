/// The descriptors of a process, shared by threads (CLONE_FILES).
final class DescriptorTable {
    struct Entry {
        let file: OpenFile
        var closesOnExec: Bool
    }
    /// RLIMIT_NOFILE's hard limit.
    static let maximum = 65536

    private let server: Server
    private var entries: [Entry?] = []
    private var used = DescriptorSet()
    private var sharers = 1

    init(server: Server) { self.server = server }

    /// For CLONE_FILES between processes.
    func shared() -> DescriptorTable {
        sharers += 1
        return self
    }

    /// For fork(2): the same files, one use more each.
    func copy() -> DescriptorTable {
        let copy = DescriptorTable(server: server)
        copy.entries = entries
        copy.used = used
        for entry in entries { entry?.file.use() }
        return copy
    }

    func file(_ descriptor: Int32) throws(Errno) -> OpenFile {
        guard let entry = entry(descriptor) else { throw .EBADF }
        return entry.file
    }

    func entry(_ descriptor: Int32) -> Entry? {
        guard descriptor >= 0, Int(descriptor) < entries.count else { return nil }
        return entries[Int(descriptor)]
    }

    /// Gives a file the lowest free descriptor from `lowest` on. A file that found no place is
    /// closed.
    func add(_ file: OpenFile, closesOnExec: Bool, lowest: Int = 0, limit: UInt64) throws(Errno)
        -> Int32
    {
        let bound = Int(min(limit, UInt64(DescriptorTable.maximum)))
        let index = used.firstFree(from: lowest)
        if index >= bound {
            file.use()
            file.drop()
            throw .EMFILE
        }
        put(file, at: index, closesOnExec: closesOnExec)
        return Int32(index)
    }

    /// dup2(2): whatever was there is closed.
    func replace(_ descriptor: Int32, with file: OpenFile, closesOnExec: Bool, limit: UInt64)
        throws(Errno)
    {
        guard descriptor >= 0, UInt64(descriptor) < min(limit, UInt64(DescriptorTable.maximum))
        else { throw .EBADF }
        let old = entry(descriptor)
        put(file, at: Int(descriptor), closesOnExec: closesOnExec)
        if let old { leave(old.file) }
    }

    private func put(_ file: OpenFile, at index: Int, closesOnExec: Bool) {
        while entries.count <= index { entries.append(nil) }
        file.use()
        entries[index] = Entry(file: file, closesOnExec: closesOnExec)
        used.insert(index)
    }

    func setClosesOnExec(_ descriptor: Int32, _ value: Bool) throws(Errno) {
        guard entry(descriptor) != nil else { throw .EBADF }
        entries[Int(descriptor)]?.closesOnExec = value
    }

    func close(_ descriptor: Int32) throws(Errno) {
        guard let entry = entry(descriptor) else { throw .EBADF }
        entries[Int(descriptor)] = nil
        used.remove(Int(descriptor))
        while let last = entries.last, last == nil { entries.removeLast() }
        leave(entry.file)
    }

    /// A descriptor is gone, and with it all record locks of this process on the file, also those
    /// that came by other descriptors (fcntl(2)).
    private func leave(_ file: OpenFile) {
        if file.flags & OpenFlags.path == 0 {
            server.recordLocks.release(ObjectIdentifier(self), on: file.inode)
        }
        file.drop()
    }

    /// Descriptors in use, in order.
    var descriptors: [Int32] {
        entries.indices.filter { entries[$0] != nil }.map { Int32(truncatingIfNeeded: $0) }
    }

    func closeOnExec() {
        for descriptor in descriptors where entry(descriptor)?.closesOnExec == true {
            try? close(descriptor)
        }
    }

    /// The process has ended; files go when no other process shares the table.
    func closeAll() {
        sharers -= 1
        if sharers > 0 { return }
        for descriptor in descriptors { try? close(descriptor) }
    }

    /// execve(2) in a process that shares its table gets its own.
    func unshared() -> DescriptorTable {
        if sharers == 1 { return self }
        sharers -= 1
        return copy()
    }
}
