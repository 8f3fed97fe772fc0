import ABI

/// Names of unix(7): in the file system, or abstract.
///
/// A name leads to an inode that carries a `UnixName`; one without is a file whose socket is
/// closed.
struct UnixPlace {
    var name: Bytes = []
    var inode: Inode?

    /// Offset of `sun_path`, and the size of `struct sockaddr_un`.
    static let header = 2, size = 110

    /// The text of a `struct sockaddr_un`: empty asks for an automatic name, a leading zero makes
    /// it abstract. EINVAL when it is none.
    static func parse(_ given: Bytes) throws(Errno) -> Bytes {
        guard given.count >= header, given.count <= size else { throw .EINVAL }
        guard given.load16(0) == SocketDomain.unix.rawValue else { throw .EINVAL }
        let text = Bytes(given[header...])
        if text.first == 0 || text.isEmpty { return text }
        return Bytes(text.prefix { $0 != 0 })
    }

    var encoded: Bytes {
        var writer = ByteWriter(capacity: name.count + 3)
        writer.put16(SocketDomain.unix.rawValue)
        writer.put(name)
        if let first = name.first, first != 0 { writer.put8(0) }
        return writer.bytes
    }

    /// Binds a socket to a name: EADDRINUSE, and what mknod(2) answers.
    mutating func take(_ given: Bytes, _ socket: Socket, _ thread: GuestThread) throws(Errno) {
        let sockets = thread.server.sockets
        var text = try UnixPlace.parse(given)
        if !name.isEmpty {
            let found = try? thread.server.fileSystem.resolve(
                text, at: nil, flags: .keepFinal, thread.caller)
            throw found?.inode != nil && text.first != 0 ? .EADDRINUSE : .EINVAL
        }
        if text.isEmpty {
            guard let automatic = sockets.automaticName(socket.kind) else { throw .ENOSPC }
            text = automatic
        }
        if text.first == 0 {
            let key = UnixPlace.key(text, socket.kind)
            guard sockets.abstract.inode(named: key[...]) == nil else { throw .EADDRINUSE }
            let entry = thread.server.fileSystem.makeAnonymous(kind: .socket, permissions: 0o777)
            sockets.abstract.insert(key, entry)
            inode = entry
        } else {
            thread.server.stampTime()
            let files = thread.server.fileSystem
            do throws(Errno) {
                try files.makeNode(
                    text, at: nil, mode: NodeKind.socket.modeBits | 0o777, deviceNumber: 0,
                    thread.caller)
            } catch {
                throw error == .EEXIST ? .EADDRINUSE : error
            }
            inode = try files.resolve(text, at: nil, flags: [], thread.caller).inode
        }
        name = text
        inode?.attachment = UnixName(socket)
    }

    /// Abstract names of different kinds of socket have nothing to do with each other.
    static func key(_ text: Bytes, _ kind: SocketKind) -> Bytes {
        [UInt8(truncatingIfNeeded: kind.rawValue)] + text
    }

    mutating func giveUp(_ socket: Socket) {
        guard let held = inode else { return }
        held.attachment = nil
        inode = nil
        if name.first == 0 {
            _ = socket.server.sockets.abstract.remove(UnixPlace.key(name, socket.kind))
        }
    }

    /// The socket that a name leads to: ECONNREFUSED when none is there any more, EPROTOTYPE for
    /// another kind.
    static func find(_ given: Bytes, _ kind: SocketKind, _ thread: GuestThread) throws(Errno)
        -> Socket
    {
        let text = try parse(given)
        guard let first = text.first else { throw .EINVAL }
        let found: Inode?
        if first == 0 {
            found = thread.server.sockets.abstract.inode(named: key(text, kind)[...])
        } else {
            found = try thread.server.fileSystem.resolve(
                text, at: nil, flags: .followFinal, thread.caller
            ).inode
            guard let found else { throw .ENOENT }
            try thread.server.fileSystem.access(found, AccessMask.write, thread.caller)
        }
        guard let name = found?.attachment as? UnixName else { throw .ECONNREFUSED }
        guard name.socket.kind == kind else { throw .EPROTOTYPE }
        return name.socket
    }
}

