import ABI

/// A socket (socket(7)): what the families have in common. Subclasses are the families' kinds.
class Socket: OpenFile {
    let domain: SocketDomain
    let kind: SocketKind
    let protocolNumber: UInt32
    var options = SocketOptions()
    /// SO_ERROR: told once, by the next call.
    var pendingError: Errno?
    var isReceiveShut = false
    var isSendShut = false
    var isClosed = false
    var received = ReceiveQueue()
    let queue = WaitQueue()
    /// In `SocketTable.all`.
    var place = -1

    convenience init(
        _ thread: GuestThread, _ domain: SocketDomain, _ kind: SocketKind,
        protocolNumber: UInt32, flags: UInt32
    ) {
        self.init(
            server: thread.server, owner: thread.process.senderCredentials, domain, kind,
            protocolNumber: protocolNumber, flags: flags)
    }

    init(
        server: Server, owner: SenderCredentials, _ domain: SocketDomain, _ kind: SocketKind,
        protocolNumber: UInt32, flags: UInt32
    ) {
        self.domain = domain
        self.kind = kind
        self.protocolNumber = protocolNumber
        let inode = server.fileSystem.makeAnonymous(kind: .socket, permissions: 0o777)
        inode.owner = owner.user
        inode.group = owner.group
        server.fileSystem.retain(inode)
        var path = Bytes("socket:[")
        path.append(decimal: inode.number)
        path.append("]")
        super.init(
            server: server, inode: inode, path: path,
            flags: OpenFlags.readWrite | flags & OpenFlags.nonBlocking)
        server.sockets.add(self)
    }

    // MARK: What kinds of socket differ in

    /// The own name as a `struct sockaddr`.
    var localName: Bytes { [] }
    func peerName() throws(Errno) -> Bytes { throw .ENOTCONN }
    func bind(_ name: Bytes, _ thread: GuestThread) throws(Errno) { throw .EOPNOTSUPP }
    func listen(backlog: Int, _ thread: GuestThread) throws(Errno) { throw .EOPNOTSUPP }
    func accept(_ thread: GuestThread, flags: UInt32) throws(Errno) -> Socket { throw .EOPNOTSUPP }
    func connect(_ name: Bytes, _ thread: GuestThread) throws(Errno) { throw .EOPNOTSUPP }
    func shutDown(receiving: Bool, sending: Bool) throws(Errno) { throw .ENOTCONN }
    func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        throw .EOPNOTSUPP
    }
    func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        throw .EOPNOTSUPP
    }
    /// Names and peers are given up; `received` is emptied afterwards.
    func disconnect() {}
    var isListening: Bool { false }
    /// Stands for a program outside of the machine; no program here has it.
    var isOutside: Bool { false }
    /// SO_PEERCRED.
    var peerCredentials: SenderCredentials { SenderCredentials(process: 0) }

    // MARK: As a file

    override func close() {
        isClosed = true
        disconnect()
        while let segment = received.dropFirst() { server.sockets.drop(segment.files) }
        server.sockets.remove(self)
        queue.wakeAll()
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        if transfer.count == 0, kind == .stream { return 0 }
        var message = IncomingMessage(
            pieces: [MessagePiece(memory: transfer.memory, count: Int(transfer.count))])
        let moved = try receive(&message, thread)
        server.sockets.release(message.files)
        return UInt64(moved)
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        let piece = MessagePiece(memory: transfer.memory, count: Int(transfer.count))
        return UInt64(try send(OutgoingMessage(pieces: [piece]), thread))
    }

    override var queues: [WaitQueue] { [queue] }

    override func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        try controlSocket(request, argument, thread)
    }

    // MARK: For subclasses

    /// The pending error, which is then told.
    func takeError() -> Errno? {
        defer { pendingError = nil }
        return pendingError
    }

    func doesNotWait(_ flags: UInt32) -> Bool {
        isNonBlocking || flags & MessageFlags.doNotWait != 0
    }

    /// When a call that starts now has waited long enough (SO_RCVTIMEO, SO_SNDTIMEO).
    func deadline(_ timeout: UInt64) -> UInt64 {
        timeout == 0 ? Native.forever : TimeRecord.deadline(after: timeout)
    }

    /// Waits for something to change. The socket stays open meanwhile, whoever closes its
    /// descriptor. EAGAIN after the deadline; a signal restarts only calls without a timeout.
    func wait(_ thread: GuestThread, until deadline: UInt64, on queues: [WaitQueue]? = nil)
        throws(Errno)
    {
        use()
        defer { drop() }
        let isInTime: Bool
        do throws(Errno) {
            isInTime = try thread.wait(on: queues ?? [queue], deadline: deadline)
        } catch {
            throw deadline == Native.forever ? error : .EINTR
        }
        if !isInTime { throw .EAGAIN }
    }

    /// EPIPE, and SIGPIPE unless it is not wanted (send(2)).
    func brokenPipe(_ flags: UInt32, _ thread: GuestThread) -> Errno {
        if flags & MessageFlags.noSignal == 0 {
            let details = SignalInfo.Details.sender(process: thread.process.id, user: 0, value: 0)
            try? thread.send(SignalInfo(signal: .pipe, code: 0, details: details))
        }
        return .EPIPE
    }

    /// Waits for a message on a socket that keeps them apart; false: there will be none, since
    /// receiving is shut down.
    func awaitMessage(_ flags: UInt32, _ thread: GuestThread) throws(Errno) -> Bool {
        if flags & MessageFlags.outOfBand != 0 { throw .EOPNOTSUPP }
        let deadline = deadline(options.receiveTimeout)
        while received.isEmpty {
            if let error = takeError() { throw error }
            if isReceiveShut { return false }
            if doesNotWait(flags) { throw .EAGAIN }
            try wait(thread, until: deadline)
        }
        return true
    }

    /// Copies the first message out and, unless it was only looked at, takes it. The message's
    /// length with MSG_TRUNC, else what was copied.
    func takeMessage(_ message: inout IncomingMessage) throws(Errno) -> Int {
        guard let segment = received.first else { throw .EAGAIN }
        var cursor = PieceCursor(message.pieces)
        let part = min(cursor.left, segment.count)
        if cursor.put(part, from: segment.base + segment.start) < part { throw .EFAULT }
        let length = segment.count
        if part < length { message.outputFlags |= MessageFlags.cut }
        message.source = segment.source
        message.credentials = segment.credentials
        message.files = segment.files
        if message.isPeek {
            for file in segment.files { file.use() }
        } else {
            server.sockets.arrived(segment.files)
            segment.files = []
            received.dropFirst()
        }
        return message.flags & MessageFlags.cut != 0 ? length : part
    }

    /// One whole message in memory of the server.
    func gather(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno)
        -> ReceiveQueue.Segment
    {
        let segment = ReceiveQueue.Segment(capacity: message.count)
        var cursor = PieceCursor(message.pieces)
        segment.end = cursor.take(message.count, to: segment.base)
        if cursor.left > 0 { throw .EFAULT }
        segment.credentials = message.credentials ?? thread.process.senderCredentials
        segment.files = message.files
        return segment
    }
}
