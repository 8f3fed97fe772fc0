import ABI

/// setsockopt(2), getsockopt(2), and ioctl(2) on sockets. An option that is not here is
/// ENOPROTOOPT, never taken without effect.
extension CallTable {
    static func socketOptionCalls() -> [CallEntry] {
        [
            CallEntry(54, "setsockopt", .partial) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                guard a.e.int >= 0 else { throw .EINVAL }
                let value = try t.memory.read(a.d, count: Int(min(a.e.word, 256)))
                try socket.setOption(a.b.int, a.c.int, value)
                return 0
            },
            CallEntry(55, "getsockopt", .partial) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                let room = Int32(bitPattern: try t.memory.load32(a.e))
                guard room >= 0 else { throw .EINVAL }
                let value = try socket.option(a.b.int, a.c.int)
                let part = Bytes(value.prefix(Int(room)))
                try t.memory.write(part, to: a.d)
                try t.memory.store32(UInt32(truncatingIfNeeded: part.count), to: a.e)
                return 0
            },
        ]
    }
}

private enum Level {
    static let socket: Int32 = 1, internet: Int32 = 0, stream: Int32 = 6, internet6: Int32 = 41
}

/// Names of SOL_SOCKET (asm-generic/socket.h).
private enum Option {
    static let reuseAddress: Int32 = 2, type: Int32 = 3, error: Int32 = 4, sendBuffer: Int32 = 7
    static let receiveBuffer: Int32 = 8, linger: Int32 = 13, reusePort: Int32 = 15
    static let passCredentials: Int32 = 16, peerCredentials: Int32 = 17, lowWater: Int32 = 18
    static let receiveTimeout: Int32 = 20, sendTimeout: Int32 = 21, acceptsConnections: Int32 = 30
    static let protocolNumber: Int32 = 38, domain: Int32 = 39
    /// SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY: on loopback there is
    /// no other route, no silent peer, no urgent data and one queue, so there is nothing to do.
    static let kept: [Int32] = [5, 6, 9, 10, 12]
    /// `net.core.rmem_max` and `wmem_max`, doubled as Linux does.
    static let greatestBuffer = 425_984, leastReceive = 2304, leastSend = 4608
    static let onlySix: Int32 = 26
}

/// Options of TCP and IP that say how packets travel. Loopback has no packets: they are shown
/// again, and there is nothing to change.
private enum PacketOption {
    /// NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, QUICKACK, USER_TIMEOUT.
    static let stream: [(name: Int32, initial: Int32)] = [
        (1, 0), (3, 0), (4, 7200), (5, 75), (6, 9), (7, 6), (12, 1), (18, 0),
    ]
    /// IP_TOS, IP_TTL, IP_MTU_DISCOVER, IP_BIND_ADDRESS_NO_PORT.
    static let internet: [(name: Int32, initial: Int32)] = [(1, 0), (2, 64), (10, 1), (24, 0)]
    /// IPV6_UNICAST_HOPS, IPV6_MTU_DISCOVER, IPV6_TCLASS.
    static let internet6: [(name: Int32, initial: Int32)] = [(16, 64), (23, 1), (67, 0)]

    static func initial(_ level: Int32, _ name: Int32, _ socket: Socket) -> Int32? {
        let list: [(name: Int32, initial: Int32)]
        switch level {
        case Level.stream where socket is TCPSocket: list = stream
        case Level.internet where socket.domain.isInternet: list = internet
        case Level.internet6 where socket.domain == .internet6: list = internet6
        default: return nil
        }
        return list.first { $0.name == name }?.initial
    }
}

extension Socket {
    func setOption(_ level: Int32, _ name: Int32, _ value: Bytes) throws(Errno) {
        if level == Level.socket { return try setSocketOption(name, value) }
        if domain == .unix { throw .EOPNOTSUPP }
        if level == Level.internet6, name == Option.onlySix, domain == .internet6 {
            guard value.count >= 4, localName.load16(2) == 0 else { throw .EINVAL }
            options.isSixOnly = value.load32(0) != 0
            return
        }
        guard PacketOption.initial(level, name, self) != nil else { throw .ENOPROTOOPT }
        guard !value.isEmpty else { throw .EINVAL }
        var number = value.count >= 4 ? value.loadInt32(0) : Int32(value[0])
        // Switches show 0 or 1.
        if level == Level.stream, [1, 3, 12].contains(name) { number = number != 0 ? 1 : 0 }
        options.keep(level, name, number)
    }

