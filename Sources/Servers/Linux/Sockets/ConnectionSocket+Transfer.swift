import ABI

/// Sending and receiving on connections (send(2), recv(2), unix(7), tcp(7)).
extension ConnectionSocket {
    private var keepsMessages: Bool { kind == .sequenced }

    func sendOnConnection(_ message: OutgoingMessage, _ thread: GuestThread) throws(Errno) -> Int {
        let deadline = deadline(options.sendTimeout)
        while state == .connecting {
            if doesNotWait(message.flags) { throw .EAGAIN }
            try wait(thread, until: deadline)
        }
        if domain == .unix, state != .connected { throw .ENOTCONN }
        if domain.isInternet, let error = takeError() {
            throw error == .EPIPE ? brokenPipe(message.flags, thread) : error
        }
        if keepsMessages, message.count > options.sendBuffer - 32 { throw .EMSGSIZE }
        server.sockets.send(message.files)
        var isGiven = false
        defer { if !isGiven { server.sockets.drop(message.files) } }
        var cursor = PieceCursor(message.pieces)
        let credentials = message.credentials ?? thread.process.senderCredentials
        let total = cursor.left
        while true {
            if isSendShut || (peer == nil && domain == .unix) {
                if cursor.left < total { break }
                throw brokenPipe(message.flags, thread)
            }
            guard let peer else {
                // As a TCP host answers: what is sent to nobody is taken, and resets.
                guard domain.isInternet, state == .connected else {
                    throw brokenPipe(message.flags, thread)
                }
                reset(.EPIPE)
                return total
            }
            if total == 0, !keepsMessages { return 0 }
            if keepsMessages {
                if room < max(total, 1) {
                    try waitForRoom(message.flags, deadline, thread)
                    continue
                }
                let segment = try gather(message, thread)
                isGiven = true
                peer.received.append(segment)
                peer.changed(PollEvents.readable)
                return total
            }
            if room == 0 {
                do throws(Errno) {
                    try waitForRoom(message.flags, deadline, thread)
                } catch {
                    if cursor.left < total { break }
                    throw error
                }
                continue
            }
            let files = isGiven ? [] : message.files
            guard
                let moved = peer.received.append(
                    &cursor, limit: room, credentials, files: files)
            else {
                if cursor.left < total { break }
                throw .EFAULT
            }
            if moved > 0 { isGiven = true }
            peer.changed(PollEvents.readable)
            if cursor.left == 0 { break }
        }
        return total - cursor.left
    }

    private func waitForRoom(_ flags: UInt32, _ deadline: UInt64, _ thread: GuestThread)
        throws(Errno)
    {
        if doesNotWait(flags) { throw .EAGAIN }
        try wait(thread, until: deadline)
    }

    func receiveOnConnection(_ message: inout IncomingMessage, _ thread: GuestThread)
        throws(Errno) -> Int
    {
        if state == .listening || state == .idle {
            if let error = takeError() { throw error }
            throw domain == .unix && kind == .stream ? .EINVAL : .ENOTCONN
        }
        if message.flags & MessageFlags.outOfBand != 0 {
            throw domain == .unix ? .EOPNOTSUPP : .EINVAL
        }
        let deadline = deadline(options.receiveTimeout)
        let wanted = PieceCursor(message.pieces).left
        var cursor = PieceCursor(message.pieces)
        while true {
            if keepsMessages, !received.isEmpty {
                let moved = try takeMessage(&message)
                message.source = peerNameOrNone
                peerMayWrite()
                return moved
            }
            if !received.isEmpty, wanted > 0 {
                let isWhole = try takeBytes(&cursor, &message)
                peerMayWrite()
                let done = wanted - cursor.left
                let waitsForAll = message.flags & MessageFlags.waitAll != 0 && !message.isPeek
                let least = waitsForAll ? wanted : min(options.lowWater, wanted)
                if isWhole || done >= least { return done }
            }
            let done = wanted - cursor.left
            if let ended = try end(done, wanted) { return ended }
            if doesNotWait(message.flags) {
                if done > 0 { return done }
                throw .EAGAIN
            }
            do throws(Errno) {
                try wait(thread, until: deadline)
            } catch {
                if done > 0 { return done }
                throw error
            }
        }
    }

    /// What a receiver gets that finds no bytes and must not wait for any; nil: it may wait.
    private func end(_ done: Int, _ wanted: Int) throws(Errno) -> Int? {
        if done > 0, pendingError != nil || isEnded || isReceiveShut || peer == nil { return done }
        if isEnded && domain.isInternet { return 0 }
        if let error = takeError() { throw error }
        if isEnded || isReceiveShut { return 0 }
        if state == .closed { throw .ENOTCONN }
        return wanted == 0 ? 0 : nil
    }

    /// Copies bytes of a stream out. True when the call must return with what it has: descriptors
    /// came along, the next bytes are of another sender, or this was a look.
    private func takeBytes(_ cursor: inout PieceCursor, _ message: inout IncomingMessage)
        throws(Errno) -> Bool
    {
        var index = 0
        let isDivided = options.passesCredentials
        while cursor.left > 0, let segment = message.isPeek ? received[index] : received.first {
            if let known = message.credentials, isDivided, known != segment.credentials {
                return true
            }
            let part = min(cursor.left, segment.count)
            let moved = cursor.put(part, from: segment.base + segment.start)
            if moved == 0 { throw .EFAULT }
            message.credentials = segment.credentials
            let files = segment.files
            message.files = files
            if message.isPeek {
                for file in files { file.use() }
                index += 1
            } else {
                server.sockets.arrived(files)
                segment.files = []
                received.consume(moved)
            }
            if !files.isEmpty || moved < part { return true }
        }
        return message.isPeek
    }

    /// After reading: the other end has room again.
    private func peerMayWrite() { peer?.peerHasRead() }

    private var peerNameOrNone: Bytes? { try? peerName() }

    var connectionReadiness: UInt32 {
        if state == .listening { return pending.isEmpty ? 0 : PollEvents.readable }
        var events: UInt32 = pendingError != nil ? PollEvents.error : 0
        let hasEnded = isReceiveShut || isEnded
        if isFinished || state == .closed || state == .idle { events |= PollEvents.hangup }
        if hasEnded { events |= PollEvents.readable | PollEvents.readHangup }
        if !received.isEmpty, received.byteCount >= options.lowWater || keepsMessages {
            events |= PollEvents.readable
        }
        if state != .connecting, isSendShut || peer == nil || isWritableNow {
            events |= PollEvents.writable
            if domain == .unix { events |= PollEvents.writeBand }
        }
        return events
    }
}
