import ABI

/// sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).
extension CallTable {
    static func messageCalls() -> [CallEntry] {
        [
            CallEntry(44, "sendto", .full) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                var message = OutgoingMessage(
                    pieces: [t.piece(a.b, a.c)], flags: a.d.word)
                if a.e != 0 { message.destination = try t.readName(a.e, a.f) }
                return Int64(try socket.send(message, t))
            },
            CallEntry(45, "recvfrom", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callReceiveFrom(a)
            },
            CallEntry(46, "sendmsg", .full) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                return Int64(try t.sendMessage(socket, a.b, flags: a.c.word))
            },
            CallEntry(47, "recvmsg", .full) { (t, a) throws(Errno) -> Int64 in
                let socket = try t.socket(a.a)
                return Int64(try t.receiveMessage(socket, a.b, flags: a.c.word))
            },
            CallEntry(307, "sendmmsg", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSendMany(a)
            },
            CallEntry(299, "recvmmsg", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callReceiveMany(a)
            },
        ]
    }
}

/// `struct msghdr` of recvmsg(2), 56 bytes; `struct mmsghdr` adds a length and padding.
private struct MessageHeader {
    static let size = 56, manySize: UInt64 = 64
    let name: UInt64, nameSize: UInt32, pieces: UInt64, pieceCount: UInt64
    let control: UInt64, controlSize: UInt64

    init(_ bytes: Bytes) {
        name = bytes.load64(0)
        nameSize = bytes.load32(8)
        pieces = bytes.load64(16)
        pieceCount = bytes.load64(24)
        control = bytes.load64(32)
        controlSize = bytes.load64(40)
    }
}

/// Control messages (cmsg(3)): a length with the 16 bytes of header, level, type, data; each
/// aligned to 8 bytes.
private enum Control {
    static let header = 16, longest: UInt64 = 20480
    static let level: Int32 = 1, rights: Int32 = 1, credentials: Int32 = 2
    /// SCM_MAX_FD of unix(7).
    static let mostFiles = 253

    static func aligned(_ size: Int) -> Int { (size + 7) & ~7 }
}

extension GuestThread {
    func piece(_ address: UInt64, _ count: UInt64) -> MessagePiece {
        MessagePiece(
            memory: memory.reference(address), count: Int(min(count, Transfer.maximumCount)))
    }

    func messagePieces(_ address: UInt64, count: UInt64) throws(Errno) -> [MessagePiece] {
        guard count <= 1024 else { throw .EMSGSIZE }
        return try vector(address, count: count).map { piece($0.address, $0.length) }
    }

    func callReceiveFrom(_ a: Arguments) throws(Errno) -> Int64 {
        let socket = try socket(a.a)
        var message = IncomingMessage(pieces: [piece(a.b, a.c)], flags: a.d.word)
        try checkReceive(message.flags)
        let count = try socket.receive(&message, self)
        server.sockets.release(message.files)
        if a.e != 0 { _ = try storeName(message.source ?? [], to: a.e, size: a.f) }
        return Int64(count)
    }

    /// There is no queue of errors: whoever reads it finds it empty (recv(2), MSG_ERRQUEUE).
    private func checkReceive(_ flags: UInt32) throws(Errno) {
        if flags & MessageFlags.errorQueue != 0 { throw .EAGAIN }
    }

    // MARK: Sending

    func sendMessage(_ socket: Socket, _ address: UInt64, flags: UInt32) throws(Errno) -> Int {
        let header = MessageHeader(try memory.read(address, count: MessageHeader.size))
        var message = OutgoingMessage(
            pieces: try messagePieces(header.pieces, count: header.pieceCount), flags: flags)
        if header.name != 0, header.nameSize > 0 {
            message.destination = try readName(header.name, UInt64(header.nameSize))
        }
        if header.control != 0, header.controlSize > 0 {
            guard header.controlSize <= Control.longest else { throw .ENOBUFS }
            let control = try memory.read(header.control, count: Int(header.controlSize))
            try parse(control, into: &message, socket)
        }
        return try socket.send(message, self)
    }

    private func parse(_ control: Bytes, into message: inout OutgoingMessage, _ socket: Socket)
        throws(Errno)
    {
        var place = 0
        while place + Control.header <= control.count {
            let size = control.load64(place)
            guard size >= UInt64(Control.header), size <= UInt64(control.count - place) else {
                throw .EINVAL
            }
            let end = place + Int(size)
            let data = place + Control.header
            if control.loadInt32(place + 8) == Control.level, socket.domain == .unix {
                switch control.loadInt32(place + 12) {
                case Control.rights:
                    for at in stride(from: data, to: end - 3, by: 4) {
                        message.files.append(
                            try process.descriptors.file(control.loadInt32(at)))
                    }
                case Control.credentials:
                    guard end - data == 12 else { throw .EINVAL }
                    message.credentials = try credentials(control, at: data)
                default: throw .EINVAL
                }
            } else {
                throw .EINVAL
            }
            place += Control.aligned(Int(size))
        }
        guard message.files.count <= Control.mostFiles else { throw .EINVAL }
        let limit = process.limits.openFiles
        let isTooMuch = UInt64(server.sockets.filesUnderWay + message.files.count) > limit
        // ETOOMANYREFS: descriptors in messages count, or messages would hold any number.
        if !message.files.isEmpty, isTooMuch { throw Errno(109) }
    }

