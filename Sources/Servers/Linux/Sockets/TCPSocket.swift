import ABI

/// TCP (tcp(7)) as a program sees it, without packets: over loopback, and with clients outside of the
/// machine (`OutsideEnd`).
final class TCPSocket: ConnectionSocket {
    private var name: InternetSocketName?
    /// Of an accepted socket, which shares its listener's port.
    private var sharedName: InternetAddress?
    private var remote: InternetAddress?
    private var wanted: InternetAddress?
    override var source: InternetAddress? { local }
    override var target: InternetAddress? { wanted }

    convenience init(_ thread: GuestThread, _ domain: SocketDomain, flags: UInt32) {
        self.init(
            server: thread.server, owner: thread.process.senderCredentials, domain, flags: flags)
    }

    private convenience init(
        server: Server, owner: SenderCredentials, _ domain: SocketDomain, flags: UInt32
    ) {
        self.init(
            server: server, owner: owner, domain, .stream, protocolNumber: 6, flags: flags)
        options.sendBuffer = 16384
        options.receiveBuffer = 131_072
    }

    private var local: InternetAddress { name?.address ?? sharedName ?? unbound }
    private var unbound: InternetAddress {
        domain == .internet ? .four(0, port: 0) : InternetAddress()
    }

    override var localName: Bytes { local.encoded(domain) }
    override func peerName() throws(Errno) -> Bytes {
        guard state == .connected, let remote else { throw .ENOTCONN }
        return remote.encoded(domain)
    }

    override func bind(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        let address = try InternetAddress.parse(given, domain)
        guard name == nil, sharedName == nil else { throw .EINVAL }
        guard address.isAny || address.isLoopback else { throw .EADDRNOTAVAIL }
        try take(address)
    }

    private func take(_ address: InternetAddress) throws(Errno) {
        let added = InternetSocketName(self, address)
        try server.sockets.streams.add(added, isStream: true)
        name = added
    }

    override func nameItself(_ thread: GuestThread) throws(Errno) {
        if name == nil { try take(unbound) }
        guard let wanted, let name, name.address.isAny else { return }
        // Connecting: the address that is reached from here.
        let source = wanted.isFour ? InternetAddress.four(0x7F00_0001, port: 0) : wanted
        name.address.high = source.high
        name.address.low = source.low
    }

    override func unname() {
        if let name { server.sockets.streams.remove(name) }
        if let sharedName { server.sockets.streams.change(sharedName.port) { $0.connections -= 1 } }
        name = nil
        sharedName = nil
    }

    override func listen(backlog: Int, _ thread: GuestThread) throws(Errno) {
        wanted = nil
        if let name, !name.isListening {
            let others = server.sockets.streams.port(name.address.port).names
            let isTaken = others.contains {
                $0 !== name && $0.isListening && $0.overlaps(name)
                    && !($0.socket.options.reusesPort && options.reusesPort)
            }
            if isTaken { throw .EADDRINUSE }
        }
        try super.listen(backlog: backlog, thread)
        name?.isListening = true
    }

    /// A host answers at once; that nobody listens is told as an error of the connection.
    override func connect(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        if state == .idle {
            if let error = takeError() { throw error }
            isReceiveShut = false
            isSendShut = false
            if given.count >= 2, given.load16(0) == 0 { return }
            let address = try InternetAddress.parse(given, domain).destination(domain)
            if address.isFour, options.isSixOnly, domain == .internet6 { throw .ENETUNREACH }
            wanted = address
            remote = address
            if server.sockets.streams.listener(address) == nil {
                try nameItself(thread)
                if !isNonBlocking { throw .ECONNREFUSED }
                refuse()
                isReceiveShut = true
                isSendShut = true
                throw .EINPROGRESS
            }
        }
        try super.connect(given, thread)
    }

    override func findListener(_ given: Bytes, _ thread: GuestThread) throws(Errno)
        -> ConnectionSocket
    {
        guard let wanted,
            let found = server.sockets.streams.listener(wanted) as? ConnectionSocket
        else { throw .ECONNREFUSED }
        return found
    }

    override func makeAccepted(_ client: ConnectionSocket, _ owner: SenderCredentials)
        -> ConnectionSocket?
    {
        guard let reached = client.target, let source = client.source else { return nil }
        let end = TCPSocket(server: server, owner: owner, domain, flags: 0)
        end.options = options
        end.remote = source
        end.sharedName = reached
        server.sockets.streams.change(reached.port) { $0.connections += 1 }
        return end
    }

    override var room: Int {
        guard let peer else { return 0 }
        let limit = options.sendBuffer + peer.options.receiveBuffer
        return max(limit - peer.received.byteCount, 0)
    }
    override var isWritableNow: Bool {
        guard let peer else { return true }
        return room * 3 >= options.sendBuffer + peer.options.receiveBuffer
    }

    /// A good end when all was read, a reset otherwise.
    override func peerClosed(hasUnread: Bool) {
        if hasUnread { return reset(.ECONNRESET) }
        isEnded = true
        queue.wakeAll()
    }

    override func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        if message.flags & (MessageFlags.outOfBand | MessageFlags.fastOpen) != 0 {
            throw .EOPNOTSUPP
        }
        return try sendOnConnection(message, thread)
    }
    override func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno)
        -> Int
    {
        try receiveOnConnection(&message, thread)
    }
    override var readiness: UInt32 { connectionReadiness }
}
