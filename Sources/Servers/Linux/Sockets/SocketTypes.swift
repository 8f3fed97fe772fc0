/// Address families that are here (socket(2)). Raw values are AF_*.
enum SocketDomain: UInt16 {
    case unix = 1
    case internet = 2
    case internet6 = 10
    case netlink = 16

    var isInternet: Bool { self == .internet || self == .internet6 }
}

/// Raw values are SOCK_*.
enum SocketKind: UInt32 {
    case stream = 1
    case datagram = 2
    case raw = 3
    case sequenced = 5
}

/// Flags of send(2) and recv(2).
enum MessageFlags {
    static let outOfBand: UInt32 = 1, peek: UInt32 = 2, controlCut: UInt32 = 8
    static let cut: UInt32 = 0x20, doNotWait: UInt32 = 0x40, waitAll: UInt32 = 0x100
    static let errorQueue: UInt32 = 0x2000, noSignal: UInt32 = 0x4000
    static let waitForOne: UInt32 = 0x10000, fastOpen: UInt32 = 0x2000_0000
    static let closeOnExec: UInt32 = 0x4000_0000
}

/// Who sent something, as `struct ucred` says it (unix(7)).
struct SenderCredentials: Equatable {
    var process: Int32 = 0, user: UInt32 = .max, group: UInt32 = .max

    var bytes: Bytes {
        var writer = ByteWriter(capacity: 12)
        writer.put32(process)
        writer.put32(user)
        writer.put32(group)
        return writer.bytes
    }
}

extension GuestProcess {
    var senderCredentials: SenderCredentials {
        SenderCredentials(
            process: id, user: identity.effectiveUser, group: identity.effectiveGroup)
    }
}

/// A piece of memory that a message is gathered from or scattered to.
struct MessagePiece {
    var memory: MemoryReference
    var count: Int
}

/// A walk along the pieces of a message.
struct PieceCursor {
    private let pieces: [MessagePiece]
    private var index = 0
    private var offset = 0
    /// Bytes that are still to be moved.
    private(set) var left: Int

    init(_ pieces: [MessagePiece]) {
        self.pieces = pieces
        left = pieces.reduce(0) { $0 + $1.count }
    }

    /// Moves up to `count` bytes to `base`; fewer when the pieces end or are bad.
    mutating func take(_ count: Int, to base: UnsafeMutableRawPointer) -> Int {
        move(count) { done, memory, part in
            Native.copy(to: MemoryReference(base + done), from: memory, length: part)
        }
    }

    /// Moves up to `count` bytes from `base`; fewer when the pieces end or are bad.
    mutating func put(_ count: Int, from base: UnsafeRawPointer) -> Int {
        move(count) { done, memory, part in
            Native.copy(to: memory, from: MemoryReference(base + done), length: part)
        }
    }

    private mutating func move(
        _ count: Int, _ copy: (Int, MemoryReference, UInt64) -> UInt64
    ) -> Int {
        var done = 0
        while done < count, index < pieces.count {
            let piece = pieces[index]
            let part = min(count - done, piece.count - offset)
            if part > 0 {
                let moved = copy(
                    done, piece.memory.advanced(by: UInt64(offset)), UInt64(part))
                done += Int(truncatingIfNeeded: moved)
                offset += Int(truncatingIfNeeded: moved)
                if moved < UInt64(part) { break }
            }
            if offset == piece.count {
                index += 1
                offset = 0
            }
        }
        left -= done
        return done
    }
}

/// What send(2) and its kin bring.
struct OutgoingMessage {
    var pieces: [MessagePiece]
    var flags: UInt32 = 0
    /// A `struct sockaddr` as the program gave it; nil: none.
    var destination: Bytes?
    var files: [OpenFile] = []
    /// From SCM_CREDENTIALS; nil: the sender's own.
    var credentials: SenderCredentials?

    var count: Int { pieces.reduce(0) { $0 + $1.count } }
}

/// What recv(2) and its kin want, and what they got.
struct IncomingMessage {
    var pieces: [MessagePiece]
    var flags: UInt32 = 0
    /// A `struct sockaddr`; nil where the call does not tell (a connected TCP socket).
    var source: Bytes?
    /// Each `use`d once for the receiver.
    var files: [OpenFile] = []
    var credentials: SenderCredentials?
    var outputFlags: UInt32 = 0

    var isPeek: Bool { flags & MessageFlags.peek != 0 }
}