    /// What a program says of itself must be true, unless it is the superuser's (unix(7)).
    private func credentials(_ bytes: Bytes, at place: Int) throws(Errno) -> SenderCredentials {
        let given = SenderCredentials(
            process: bytes.loadInt32(place), user: bytes.load32(place + 4),
            group: bytes.load32(place + 8))
        let own = process.identity
        if !own.isSuperuser {
            let users = [own.realUser, own.effectiveUser, own.savedUser]
            let groups = [own.realGroup, own.effectiveGroup, own.savedGroup]
            guard given.process == process.id, users.contains(given.user),
                groups.contains(given.group)
            else { throw .EPERM }
        } else if given.process != process.id, server.process(given.process) == nil {
            throw .ESRCH
        }
        return given
    }

    func callSendMany(_ a: Arguments) throws(Errno) -> Int64 {
        let socket = try socket(a.a)
        var sent: UInt64 = 0
        while sent < min(a.c & 0xFFFF_FFFF, 1024) {
            let address = a.b &+ sent &* MessageHeader.manySize
            do throws(Errno) {
                let count = try sendMessage(socket, address, flags: a.d.word)
                try memory.store32(
                    UInt32(truncatingIfNeeded: count), to: address &+ UInt64(MessageHeader.size))
            } catch {
                if sent > 0 { break }
                throw error
            }
            sent += 1
        }
        return Int64(sent)
    }

    // MARK: Receiving

    func receiveMessage(_ socket: Socket, _ address: UInt64, flags: UInt32) throws(Errno) -> Int {
        try checkReceive(flags)
        let header = MessageHeader(try memory.read(address, count: MessageHeader.size))
        var message = IncomingMessage(
            pieces: try messagePieces(header.pieces, count: header.pieceCount), flags: flags)
        let count = try socket.receive(&message, self)
        let control = controlBytes(&message, socket, room: header.controlSize)
        let source = message.source ?? []
        if header.name != 0 {
            try memory.write(Bytes(source.prefix(Int(min(header.nameSize, 128)))), to: header.name)
            try memory.store32(UInt32(truncatingIfNeeded: source.count), to: address &+ 8)
        }
        if header.control != 0 { try memory.write(control, to: header.control) }
        try memory.store64(UInt64(control.count), to: address &+ 40)
        try memory.store32(
            message.outputFlags | flags & MessageFlags.closeOnExec, to: address &+ 48)
        return count
    }

    /// Control messages for the receiver. What finds no room is dropped, and MSG_CTRUNC tells.
    private func controlBytes(_ message: inout IncomingMessage, _ socket: Socket, room: UInt64)
        -> Bytes
    {
        var writer = ByteWriter()
        let room = Int(truncatingIfNeeded: min(room, Control.longest))
        if socket.options.passesCredentials {
            if room >= Control.header + 12 {
                writer.put64(UInt64(Control.header + 12))
                writer.put32(Control.level)
                writer.put32(Control.credentials)
                writer.put((message.credentials ?? SenderCredentials(process: 0)).bytes)
                writer.zeros(min(4, room - writer.bytes.count))
            } else {
                message.outputFlags |= MessageFlags.controlCut
            }
        }
        if message.files.isEmpty { return writer.bytes }
        var descriptors: [Int32] = []
        let left = room - writer.bytes.count
        let places = left >= Control.header + 4 ? (left - Control.header) / 4 : 0
        for file in message.files.prefix(places) {
            guard
                let descriptor = try? process.descriptors.add(
                    file, closesOnExec: message.flags & MessageFlags.closeOnExec != 0,
                    limit: process.limits.openFiles)
            else { break }
            descriptors.append(descriptor)
        }
        if descriptors.count < message.files.count {
            message.outputFlags |= MessageFlags.controlCut
        }
        // The table holds uses of its own now.
        server.sockets.release(message.files)
        message.files = []
        if descriptors.isEmpty { return writer.bytes }
        writer.put64(UInt64(Control.header + descriptors.count * 4))
        writer.put32(Control.level)
        writer.put32(Control.rights)
        for descriptor in descriptors { writer.put32(descriptor) }
        let end = Control.aligned(writer.bytes.count)
        writer.zeros(max(0, min(end, room) - writer.bytes.count))
        return writer.bytes
    }

    func callReceiveMany(_ a: Arguments) throws(Errno) -> Int64 {
        let socket = try socket(a.a)
        let deadline = try duration(a.e, unit: 1).map { TimeRecord.deadline(after: $0) }
        var flags = a.d.word & ~MessageFlags.waitForOne
        var got: UInt64 = 0
        while got < min(a.c & 0xFFFF_FFFF, 1024) {
            let address = a.b &+ got &* MessageHeader.manySize
            do throws(Errno) {
                let count = try receiveMessage(socket, address, flags: flags)
                try memory.store32(
                    UInt32(truncatingIfNeeded: count), to: address &+ UInt64(MessageHeader.size))
            } catch {
                if got > 0 { break }
                throw error
            }
            got += 1
            if a.d.word & MessageFlags.waitForOne != 0 { flags |= MessageFlags.doNotWait }
            // As on Linux, the time is only looked at after a message has come.
            if let deadline, Native.monotonic() >= deadline { break }
        }
        return Int64(got)
    }
}

extension GuestThread {
    /// readv(2), writev(2): the pieces are one message.
    func socketVector(_ socket: Socket, _ a: Arguments, isWrite: Bool) throws(Errno) -> Int64 {
        let pieces = try vector(a.b, count: a.c).map { piece($0.address, $0.length) }
        if isWrite { return Int64(try socket.send(OutgoingMessage(pieces: pieces), self)) }
        var message = IncomingMessage(pieces: pieces)
        let count = try socket.receive(&message, self)
        server.sockets.release(message.files)
        return Int64(count)
    }
}
