import ABI

/// A socket with connections: UNIX streams and sequenced packets, TCP over loopback.
///
/// Both ends lie in this server: what one sends is put straight into what the other has received.
/// A connection is made by `connect`, when the listener has room, and waits there to be accepted.
///
/// Invariants: `peer` is set exactly in state `connected` while neither end is closed, and is
/// mutual; `pending` holds connected sockets without a descriptor; `connectors` holds sockets in
/// state `connecting` whose `listener` is this one, and some that gave up.
class ConnectionSocket: Socket {
    enum State { case idle, listening, connecting, connected, closed }

    var state = State.idle
    var peer: ConnectionSocket?
    /// Established connections that wait for accept(2).
    var pending = Queue<ConnectionSocket>()
    /// Sockets that wait for room in `pending`.
    private var connectors = Queue<ConnectionSocket>()
    private var backlog = 0
    /// Where a socket in state `connecting` wants to.
    private(set) var listener: ConnectionSocket?
    /// The other side sends no more.
    var isEnded = false
    var peerIdentity = SenderCredentials(process: 0)
    /// A non-blocking connect(2) whose success nobody has asked for.
    var isConnectUnreported = false

    override var isListening: Bool { state == .listening }
    override var peerCredentials: SenderCredentials { peerIdentity }

    // MARK: What the families differ in

    /// The listener of a name.
    func findListener(_ name: Bytes, _ thread: GuestThread) throws(Errno) -> ConnectionSocket {
        throw .EAFNOSUPPORT
    }
    /// For a listener: the end that accept(2) will give, for a connection of `client`.
    func makeAccepted(_ client: ConnectionSocket, _ owner: SenderCredentials)
        -> ConnectionSocket?
    {
        nil
    }
    /// Gives the socket a name before it connects or listens, where it needs one.
    func nameItself(_ thread: GuestThread) throws(Errno) {}
    /// Gives up the own name.
    func unname() {}
    /// How much more may be sent now.
    var room: Int { 0 }
    var isWritableNow: Bool { false }
    /// The other side is closed.
    func peerClosed(hasUnread: Bool) {}
    /// Bytes came into `received`, or something else changed (`PollEvents`).
    func changed(_ events: UInt32 = .max) { queue.wakeAll(events) }
    /// The other side has read: there may be room again.
    func peerHasRead() {
        if isWritableNow { queue.wakeAll(PollEvents.writable | PollEvents.writeBand) }
    }
    /// For a client of a TCP listener: where it comes from, and what it wants to reach.
    var source: InternetAddress? { nil }
    var target: InternetAddress? { nil }

    // MARK: Listening

    override func listen(backlog: Int, _ thread: GuestThread) throws(Errno) {
        guard state == .idle || state == .listening else { throw .EINVAL }
        try nameItself(thread)
        peerIdentity = thread.process.senderCredentials
        self.backlog = min(max(backlog, 0), 4096)
        state = .listening
        admit()
    }

    private var hasRoom: Bool { pending.count <= backlog }

    override func accept(_ thread: GuestThread, flags: UInt32) throws(Errno) -> Socket {
        guard state == .listening else { throw .EINVAL }
        let deadline = deadline(options.receiveTimeout)
        while true {
            if let socket = pending.popFirst() {
                admit()
                socket.flags |= flags & OpenFlags.nonBlocking
                return socket
            }
            if isReceiveShut || state != .listening { throw .EINVAL }
            if isNonBlocking { throw .EAGAIN }
            try wait(thread, until: deadline)
        }
    }

    /// Lets waiting connectors look again, when there is room.
    private func admit() {
        while hasRoom, let connector = connectors.popFirst() {
            if connector.listener === self, connector.state == .connecting {
                connector.proceed()
            }
        }
    }

    // MARK: Connecting

    /// Who connects, until the connection is made.
    private var connector: SenderCredentials?

