import ABI
import CHostKit
import Glibc

/// One client's connection: the host's socket, and how far either direction has come.
///
/// Invariants: at most a window of bytes is in `outgoing`, and at most a window of what was read of
/// the socket is not yet granted again by the inside.
final class HostConnection {
    /// What follows the bytes in `outgoing`.
    enum Ending { case none, end, close }

    let number: UInt64
    private(set) var socket: Int32
    /// Something came and may not all be read yet.
    var isReadable = true
    private var isWritable = true
    private var outgoing: [UInt8] = []
    private var outgoingStart = 0
    private var ending = Ending.none
    private var isEndSaid = false
    /// Bytes that may still be sent inside.
    var credit = ConnectionFrame.window
    /// Bytes that the socket took since the last grant.
    private(set) var delivered: UInt32 = 0
    /// Nothing more comes from the client.
    var hasEnded = false
    /// The client's end, or the end of the whole connection, is to be said inside.
    var owesEnd = false
    var owesAbort = false
    /// In the publisher's queues.
    var isSpeaking = false
    var isReading = false

    init(number: UInt64, socket: Int32) {
        self.number = number
        self.socket = socket
    }

    var isClosed: Bool { socket < 0 }
    var unsentCount: Int { outgoing.count - outgoingStart }
    var owesGrant: Bool { delivered >= ConnectionFrame.window / 2 && !isClosed }
    var hasToSay: Bool { owesEnd || owesAbort || owesGrant }

    /// The inside sent bytes. False when they are more than was granted.
    func send(_ bytes: [UInt8]) -> Bool {
        guard ending == .none, unsentCount + Int(delivered) + bytes.count <= ConnectionFrame.window
        else { return false }
        outgoing += bytes
        flush()
        return true
    }

    func end(_ ending: Ending) {
        self.ending = ending
        flush()
    }

    func becameWritable() {
        isWritable = true
        flush()
    }

    /// The socket has an error. What came before it is read first.
    func failed() {
        if hasEnded, !isClosed { fail() }
    }

    /// Writes what the socket takes now, then what follows.
    func flush() {
        while !isClosed, isWritable, unsentCount > 0 {
            let count = outgoing.withUnsafeBytes {
                Glibc.send(
                    socket, $0.baseAddress?.advanced(by: outgoingStart), unsentCount,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                outgoingStart += count
                delivered += UInt32(count)
            } else if count < 0, errno == EAGAIN || errno == EWOULDBLOCK {
                isWritable = false
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return fail()
            }
        }
        if isClosed || unsentCount > 0 {
            if outgoingStart > 65536 { compact() }
            return
        }
        compact()
        switch ending {
        case .none: break
        case .end:
            if !isEndSaid { shutdown(socket, Int32(SHUT_WR)) }
            isEndSaid = true
        case .close: close(isOrderly: true)
        }
    }

    private func compact() {
        outgoing.removeFirst(outgoingStart)
        outgoingStart = 0
        // A connection that has nothing to send holds no memory.
        if outgoing.isEmpty { outgoing = [] }
    }

    /// Reads at most `limit` bytes; nil: nothing now, or no more at all (`hasEnded`, `isClosed`).
    func receive(limit: Int) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            var result: Int
            repeat {
                result = recv(socket, buffer.baseAddress, limit, 0)
            } while result < 0
                && errno == EINTR
            if result < 0 {
                isReadable = false
                if errno != EAGAIN && errno != EWOULDBLOCK { fail() }
            } else if result == 0 {
                isReadable = false
                hasEnded = true
                owesEnd = true
            }
            count = max(result, 0)
        }
        return bytes.isEmpty ? nil : bytes
    }

    /// What was granted has been said.
    func saidGrant() { delivered = 0 }

    /// The client is gone: the inside must know.
    private func fail() {
        owesAbort = true
        close(isOrderly: false)
    }

    func close(isOrderly: Bool) {
        if isClosed { return }
        if isOrderly { hostkit_orderly(socket) }
        Glibc.close(socket)
        socket = -1
        outgoing = []
        outgoingStart = 0
    }

    deinit { close(isOrderly: false) }
}
