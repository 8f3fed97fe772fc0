import ABI

/// UDP over loopback (udp(7)). A message that finds its receiver's buffer full is lost.
final class UDPSocket: Socket {
    /// Longest payload of a datagram over IPv4.
    static let longest = 65507

    private var name: InternetSocketName?
    private var remote: InternetAddress?

    convenience init(_ thread: GuestThread, _ domain: SocketDomain, flags: UInt32) {
        self.init(thread, domain, .datagram, protocolNumber: 17, flags: flags)
    }

    private var unbound: InternetAddress {
        domain == .internet ? .four(0, port: 0) : InternetAddress()
    }
    override var localName: Bytes { (name?.address ?? unbound).encoded(domain) }
    override func peerName() throws(Errno) -> Bytes {
        guard let remote else { throw .ENOTCONN }
        return remote.encoded(domain)
    }

    override func bind(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        let address = try InternetAddress.parse(given, domain)
        guard name == nil else { throw .EINVAL }
        guard address.isAny || address.isLoopback else { throw .EADDRNOTAVAIL }
        try take(address)
    }

    private func take(_ address: InternetAddress) throws(Errno) {
        let wanted = InternetSocketName(self, address)
        try server.sockets.datagrams.add(wanted, isStream: false)
        name = wanted
    }

    override func connect(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        if given.count >= 2, given.load16(0) == 0 {
            remote = nil
            return
        }
        let address = try destination(given)
        if name == nil { try take(unbound) }
        if let name, name.address.isAny {
            let source = UDPSocket.source(address)
            name.address.high = source.high
            name.address.low = source.low
        }
        remote = address
    }

    private func destination(_ given: Bytes) throws(Errno) -> InternetAddress {
        let address = try InternetAddress.parse(given, domain).destination(domain)
        if address.isFour, domain == .internet6, options.isSixOnly { throw .ENETUNREACH }
        guard address.port != 0 else { throw .EINVAL }
        return address
    }

    /// The own address on the way to another one.
    private static func source(_ target: InternetAddress) -> InternetAddress {
        target.isFour ? .four(0x7F00_0001, port: 0) : InternetAddress(low: 1)
    }

    override func disconnect() {
        if let name { server.sockets.datagrams.remove(name) }
        name = nil
        remote = nil
    }

    override func shutDown(receiving: Bool, sending: Bool) throws(Errno) {
        guard remote != nil else { throw .ENOTCONN }
        if receiving { isReceiveShut = true }
        if sending { isSendShut = true }
        queue.wakeAll()
    }

    override func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        if message.flags & MessageFlags.outOfBand != 0 { throw .EOPNOTSUPP }
        if let error = takeError() { throw error }
        if isSendShut { throw brokenPipe(message.flags, thread) }
        guard message.count <= UDPSocket.longest else { throw .EMSGSIZE }
        let target: InternetAddress
        if let given = message.destination {
            target = try destination(given)
        } else {
            guard let remote else { throw .EDESTADDRREQ }
            target = remote
        }
        if name == nil { try take(unbound) }
        var source = name?.address ?? unbound
        if source.isAny {
            let own = UDPSocket.source(target)
            source.high = own.high
            source.low = own.low
        }
        guard let receiver = receiver(target, from: source) else {
            if remote == target {
                pendingError = .ECONNREFUSED
                queue.wakeAll()
            }
            return message.count
        }
        if receiver.received.byteCount + message.count > receiver.options.receiveBuffer {
            return message.count
        }
        let segment = try gather(message, thread)
        segment.source = source.encoded(receiver.domain)
        receiver.received.append(segment)
        receiver.queue.wakeAll(PollEvents.readable)
        return message.count
    }

    /// Who is connected to the sender, else who is bound to the very address, else to all.
    private func receiver(_ target: InternetAddress, from source: InternetAddress) -> UDPSocket? {
        var best: UDPSocket?
        var score = -1
        for name in server.sockets.datagrams.port(target.port).names where name.takes(target) {
            guard let socket = name.socket as? UDPSocket else { continue }
            if let remote = socket.remote, remote != source { continue }
            let own =
                (socket.remote != nil ? 2 : 0) + (name.address.isSameHost(as: target) ? 1 : 0)
            if own > score {
                best = socket
                score = own
            }
        }
        return best
    }

    override func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno)
        -> Int
    {
        guard try awaitMessage(message.flags, thread) else { return 0 }
        return try takeMessage(&message)
    }

    override var readiness: UInt32 {
        var events = PollEvents.writable | PollEvents.writeBand
        if pendingError != nil { events |= PollEvents.error }
        if isReceiveShut { events |= PollEvents.readable | PollEvents.readHangup }
        if isReceiveShut, isSendShut { events |= PollEvents.hangup }
        if !received.isEmpty { events |= PollEvents.readable }
        return events
    }
}
