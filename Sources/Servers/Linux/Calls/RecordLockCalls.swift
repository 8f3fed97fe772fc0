import ABI

/// Record locks: F_GETLK, F_SETLK and F_SETLKW of fcntl(2), and their F_OFD forms.
extension GuestThread {
    private static let shared: UInt16 = 0, exclusive: UInt16 = 1, unlock: UInt16 = 2

    /// `struct flock`, 32 bytes: l_type (16 bits), l_whence (16 bits) at 2, l_start at 8, l_len at
    /// 16, l_pid (32 bits) at 24.
    func callRecordLock(_ file: OpenFile, command: UInt32, at address: UInt64) throws(Errno)
        -> Int64
    {
        let isDescription = RecordLockCommand.ofDescriptions.contains(command)
        let record = try memory.read(address, count: 32)
        let type = record.load16(0)
        guard type <= GuestThread.unlock, !isDescription || record.load32(24) == 0 else {
            throw .EINVAL
        }
        guard let inode = file.inode, file.flags & OpenFlags.path == 0 else { throw .EBADF }
        let range = try lockedRange(record, file)
        let owner =
            isDescription
            ? RecordLocks.Owner(identity: ObjectIdentifier(file), process: -1)
            : RecordLocks.Owner(
                identity: ObjectIdentifier(process.descriptors), process: process.id)
        let lock = RecordLocks.Lock(
            owner: owner, isExclusive: type == GuestThread.exclusive, start: range.start,
            end: range.end)
        if RecordLockCommand.asking.contains(command) {
            guard type != GuestThread.unlock else { throw .EINVAL }
            return try tellObstacle(inode.recordLocks?.obstacle(to: lock), record, address)
        }
        if type == GuestThread.unlock {
            if let locks = inode.recordLocks { try server.recordLocks.remove(lock, on: locks) }
            return 0
        }
        guard type == GuestThread.exclusive ? file.isWritable : file.isReadable else {
            throw .EBADF
        }
        try takeRecordLock(
            lock, inode, file, descriptor: registers.rdi.int,
            waits: RecordLockCommand.waiting.contains(command))
        return 0
    }

    private func takeRecordLock(
        _ lock: RecordLocks.Lock, _ inode: Inode, _ file: OpenFile, descriptor: Int32, waits: Bool
    ) throws(Errno) {
        let table = process.descriptors
        // Another thread may close the descriptor meanwhile.
        file.use()
        defer { file.drop() }
        while true {
            let locks = inode.recordLocks ?? RecordLocks()
            inode.recordLocks = locks
            if try server.recordLocks.take(lock, on: locks) { break }
            guard waits else { throw .EAGAIN }
            guard let obstacle = locks.obstacle(to: lock) else { continue }
            try server.recordLocks.wait(lock.owner, for: obstacle.owner, on: locks)
            defer { server.recordLocks.stopWaiting(lock.owner, on: locks) }
            try wait(on: locks.queue)
        }
        // A lock of a process does not outlive the descriptor that it came by.
        if !lock.owner.isDescription, table.entry(descriptor)?.file !== file {
            server.recordLocks.release(lock.owner.identity, on: inode)
            throw .EBADF
        }
    }

    private func tellObstacle(_ obstacle: RecordLocks.Lock?, _ record: Bytes, _ address: UInt64)
        throws(Errno) -> Int64
    {
        var writer = ByteWriter(capacity: 32)
        guard let obstacle else {
            writer.put16(GuestThread.unlock)
            return try store(writer.bytes + record[2...], to: address)
        }
        writer.put16(obstacle.isExclusive ? GuestThread.exclusive : GuestThread.shared)
        writer.put16(0)
        writer.zeros(4)
        writer.put64(obstacle.start)
        let isToTheEnd = obstacle.end == RecordLocks.greatestOffset
        writer.put64(isToTheEnd ? 0 : obstacle.end - obstacle.start + 1)
        writer.put32(obstacle.owner.process)
        writer.zeros(4)
        return try store(writer.bytes, to: address)
    }

    /// First and last byte. A length of 0 reaches to the end of all files, a negative one back from
    /// the start. EINVAL below 0, EOVERFLOW beyond the greatest offset.
    private func lockedRange(_ record: Bytes, _ file: OpenFile) throws(Errno) -> (
        start: UInt64, end: UInt64
    ) {
        let base: Int64
        switch record.load16(2) {
        case 0: base = 0
        case 1: base = Int64(truncatingIfNeeded: file.offset)
        case 2: base = Int64(truncatingIfNeeded: file.inode?.contents?.size ?? 0)
        default: throw .EINVAL
        }
        let (start, overflow) = base.addingReportingOverflow(record.loadInt64(8))
        if overflow { throw .EOVERFLOW }
        if start < 0 { throw .EINVAL }
        let length = record.loadInt64(16)
        if length == 0 { return (UInt64(start), RecordLocks.greatestOffset) }
        if length > 0 {
            let (end, overflow) = start.addingReportingOverflow(length - 1)
            if overflow { throw .EOVERFLOW }
            return (UInt64(start), UInt64(end))
        }
        let (first, isOutside) = start.addingReportingOverflow(length)
        if isOutside || first < 0 { throw .EINVAL }
        return (UInt64(first), UInt64(start - 1))
    }
}

/// The commands of fcntl(2) on record locks.
enum RecordLockCommand {
    /// F_GETLK, F_OFD_GETLK.
    static let asking: [UInt32] = [5, 36]
    /// F_SETLKW, F_OFD_SETLKW.
    static let waiting: [UInt32] = [7, 38]
    static let ofDescriptions: ClosedRange<UInt32> = 36...38
}
