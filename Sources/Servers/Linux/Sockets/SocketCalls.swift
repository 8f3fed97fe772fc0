import ABI

/// socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2),
/// getsockname(2), getpeername(2).
extension CallTable {
    static func socketCalls() -> [CallEntry] {
        [
            CallEntry(41, "socket", .partial) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.makeSocket(a.a.word, a.b.word, a.c.word)
                return Int64(try t.install(socket, flags: a.b.word))
            },
            CallEntry(42, "connect", .full) { (t, a) throws(Errno) -> Int64 in
                try t.socket(a.a).connect(try t.readName(a.b, a.c), t)
                return 0
            },
            CallEntry(43, "accept", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAccept(a, flags: 0)
            },
            CallEntry(288, "accept4", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.d.word & ~(OpenFlags.nonBlocking | OpenFlags.closeOnExec) == 0 else {
                    throw .EINVAL
                }
                return try t.callAccept(a, flags: a.d.word)
            },
            CallEntry(48, "shutdown", .full) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                guard a.b.word <= 2 else { throw .EINVAL }
                try socket.shutDown(receiving: a.b.word != 1, sending: a.b.word != 0)
                return 0
            },
            CallEntry(49, "bind", .full) { (t, a) throws(Errno) -> Int64 in
                try t.socket(a.a).bind(try t.readName(a.b, a.c), t)
                return 0
            },
            CallEntry(50, "listen", .full) { (t, a) throws(Errno) -> Int64 in
                let wanted = a.b.int < 0 ? 4096 : Int(a.b.int)
                try t.socket(a.a).listen(backlog: wanted, t)
                return 0
            },
            CallEntry(51, "getsockname", .full) { (t, a) throws(Errno) -> Int64 in
                try t.storeName(try t.socket(a.a).localName, to: a.b, size: a.c)
            },
            CallEntry(52, "getpeername", .full) { (t, a) throws(Errno) -> Int64 in
                try t.storeName(try t.socket(a.a).peerName(), to: a.b, size: a.c)
            },
            CallEntry(53, "socketpair", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSocketPair(a)
            },
        ] + messageCalls() + socketOptionCalls()
    }
}

extension GuestThread {
    func socket(_ descriptor: UInt64) throws(Errno) -> Socket {
        let file = try file(descriptor)
        guard file.flags & OpenFlags.path == 0 else { throw .EBADF }
        guard let socket = file as? Socket else { throw .ENOTSOCK }
        return socket
    }

    /// ESOCKTNOSUPPORT (94), EPROTONOSUPPORT and EAFNOSUPPORT for what is not here: raw sockets,
    /// other families.
    func makeSocket(_ domain: UInt32, _ type: UInt32, _ protocolNumber: UInt32) throws(Errno)
        -> Socket
    {
        let flags = type & (OpenFlags.nonBlocking | OpenFlags.closeOnExec)
        guard type & ~flags <= 10 else { throw .EINVAL }
        guard domain <= 45, let domain = SocketDomain(rawValue: UInt16(domain)) else {
            throw .EAFNOSUPPORT
        }
        guard let kind = SocketKind(rawValue: type & ~flags) else { throw Errno(94) }
        server.stampTime()
        switch (domain, kind) {
        case (.netlink, .datagram), (.netlink, .raw):
            guard protocolNumber == 0 else { throw .EPROTONOSUPPORT }
            return NetlinkSocket(self, kind, flags: flags)
        case (.netlink, _), (_, .raw): throw Errno(94)
        case (.unix, .datagram):
            guard protocolNumber <= 1 else { throw .EPROTONOSUPPORT }
            return UnixDatagram(self, flags: flags)
        case (.unix, _):
            guard protocolNumber <= 1 else { throw .EPROTONOSUPPORT }
            return UnixConnection(self, kind, flags: flags)
        case (_, .stream):
            guard protocolNumber == 0 || protocolNumber == 6 else { throw .EPROTONOSUPPORT }
            return TCPSocket(self, domain, flags: flags)
        case (_, .datagram):
            guard protocolNumber == 0 || protocolNumber == 17 else { throw .EPROTONOSUPPORT }
            return UDPSocket(self, domain, flags: flags)
        case (_, .sequenced): throw Errno(94)
        }
    }

    /// A `struct sockaddr` of the program.
    func readName(_ address: UInt64, _ size: UInt64) throws(Errno) -> Bytes {
        guard size.int >= 0, size.word <= 128 else { throw .EINVAL }
        return try memory.read(address, count: Int(size.word))
    }

    /// Stores as much of a name as there is room for, and its true length (getsockname(2)).
    func storeName(_ name: Bytes, to address: UInt64, size: UInt64) throws(Errno) -> Int64 {
        let room = Int32(bitPattern: try memory.load32(size))
        guard room >= 0 else { throw .EINVAL }
        try memory.write(Bytes(name.prefix(Int(room))), to: address)
        try memory.store32(UInt32(truncatingIfNeeded: name.count), to: size)
        return 0
    }

    func callAccept(_ a: Arguments, flags: UInt32) throws(Errno) -> Int64 {
        let accepted = try socket(a.a).accept(self, flags: flags)
        let descriptor = try install(accepted, flags: flags)
        guard a.b != 0 else { return Int64(descriptor) }
        do throws(Errno) {
            // Whoever has gone meanwhile has no name any more.
            let empty = Bytes([UInt8(truncatingIfNeeded: accepted.domain.rawValue), 0])
            _ = try storeName((try? accepted.peerName()) ?? empty, to: a.b, size: a.c)
        } catch {
            try? process.descriptors.close(descriptor)
            throw error
        }
        return Int64(descriptor)
    }

    func callSocketPair(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.a.word == UInt32(SocketDomain.unix.rawValue) else {
            throw a.a.word == 2 || a.a.word == 10 ? .EOPNOTSUPP : .EAFNOSUPPORT
        }
        let first = try makeSocket(a.a.word, a.b.word, a.c.word)
        let second: Socket
        do throws(Errno) {
            second = try makeSocket(a.a.word, a.b.word, a.c.word)
        } catch {
            server.sockets.release([first])
            throw error
        }
        if let one = first as? UnixDatagram, let two = second as? UnixDatagram {
            one.pair(two)
            two.pair(one)
        } else if let one = first as? ConnectionSocket, let two = second as? ConnectionSocket {
            one.peerIdentity = process.senderCredentials
            two.peerIdentity = process.senderCredentials
            one.join(two)
        }
        let left: Int32
        do throws(Errno) {
            left = try install(first, flags: a.b.word)
        } catch {
            second.use()
            second.drop()
            throw error
        }
        var right: Int32?
        do throws(Errno) {
            let added = try install(second, flags: a.b.word)
            right = added
            let pair = UInt64(UInt32(bitPattern: left)) | UInt64(UInt32(bitPattern: added)) << 32
            try memory.store64(pair, to: a.d)
        } catch {
            if let right { try? process.descriptors.close(right) }
            try? process.descriptors.close(left)
            throw error
        }
        return 0
    }
}
