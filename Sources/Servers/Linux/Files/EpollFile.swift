import ABI

/// One file that an epoll file watches, and what is wanted of it.
///
/// Invariants, while `epoll` is set: it is in the epoll file's members at `place`, in the file's
/// `interests`, and in each queue of `subscribed`; `isQueued` says whether it is in the epoll
/// file's ready list.
final class EpollInterest {
    let descriptor: Int32
    let file: OpenFile
    var events: UInt32
    var data: UInt64
    /// nil once it was removed.
    fileprivate(set) var epoll: EpollFile?
    fileprivate var place = 0
    fileprivate var isQueued = false
    /// EPOLLONESHOT: reported, and not armed again yet.
    fileprivate var isSpent = false
    private var subscribed: [WaitQueue] = []

    init(descriptor: Int32, file: OpenFile, events: UInt32, data: UInt64) {
        self.descriptor = descriptor
        self.file = file
        self.events = events
        self.data = data
    }

    /// What could be reported now.
    fileprivate var ready: UInt32 {
        isSpent || epoll == nil ? 0 : file.readiness & (events | PollEvents.always)
    }

    /// Something of `what` came about, or has to be looked at again.
    func happened(_ what: UInt32) {
        if isSpent || what & (events | PollEvents.always) == 0 { return }
        epoll?.enqueue(self)
    }

    /// The file has other queues now than when it was added.
    func resubscribe() {
        unsubscribe()
        subscribe()
        happened(.max)
    }

    fileprivate func subscribe() {
        subscribed = file.queues
        for queue in subscribed { queue.add(self) }
    }

    fileprivate func unsubscribe() {
        for queue in subscribed { queue.remove(self) }
        subscribed = []
    }
}

/// epoll(7): files and what is wanted of them. Level-triggered, edge-triggered and one-shot.
///
/// A change of a file puts its interest into the ready list; only what is there is looked at. So a
/// wait costs what is ready, not what is watched.
final class EpollFile: OpenFile {
    static let edgeTriggered: UInt32 = 1 << 31, oneShot: UInt32 = 1 << 30
    /// How many epoll files may stand in a chain, and how many one may watch: a look at the
    /// outermost looks at all of them, on one stack and with the server's lock held.
    static let maximumNesting = 4, maximumNested = 8

    private var members: [EpollInterest] = []
    private var ready = Queue<EpollInterest>()
    private var nested: [EpollFile] = []
    /// How far below an outermost epoll file this one has ever stood.
    private var level = 0
    private let changes = WaitQueue()

    init(server: Server, inode: Inode, flags: UInt32) {
        super.init(
            server: server, inode: inode, path: Bytes("anon_inode:[eventpoll]"),
            flags: flags | OpenFlags.readWrite)
    }

    override func close() {
        for interest in members { detach(interest) }
        members = []
        nested = []
        ready = Queue()
    }

    func add(_ interest: EpollInterest) throws(Errno) {
        if find(interest.descriptor, interest.file) != nil { throw .EEXIST }
        if let inner = interest.file as? EpollFile { try nest(inner) }
        interest.epoll = self
        interest.place = members.count
        members.append(interest)
        interest.file.interests.append(interest)
        interest.subscribe()
        enqueue(interest)
    }

    func modify(_ descriptor: Int32, _ file: OpenFile, events: UInt32, data: UInt64)
        throws(Errno)
    {
        guard let interest = find(descriptor, file) else { throw .ENOENT }
        interest.events = events
        interest.data = data
        interest.isSpent = false
        enqueue(interest)
    }

    func remove(_ descriptor: Int32, _ file: OpenFile) throws(Errno) {
        guard let interest = find(descriptor, file) else { throw .ENOENT }
        forget(interest)
    }

    /// Ends an interest: it was removed, or its file is closed.
    func forget(_ interest: EpollInterest) {
        guard interest.epoll === self else { return }
        let last = members.count - 1
        members.swapAt(interest.place, last)
        members[interest.place].place = interest.place
        members.removeLast()
        detach(interest)
        nested.removeAll { $0 === interest.file }
        // Removed interests leave the ready list when they are met, at the latest here.
        if ready.count > 2 * members.count + 16 { ready.keep { $0.epoll != nil } }
    }

    private func detach(_ interest: EpollInterest) {
        interest.unsubscribe()
        interest.epoll = nil
        interest.file.interests.removeAll { $0 === interest }
    }

    private func find(_ descriptor: Int32, _ file: OpenFile) -> EpollInterest? {
        file.interests.first { $0.epoll === self && $0.descriptor == descriptor }
    }

    // MARK: Nesting

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
        nested.append(inner)
    }

    private func reaches(_ other: EpollFile) -> Bool {
        nested.contains { $0 === other || $0.reaches(other) }
    }

    private func sink(to depth: Int) {
        level = max(level, depth)
        for inner in nested { inner.sink(to: level + 1) }
    }

    // MARK: What is ready

    /// Has an interest looked at by the next wait.
    fileprivate func enqueue(_ interest: EpollInterest) {
        if !interest.isQueued {
            interest.isQueued = true
            ready.append(interest)
        }
        changes.wakeAll(PollEvents.input)
    }

    /// Up to `limit` events that are ready. What is level-triggered stays in the list, behind all
    /// others, so that a busy file does not starve the rest.
    func collect(limit: Int) -> [(events: UInt32, data: UInt64)] {
        var found: [(events: UInt32, data: UInt64)] = []
        var left = ready.count
        while left > 0, found.count < limit, let interest = ready.popFirst() {
            left -= 1
            interest.isQueued = false
            let events = interest.ready
            if events == 0 { continue }
            if interest.events & EpollFile.oneShot != 0 {
                interest.isSpent = true
            } else if interest.events & EpollFile.edgeTriggered == 0 {
                interest.isQueued = true
                ready.append(interest)
            }
            found.append((events: events, data: interest.data))
        }
        return found
    }

    override var readiness: UInt32 {
        while let interest = ready.first {
            if interest.ready != 0 { return PollEvents.input | PollEvents.readNormal }
            interest.isQueued = false
            _ = ready.popFirst()
        }
        return 0
    }

    override var queues: [WaitQueue] { [changes] }
}
