/// The locks of flock(2). A lock belongs to an open file description, is on an inode, and goes with
/// the last descriptor of its description.
final class FileLocks {
    private struct Held {
        let inode: Inode
        let owner: OpenFile
        let isExclusive: Bool
    }
    private var held: [Held] = []
    /// Woken whenever a lock is given back or weakened.
    let queue = WaitQueue()

    /// Takes the lock unless another description's excludes it. What the owner held before is
    /// replaced.
    func take(_ inode: Inode, for owner: OpenFile, isExclusive: Bool) -> Bool {
        let isExcluded = held.contains {
            $0.inode === inode && $0.owner !== owner && ($0.isExclusive || isExclusive)
        }
        // As on Linux a conversion first gives the old lock back, even if it then must wait.
        release(owner)
        if isExcluded { return false }
        held.append(Held(inode: inode, owner: owner, isExclusive: isExclusive))
        return true
    }

    func release(_ owner: OpenFile) {
        guard let index = held.firstIndex(where: { $0.owner === owner }) else { return }
        held.remove(at: index)
        queue.wakeAll()
    }
}

extension GuestThread {
    private static let shared: UInt32 = 1, exclusive: UInt32 = 2, nonBlocking: UInt32 = 4,
        unlock: UInt32 = 8

    /// flock(2).
    func callLock(_ a: Arguments) throws(Errno) -> Int64 {
        let file = try file(a.a)
        let operation = a.b.word & ~GuestThread.nonBlocking
        guard [GuestThread.shared, GuestThread.exclusive, GuestThread.unlock].contains(operation)
        else { throw .EINVAL }
        guard file.flags & OpenFlags.path == 0, let inode = file.inode else { throw .EBADF }
        if operation == GuestThread.unlock {
            server.locks.release(file)
            return 0
        }
        // Another thread may close the descriptor meanwhile; the lock then goes with this call.
        file.use()
        defer { file.drop() }
        let isExclusive = operation == GuestThread.exclusive
        while !server.locks.take(inode, for: file, isExclusive: isExclusive) {
            if a.b.word & GuestThread.nonBlocking != 0 { throw .EAGAIN }
            try wait(on: server.locks.queue)
        }
        return 0
    }
}