    private func setSocketOption(_ name: Int32, _ value: Bytes) throws(Errno) {
        switch name {
        case Option.linger:
            guard value.count >= 8 else { throw .EINVAL }
            options.linger = value.load32(0) != 0 ? value.load32(4) : nil
            return
        case Option.receiveTimeout, Option.sendTimeout:
            guard value.count >= 16 else { throw .EINVAL }
            guard value.load64(8) < 1_000_000 else { throw Errno(33) }
            let seconds = value.loadInt64(0)
            let time = seconds < 0 ? 1 : try TimeRecord.nanoseconds(value, 0, unit: 1000)
            if name == Option.sendTimeout {
                options.sendTimeout = time
            } else {
                options.receiveTimeout = time
            }
            return
        default: break
        }
        guard value.count >= 4 else { throw .EINVAL }
        let number = value.loadInt32(0)
        switch name {
        case Option.reuseAddress: options.reusesAddress = number != 0
        case Option.reusePort:
            guard domain.isInternet else { throw .EOPNOTSUPP }
            options.reusesPort = number != 0
        case Option.passCredentials:
            guard domain == .unix else { throw .EOPNOTSUPP }
            options.passesCredentials = number != 0
        case Option.lowWater: options.lowWater = number < 0 ? Int(Int32.max) : max(1, Int(number))
        case Option.sendBuffer:
            options.sendBuffer = Socket.buffer(number, least: Option.leastSend)
            queue.wakeAll(PollEvents.writable)
        case Option.receiveBuffer:
            options.receiveBuffer = Socket.buffer(number, least: Option.leastReceive)
        case _ where Option.kept.contains(name):
            options.keep(Level.socket, name, name == 12 ? number : (number != 0 ? 1 : 0))
        default: throw .ENOPROTOOPT
        }
    }

    private static func buffer(_ wish: Int32, least: Int) -> Int {
        wish < 0 ? Option.greatestBuffer : min(max(Int(wish) * 2, least), Option.greatestBuffer)
    }

    func option(_ level: Int32, _ name: Int32) throws(Errno) -> Bytes {
        var writer = ByteWriter(capacity: 16)
        if level == Level.socket {
            if name == Option.linger {
                writer.put32(UInt32(options.linger == nil ? 0 : 1))
                writer.put32(options.linger ?? 0)
                return writer.bytes
            }
            if name == Option.peerCredentials { return peerCredentials.bytes }
            if name == Option.receiveTimeout {
                return TimeRecord.single(options.receiveTimeout, unit: 1000)
            }
            if name == Option.sendTimeout {
                return TimeRecord.single(options.sendTimeout, unit: 1000)
            }
            writer.put32(try socketNumber(name))
            return writer.bytes
        }
        if domain == .unix { throw .EOPNOTSUPP }
        if level == Level.internet6, name == Option.onlySix, domain == .internet6 {
            writer.put32(UInt32(options.isSixOnly ? 1 : 0))
            return writer.bytes
        }
        guard let initial = PacketOption.initial(level, name, self) else { throw .ENOPROTOOPT }
        writer.put32(options.keptValue(level, name) ?? initial)
        return writer.bytes
    }

    private func socketNumber(_ name: Int32) throws(Errno) -> Int32 {
        switch name {
        case Option.reuseAddress: options.reusesAddress ? 1 : 0
        case Option.reusePort: options.reusesPort ? 1 : 0
        case Option.type: Int32(kind.rawValue)
        case Option.error: takeError()?.rawValue ?? 0
        case Option.sendBuffer: Int32(options.sendBuffer)
        case Option.receiveBuffer: Int32(options.receiveBuffer)
        case Option.passCredentials: options.passesCredentials ? 1 : 0
        case Option.lowWater: Int32(options.lowWater)
        case Option.acceptsConnections: isListening ? 1 : 0
        case Option.protocolNumber: Int32(protocolNumber)
        case Option.domain: Int32(domain.rawValue)
        case _ where Option.kept.contains(name): options.keptValue(Level.socket, name) ?? 0
        default: throw .ENOPROTOOPT
        }
    }
}

/// Requests of ioctl(2) that all sockets know (socket(7), unix(7), udp(7)).
private enum SocketRequest {
    static let atMark: UInt32 = 0x8905
}

extension Socket {
    func controlSocket(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        let value: Int
        switch request {
        case TerminalRequest.bytesReadable:
            if isListening { throw .EINVAL }
            value = kind == .datagram ? received.first?.count ?? 0 : received.byteCount
        case TerminalRequest.outputQueued: value = 0
        case SocketRequest.atMark where self is TCPSocket: value = 0
        default: throw .ENOTTY
        }
        try thread.memory.store32(UInt32(truncatingIfNeeded: value), to: argument)
        return 0
    }
}
