/// The record locks of one file: ranges of bytes, by process or by open file description (fcntl(2),
/// F_SETLK and F_OFD_SETLK).
///
/// Invariants: ranges of one owner do not overlap, and neighbours of one type are one range; where
/// ranges of two owners overlap, both are shared.
final class RecordLocks {
    /// Who holds a lock. A process holds its locks by its table of descriptors, as on Linux, so
    /// that processes which share one share the locks.
    struct Owner: Equatable {
        let identity: ObjectIdentifier
        /// Shown by F_GETLK; −1 for an open file description.
        let process: Int32
        var isDescription: Bool { process < 0 }
        static func == (a: Owner, b: Owner) -> Bool { a.identity == b.identity }
    }

    /// Bytes `start` to `end`, both included.
    struct Lock {
        let owner: Owner
        let isExclusive: Bool
        var start: UInt64
        var end: UInt64

        func excludes(_ other: Lock) -> Bool {
            owner != other.owner && (isExclusive || other.isExclusive) && overlaps(other)
        }
        func overlaps(_ other: Lock) -> Bool { start <= other.end && other.start <= end }
    }

    /// Offsets are `off_t`.
    static let greatestOffset = UInt64(Int64.max)
    private(set) var locks: [Lock] = []
    /// Woken whenever a range is given back or weakened.
    let queue = WaitQueue()

    /// The lowest lock of somebody else that keeps `wanted` out.
    func obstacle(to wanted: Lock) -> Lock? {
        locks.reduce(nil) { lowest, lock in
            lock.excludes(wanted) && lock.start < (lowest?.start ?? .max) ? lock : lowest
        }
    }

    /// Takes a range that nothing keeps out; what the owner had there is replaced.
    func take(_ wanted: Lock) {
        assert(obstacle(to: wanted) == nil, "a record lock against another's")
        remove(wanted)
        var joined = wanted
        locks.removeAll { old in
            guard old.owner == wanted.owner, old.isExclusive == wanted.isExclusive else {
                return false
            }
            let touches =
                old.end < .max && old.end + 1 == joined.start
                || joined.end < .max && joined.end + 1 == old.start
            guard touches else { return false }
            joined.start = min(joined.start, old.start)
            joined.end = max(joined.end, old.end)
            return true
        }
        locks.append(joined)
    }

    /// Takes a range away from its owner; what sticks out on both sides stays.
    func remove(_ range: Lock) {
        var kept: [Lock] = []
        locks.removeAll { old in
            guard old.owner == range.owner, old.overlaps(range) else { return false }
            if old.start < range.start {
                var left = old
                left.end = range.start - 1
                kept.append(left)
            }
            if old.end > range.end {
                var right = old
                right.start = range.end + 1
                kept.append(right)
            }
            return true
        }
        locks.append(contentsOf: kept)
    }

    func isHolder(_ identity: ObjectIdentifier) -> Bool {
        locks.contains { $0.owner.identity == identity }
    }

    /// Takes everything away from an owner.
    func removeAll(of identity: ObjectIdentifier) {
        locks.removeAll { $0.owner.identity == identity }
    }
}

/// All record locks: how many there are, and who waits for whom.
final class RecordLockTable {
    /// More are ENOLCK, so that nobody fills the server's memory.
    static let maximum = 65536
    /// Steps along a chain of waiting owners, as on Linux.
    static let chainLimit = 10

    private struct Waiter {
        let owner: RecordLocks.Owner
        let holder: RecordLocks.Owner
        let locks: RecordLocks
    }
    private var waiters: [Waiter] = []
    private var count = 0

    /// F_SETLK: false when somebody else's lock is in the way. ENOLCK when there are too many.
    func take(_ wanted: RecordLocks.Lock, on locks: RecordLocks) throws(Errno) -> Bool {
        if locks.obstacle(to: wanted) != nil { return false }
        // One range may cut another in two.
        if count + 2 > RecordLockTable.maximum { throw .ENOLCK }
        change(locks) { locks.take(wanted) }
        return true
    }

    func remove(_ range: RecordLocks.Lock, on locks: RecordLocks) throws(Errno) {
        if count + 1 > RecordLockTable.maximum { throw .ENOLCK }
        change(locks) { locks.remove(range) }
    }

    /// A descriptor or a description is closed.
    func release(_ identity: ObjectIdentifier, on inode: Inode?) {
        // Most closes are of files that somebody else has locked, or nobody: no waiter is woken.
        guard let inode, let locks = inode.recordLocks, locks.isHolder(identity) else { return }
        change(locks) { locks.removeAll(of: identity) }
        if locks.locks.isEmpty { inode.recordLocks = nil }
    }

    private func change(_ locks: RecordLocks, _ body: () -> Void) {
        let before = locks.locks.count
        body()
        count += locks.locks.count - before
        // Whoever waited looks again, and waits for nobody until it did.
        waiters.removeAll { $0.locks === locks }
        locks.queue.wakeAll()
    }

    /// Notes that an owner is about to wait for another; EDEADLK when that one waits for it in
    /// turn. Open file descriptions are not looked at, as on Linux.
    func wait(_ owner: RecordLocks.Owner, for holder: RecordLocks.Owner, on locks: RecordLocks)
        throws(Errno)
    {
        if !owner.isDescription {
            var next = holder
            var steps = 0
            while !next.isDescription, let waiter = waiters.first(where: { $0.owner == next }) {
                next = waiter.holder
                if next == owner { throw .EDEADLK }
                steps += 1
                if steps > RecordLockTable.chainLimit { break }
            }
        }
        waiters.append(Waiter(owner: owner, holder: holder, locks: locks))
    }

    func stopWaiting(_ owner: RecordLocks.Owner, on locks: RecordLocks) {
        if let index = waiters.firstIndex(where: { $0.owner == owner && $0.locks === locks }) {
            waiters.remove(at: index)
        }
    }
}
