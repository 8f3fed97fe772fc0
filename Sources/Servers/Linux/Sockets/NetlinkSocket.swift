import ABI

/// rtnetlink(7), as far as getifaddrs(3) and getaddrinfo(3) ask: the interfaces of this machine and
/// their addresses, which are the loopback's and never change. Other requests are EOPNOTSUPP.
final class NetlinkSocket: Socket {
    private static let error: UInt16 = 2, done: UInt16 = 3
    private static let newLink: UInt16 = 16, getLink: UInt16 = 18
    private static let newAddress: UInt16 = 20, getAddress: UInt16 = 22
    private static let request: UInt16 = 1, multiple: UInt16 = 2, dump: UInt16 = 0x300
    /// `struct nlmsghdr`: length, type, flags, sequence number, port.
    private static let header = 16

    private var port: UInt32 = 0
    private var groups: UInt32 = 0

    convenience init(_ thread: GuestThread, _ kind: SocketKind, flags: UInt32) {
        self.init(thread, .netlink, kind, protocolNumber: 0, flags: flags)
    }

    private static func name(_ port: UInt32, _ groups: UInt32) -> Bytes {
        var writer = ByteWriter(capacity: 12)
        writer.put32(UInt32(SocketDomain.netlink.rawValue))
        writer.put32(port)
        writer.put32(groups)
        return writer.bytes
    }

    override var localName: Bytes { NetlinkSocket.name(port, groups) }
    override func peerName() throws(Errno) -> Bytes { NetlinkSocket.name(0, 0) }

    /// Groups may be joined: what they would tell of never happens.
    override func bind(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        try check(given)
        let wanted = given.load32(4)
        guard port == 0 || wanted == port else { throw .EINVAL }
        port = wanted == 0 ? UInt32(bitPattern: thread.process.id) : wanted
        groups = given.load32(8)
    }

    private func check(_ given: Bytes) throws(Errno) {
        guard given.count >= 12, given.load16(0) == SocketDomain.netlink.rawValue else {
            throw .EINVAL
        }
    }

    override func connect(_ given: Bytes, _ thread: GuestThread) throws(Errno) {
        try check(given)
        guard given.load32(4) == 0 else { throw .ECONNREFUSED }
    }

    override func send(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        if message.flags & MessageFlags.outOfBand != 0 { throw .EOPNOTSUPP }
        if let name = message.destination {
            try check(name)
            guard name.load32(4) == 0 else { throw .ECONNREFUSED }
        }
        guard message.count <= options.sendBuffer - 32 else { throw .EMSGSIZE }
        let segment = try gather(message, thread)
        let bytes = Bytes(UnsafeRawBufferPointer(start: segment.base, count: segment.end))
        if port == 0 { port = UInt32(bitPattern: thread.process.id) }
        var place = 0
        while bytes.count - place >= NetlinkSocket.header {
            let size = Int(bytes.load32(place))
            guard size >= NetlinkSocket.header, size <= bytes.count - place else { break }
            guard received.byteCount <= options.receiveBuffer else { throw .ENOBUFS }
            answer(Bytes(bytes[place..<place + size]))
            place += (size + 3) & ~3
        }
        queue.wakeAll(PollEvents.readable)
        return message.count
    }