/// UNIX streams and sequenced packets.
final class UnixConnection: ConnectionSocket {
    private var bound = UnixPlace()
    /// Kept so that the other side's name is known after it was closed.
    private var peerPlace = UnixPlace()

    convenience init(_ thread: GuestThread, _ kind: SocketKind, flags: UInt32) {
        self.init(thread, .unix, kind, protocolNumber: 0, flags: flags)
    }

    override var localName: Bytes { bound.encoded }
    override func peerName() throws(Errno) -> Bytes {
        guard state == .connected else { throw .ENOTCONN }
        return peerPlace.encoded
    }

    override func bind(_ name: Bytes, _ thread: GuestThread) throws(Errno) {
        try bound.take(name, self, thread)
    }
    override func unname() { bound.giveUp(self) }

    override func listen(backlog: Int, _ thread: GuestThread) throws(Errno) {
        guard !bound.name.isEmpty else { throw .EINVAL }
        try super.listen(backlog: backlog, thread)
    }

    override func findListener(_ name: Bytes, _ thread: GuestThread) throws(Errno)
        -> ConnectionSocket
    {
        let found = try UnixPlace.find(name, kind, thread)
        guard let target = found as? ConnectionSocket, target.isListening, !target.isReceiveShut
        else { throw .ECONNREFUSED }
        return target
    }

    override func makeAccepted(_ client: ConnectionSocket, _ owner: SenderCredentials)
        -> ConnectionSocket?
    {
        let end = UnixConnection(
            server: server, owner: owner, .unix, kind, protocolNumber: 0, flags: 0)
        end.options = options
        end.bound.name = bound.name
        if let client = client as? UnixConnection {
            end.peerPlace = client.bound
            client.peerPlace.name = bound.name
        }
        return end
    }

    override var room: Int {
        guard let peer else { return 0 }
        return max(options.sendBuffer - peer.received.byteCount, 0)
    }
    override var isWritableNow: Bool {
        guard let peer else { return true }
        return peer.received.byteCount * 4 <= options.sendBuffer
    }

    override func peerClosed(hasUnread: Bool) {
        isReceiveShut = true
        isSendShut = true
        if hasUnread { pendingError = .ECONNRESET }
        queue.wakeAll()
    }

    override func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        if message.flags & MessageFlags.outOfBand != 0 { throw .EOPNOTSUPP }
        if message.destination != nil, kind == .stream {
            throw state == .connected ? .EISCONN : .EOPNOTSUPP
        }
        return try sendOnConnection(message, thread)
    }
    override func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno)
        -> Int
    {
        let count = try receiveOnConnection(&message, thread)
        message.source = peerPlace.name.isEmpty ? [] : peerPlace.encoded
        return count
    }
    override var readiness: UInt32 { connectionReadiness }
}

/// UNIX datagrams: kept apart, in order, none lost.
final class UnixDatagram: Socket {
    /// Messages that a receiver holds from others than its own peer (`max_dgram_qlen` and one).
    static let longestQueue = 11

    private var bound = UnixPlace()
    private(set) var peer: UnixDatagram?
    private var peerPlace = UnixPlace()
    /// What the messages in `received` cost, as Linux counts (`cost`).
    private var heldCost = 0
    /// Senders wait here for room.
    private let roomQueue = WaitQueue()

    convenience init(_ thread: GuestThread, flags: UInt32) {
        self.init(thread, .unix, .datagram, protocolNumber: 0, flags: flags)
    }

    override var localName: Bytes { bound.encoded }
    override func peerName() throws(Errno) -> Bytes {
        guard peer != nil else { throw .ENOTCONN }
        return peerPlace.encoded
    }
    override func bind(_ name: Bytes, _ thread: GuestThread) throws(Errno) {
        try bound.take(name, self, thread)
    }

