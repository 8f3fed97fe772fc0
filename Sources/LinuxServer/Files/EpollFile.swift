import ABI

/// epoll(7): a list of files and what is wanted of them. Level-triggered, edge-triggered and
/// one-shot.
final class EpollFile: OpenFile {
    static let edgeTriggered: UInt32 = 1 << 31, oneShot: UInt32 = 1 << 30
    static let maximumNesting = 5

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
    private let changes = WaitQueue()

    init(server: Server, inode: Inode, flags: UInt32) {
        super.init(
            server: server, inode: inode, path: Bytes("anon_inode:[eventpoll]"), flags: flags)
    }

    override func close() { interests = [] }

    func add(_ interest: Interest) throws(Errno) {
        if index(interest.descriptor, interest.file) != nil { throw .EEXIST }
        if let inner = interest.file as? EpollFile {
            if inner === self || inner.reaches(self, depth: 0) { throw .ELOOP }
        }
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

    private func reaches(_ other: EpollFile, depth: Int) -> Bool {
        if depth > EpollFile.maximumNesting { return true }
        return interests.contains { interest in
            guard let inner = interest.file as? EpollFile else { return false }
            return inner === other || inner.reaches(other, depth: depth + 1)
        }
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