    override func connect(_ name: Bytes, _ thread: GuestThread) throws(Errno) {
        switch state {
        case .listening: throw domain == .unix ? .EINVAL : .EISCONN
        case .connected:
            if !isConnectUnreported { throw .EISCONN }
            isConnectUnreported = false
            return
        case .connecting:
            if isNonBlocking { throw .EALREADY }
        case .closed:
            if let error = takeError() { throw error }
            throw domain == .unix ? .EINVAL : .EISCONN
        case .idle:
            if let error = takeError() { throw error }
            let target = try findListener(name, thread)
            try nameItself(thread)
            connector = thread.process.senderCredentials
            if !target.hasRoom, domain == .unix, isNonBlocking { throw .EAGAIN }
            state = .connecting
            listener = target
            if target.hasRoom {
                proceed()
            } else {
                target.connectors.append(self)
            }
        }
        try awaitConnection(thread)
    }

    /// TCP tells of success or failure only after a non-blocking connect(2) has returned.
    private func awaitConnection(_ thread: GuestThread) throws(Errno) {
        if isNonBlocking, domain.isInternet {
            isConnectUnreported = true
            throw .EINPROGRESS
        }
        let deadline = deadline(options.sendTimeout)
        do throws(Errno) {
            while state == .connecting { try wait(thread, until: deadline) }
        } catch {
            if domain == .unix {
                state = .idle
                listener = nil
            }
            throw error == .EAGAIN && domain.isInternet ? .EINPROGRESS : error
        }
        if let error = takeError() {
            state = .idle
            throw error
        }
    }

    /// The connection is made: the listener has room.
    private func proceed() {
        guard let target = listener, let owner = connector else { return }
        listener = nil
        connector = nil
        if !target.admit(self, owner) { refuse() }
    }

    /// For a listener: connects a client, whether there is room or not.
    func admit(_ client: ConnectionSocket, _ owner: SenderCredentials) -> Bool {
        guard !isReceiveShut, let end = makeAccepted(client, owner) else { return false }
        end.peerIdentity = owner
        client.peerIdentity = peerIdentity
        end.join(client)
        pending.append(end)
        queue.wakeAll(PollEvents.readable)
        return true
    }

    /// Two ends of one connection (also socketpair(2)).
    func join(_ other: ConnectionSocket) {
        peer = other
        other.peer = self
        state = .connected
        other.state = .connected
        queue.wakeAll()
        other.queue.wakeAll()
    }

    /// Nobody listens.
    func refuse() {
        state = .idle
        listener = nil
        connector = nil
        pendingError = .ECONNREFUSED
        queue.wakeAll()
    }

    // MARK: Ending

    /// The other side is gone without a good end.
    func reset(_ error: Errno) {
        pendingError = error
        peer = nil
        isReceiveShut = true
        isSendShut = true
        if domain.isInternet { state = .closed }
        queue.wakeAll()
    }

    override func disconnect() {
        unname()
        let old = state
        state = .closed
        listener = nil
        connector = nil
        if old == .listening { stopListening() }
        guard let other = peer else { return }
        peer = nil
        other.peer = nil
        other.peerClosed(hasUnread: !received.isEmpty || options.linger == 0 && domain.isInternet)
    }

    /// Whoever waits for a listener that goes is reset or refused.
    func stopListening() {
        while let end = pending.popFirst() {
            let client = end.peer
            end.peer = nil
            client?.peer = nil
            client?.reset(.ECONNRESET)
            end.use()
            end.drop()
        }
        while let connector = connectors.popFirst() {
            if connector.listener === self { connector.refuse() }
        }
    }

    override func shutDown(receiving: Bool, sending: Bool) throws(Errno) {
        if domain.isInternet {
            if state == .listening, receiving {
                // As on Linux, a listener that is shut down can listen again.
                unname()
                state = .idle
                stopListening()
                queue.wakeAll()
                return
            }
            guard state == .connected || (state == .closed && !isClosed) else { throw .ENOTCONN }
        }
        if receiving { isReceiveShut = true }
        if sending { isSendShut = true }
        if let peer {
            if sending {
                peer.isEnded = true
                peer.changed(PollEvents.readable | PollEvents.readHangup)
                if domain == .unix { peer.isReceiveShut = true }
            }
            if receiving, domain == .unix { peer.isSendShut = true }
            peer.changed()
        }
        queue.wakeAll()
    }

    /// Both directions have ended.
    var isFinished: Bool { (isReceiveShut || isEnded) && isSendShut }
}