    override func connect(_ name: Bytes, _ thread: GuestThread) throws(Errno) {
        if name.count >= 2, name.load16(0) == 0 {
            peer = nil
            peerPlace = UnixPlace()
        } else {
            guard let found = try UnixPlace.find(name, kind, thread) as? UnixDatagram else {
                throw .EPROTOTYPE
            }
            pair(found)
        }
        queuesChanged()
    }

    /// One direction of socketpair(2).
    func pair(_ other: UnixDatagram) {
        peer = other
        peerPlace.name = other.bound.name
    }

    override func disconnect() {
        bound.giveUp(self)
        peer = nil
        roomQueue.wakeAll()
    }

    override func shutDown(receiving: Bool, sending: Bool) throws(Errno) {
        if receiving { isReceiveShut = true }
        if sending { isSendShut = true }
        roomQueue.wakeAll()
        queue.wakeAll()
    }

    override func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        if message.flags & MessageFlags.outOfBand != 0 { throw .EOPNOTSUPP }
        if let error = takeError() { throw error }
        if isSendShut { throw brokenPipe(message.flags | MessageFlags.noSignal, thread) }
        if message.count > options.sendBuffer - 32 { throw .EMSGSIZE }
        let target: UnixDatagram
        if let name = message.destination {
            guard let found = try UnixPlace.find(name, kind, thread) as? UnixDatagram else {
                throw .EPROTOTYPE
            }
            target = found
        } else {
            guard let peer else { throw .ENOTCONN }
            target = peer
        }
        if let other = target.peer, other !== self { throw .EPERM }
        let deadline = deadline(options.sendTimeout)
        while isFull(target) {
            if doesNotWait(message.flags) { throw .EAGAIN }
            try wait(thread, until: deadline, on: [queue, target.roomQueue])
        }
        if target.isClosed {
            if target === peer { peer = nil }
            throw .ECONNREFUSED
        }
        if target.isReceiveShut { throw brokenPipe(message.flags | MessageFlags.noSignal, thread) }
        let segment = try gather(message, thread)
        segment.source = bound.name.isEmpty ? [] : bound.encoded
        server.sockets.send(message.files)
        target.received.append(segment)
        target.heldCost += UnixDatagram.cost(message.count)
        target.queue.wakeAll(PollEvents.readable)
        return message.count
    }

    /// A pair shares the sender's buffer; strangers share a short queue.
    private func isFull(_ target: UnixDatagram) -> Bool {
        if target.isClosed { return false }
        if target.peer === self { return target.heldCost >= options.sendBuffer }
        return target.received.messageCount >= UnixDatagram.longestQueue
    }

    /// What a message takes of a buffer: a header, and a power of two for its bytes.
    private static func cost(_ count: Int) -> Int {
        var size = 512
        while size < count + 320 { size *= 2 }
        return 256 + size
    }

    override func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno)
        -> Int
    {
        guard try awaitMessage(message.flags, thread) else { return 0 }
        let length = received.first?.count ?? 0
        let count = try takeMessage(&message)
        if !message.isPeek {
            heldCost -= UnixDatagram.cost(length)
            roomQueue.wakeAll(PollEvents.writable)
        }
        return count
    }

    override var readiness: UInt32 {
        var events: UInt32 = pendingError != nil ? PollEvents.error : 0
        if isReceiveShut { events |= PollEvents.readable | PollEvents.readHangup }
        if isReceiveShut, isSendShut { events |= PollEvents.hangup }
        if !received.isEmpty { events |= PollEvents.readable }
        let isWritable = peer.map {
            $0.peer === self ? $0.heldCost * 4 <= options.sendBuffer : !isFull($0)
        }
        if isWritable != false { events |= PollEvents.writable | PollEvents.writeBand }
        return events
    }
    override var queues: [WaitQueue] {
        if let peer { return [queue, peer.roomQueue] }
        return [queue]
    }
}