    private func answer(_ request: Bytes) {
        let type = request.load16(4)
        let flags = request.load16(6)
        guard flags & NetlinkSocket.request != 0, type >= 16 else { return }
        let family = request.count > NetlinkSocket.header ? request[NetlinkSocket.header] : 0
        let sequence = request.load32(8)
        var reply = ByteWriter(capacity: 256)
        let isDump = flags & NetlinkSocket.dump == NetlinkSocket.dump
        if isDump, type == NetlinkSocket.getLink {
            put(link(), NetlinkSocket.newLink, sequence, to: &reply)
        } else if isDump, type == NetlinkSocket.getAddress {
            for isFour in [true, false] {
                let own: SocketDomain = isFour ? .internet : .internet6
                guard family == 0 || UInt16(family) == own.rawValue else { continue }
                put(address(isFour: isFour), NetlinkSocket.newAddress, sequence, to: &reply)
            }
        } else {
            var error = ByteWriter(capacity: 20)
            error.put32(-Errno.EOPNOTSUPP.rawValue)
            error.put(Bytes(request.prefix(NetlinkSocket.header)))
            put(error.bytes, NetlinkSocket.error, sequence, flags: 0, to: &reply)
            return deliver(reply.bytes)
        }
        deliver(reply.bytes)
        var end = ByteWriter(capacity: 24)
        put([0, 0, 0, 0], NetlinkSocket.done, sequence, to: &end)
        deliver(end.bytes)
    }

    private func put(
        _ body: Bytes, _ type: UInt16, _ sequence: UInt32,
        flags: UInt16 = NetlinkSocket.multiple, to writer: inout ByteWriter
    ) {
        writer.put32(UInt32(NetlinkSocket.header + body.count))
        writer.put16(type)
        writer.put16(flags)
        writer.put32(sequence)
        writer.put32(port)
        writer.put(body)
        writer.zeros((4 - body.count % 4) % 4)
    }

    private func deliver(_ bytes: Bytes) {
        let segment = ReceiveQueue.Segment(capacity: bytes.count)
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            segment.base.copyMemory(from: base, byteCount: buffer.count)
        }
        segment.end = bytes.count
        segment.source = NetlinkSocket.name(0, 0)
        segment.credentials = SenderCredentials(process: 0, user: 0, group: 0)
        received.append(segment)
    }

    /// An attribute: length, type, value, aligned to 4 bytes.
    private func put(_ type: UInt16, _ value: Bytes, to writer: inout ByteWriter) {
        writer.put16(UInt16(truncatingIfNeeded: value.count + 4))
        writer.put16(type)
        writer.put(value)
        writer.zeros((4 - value.count % 4) % 4)
    }

    /// `struct ifinfomsg` of `lo`: up, loopback, running; 65,536 bytes a packet.
    private func link() -> Bytes {
        var writer = ByteWriter(capacity: 64)
        writer.put16(0)
        writer.put16(772)
        writer.put32(UInt32(1))
        writer.put32(UInt32(0x10049))
        writer.put32(UInt32(0))
        put(3, Bytes("lo") + [0], to: &writer)
        put(4, [0, 0, 1, 0], to: &writer)
        put(1, Bytes(repeating: 0, count: 6), to: &writer)
        put(2, Bytes(repeating: 0, count: 6), to: &writer)
        return writer.bytes
    }

    /// `struct ifaddrmsg` of 127.0.0.1/8 or ::1/128: permanent, of host scope.
    private func address(isFour: Bool) -> Bytes {
        var writer = ByteWriter(capacity: 64)
        let family: SocketDomain = isFour ? .internet : .internet6
        writer.put8(UInt8(truncatingIfNeeded: family.rawValue))
        writer.put8(isFour ? 8 : 128)
        writer.put8(0x80)
        writer.put8(254)
        writer.put32(UInt32(1))
        let value: Bytes = isFour ? [127, 0, 0, 1] : Bytes(repeating: 0, count: 15) + [1]
        put(1, value, to: &writer)
        if isFour {
            put(2, value, to: &writer)
            put(3, Bytes("lo") + [0], to: &writer)
        }
        return writer.bytes
    }

    override func receive(_ message: inout IncomingMessage, _ thread: GuestThread) throws(Errno)
        -> Int
    {
        let deadline = deadline(options.receiveTimeout)
        while received.isEmpty {
            if doesNotWait(message.flags) { throw .EAGAIN }
            try wait(thread, until: deadline)
        }
        return try takeMessage(&message)
    }

    override var readiness: UInt32 {
        PollEvents.writable | (received.isEmpty ? 0 : PollEvents.readable)
    }
}
