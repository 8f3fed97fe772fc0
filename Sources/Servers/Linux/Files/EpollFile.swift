import ABI

/// epoll(7): a list of files and what is wanted of them. Level-triggered, edge-triggered and
/// one-shot.
final class EpollFile: OpenFile {
    static let edgeTriggered: UInt32 = 1 << 31, oneShot: UInt32 = 1 << 30
    /// How many epoll files may stand in a chain, and how many one may watch: a look at the
    /// outermost looks at all of them, on one stack and with the server's lock held.
    static let maximumNesting = 4, maximumNested = 8

    struct Interest {
        let descriptor: Int32
        let file: OpenFile
        var events: UInt32
        var data: UInt64
        /// What the file's queues had counted when it was last reported (edge-triggered).
        var seen: UInt64 = .max
        var isSpent = false
    }

    private var interests: [Interest] = []
    /// How far below an outermost epoll file this one has ever stood.
    private var level = 0
    private let changes = WaitQueue()

    init(server: Server, inode: Inode, flags: UInt32) {
        super.init(
            server: server, inode: inode, path: Bytes("anon_inode:[eventpoll]"), flags: flags)
    }

    override func close() { interests = [] }

    func add(_ interest: Interest) throws(Errno) {
        if index(interest.descriptor, interest.file) != nil { throw .EEXIST }
        if let inner = interest.file as? EpollFile { try nest(inner) }
        interests.append(interest)
        changes.wakeAll()
    }

    func modify(_ interest: Interest) throws(Errno) {
        guard let index = index(interest.descriptor, interest.file) else { throw .ENOENT }
        interests[index] = interest
        changes.wakeAll()
    }

    func remove(_ descriptor: Int32, _ file: OpenFile) throws(Errno) {
        guard let index = index(descriptor, file) else { throw .ENOENT }
        interests.remove(at: index)
    }

    private func index(_ descriptor: Int32, _ file: OpenFile) -> Int? {
        interests.firstIndex { $0.descriptor == descriptor && $0.file === file }
    }

    private var nested: [EpollFile] { interests.compactMap { $0.file as? EpollFile } }
    /// Epoll files in the longest chain from this one on.
    private var height: Int { nested.reduce(0) { max($0, $1.height) } + 1 }

    /// ELOOP for a circle, a chain that is too long, or too many (epoll_ctl(2)).
    private func nest(_ inner: EpollFile) throws(Errno) {
        if inner === self || inner.reaches(self) || nested.count >= EpollFile.maximumNested
            || level + 1 + inner.height > EpollFile.maximumNesting
        {
            throw .ELOOP
        }
        inner.sink(to: level + 1)
    }

    private func reaches(_ other: EpollFile) -> Bool {
        nested.contains { $0 === other || $0.reaches(other) }
    }

    private func sink(to depth: Int) {
        level = max(level, depth)
        for inner in nested { inner.sink(to: level + 1) }
    }

    /// Up to `limit` events that are ready, marking edge-triggered and one-shot ones.
    func collect(limit: Int) -> [(events: UInt32, data: UInt64)] {
        interests.removeAll { $0.file.useCount == 0 }
        var found: [(events: UInt32, data: UInt64)] = []
        for index in interests.indices where found.count < limit && !interests[index].isSpent {
            let interest = interests[index]
            let ready = interest.file.readiness & (interest.events | PollEvents.always)
            if ready == 0 { continue }
            if interest.events & EpollFile.edgeTriggered != 0 {
                let count = interest.file.queues.reduce(0) { $0 &+ $1.generation }
                if count == interest.seen { continue }
                interests[index].seen = count
            }
            if interest.events & EpollFile.oneShot != 0 { interests[index].isSpent = true }
            found.append((events: ready, data: interest.data))
        }
        // The next call starts with another file, so that a busy one does not starve the rest.
        if found.count == limit, interests.count > 1 { interests.append(interests.removeFirst()) }
        return found
    }

    override var readiness: UInt32 {
        let isReady = interests.contains { interest in
            !interest.isSpent
                && interest.file.readiness & (interest.events | PollEvents.always) != 0
        }
        return isReady ? PollEvents.input : 0
    }

    override var queues: [WaitQueue] {
        var all = [changes]
        for interest in interests { all.append(contentsOf: interest.file.queues) }
        return all
    }
}
