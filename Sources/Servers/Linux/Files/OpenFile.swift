import ABI

/// Where a read puts or a write takes its bytes.
struct Transfer {
    var memory: MemoryReference
    var count: UInt64
    /// pread(2), pwrite(2): the file's own offset is not used.
    var offset: UInt64?

    /// Linux moves at most this much in one call (read(2)).
    static let maximumCount: UInt64 = 0x7FFF_F000
}

/// Bits of poll(2), the same as epoll(7)'s.
enum PollEvents {
    static let input: UInt32 = 1, urgent: UInt32 = 2, output: UInt32 = 4, error: UInt32 = 8
    static let hangup: UInt32 = 0x10, invalid: UInt32 = 0x20, readNormal: UInt32 = 0x40,
        writeNormal: UInt32 = 0x100
    static let writeBand: UInt32 = 0x200, readHangup: UInt32 = 0x2000
    static let readable: UInt32 = input | readNormal, writable: UInt32 = output | writeNormal
    static let always: UInt32 = error | hangup | invalid
    static let regular: UInt32 = input | output | readNormal | writeNormal
}

/// Flags of open(2) that concern the open file, not the path (the others are in FileSystem).
extension OpenFlags {
    static let noTerminal: UInt32 = 0o400, nonBlocking: UInt32 = 0o4000,
        asynchronous: UInt32 = 0o20000
    static let closeOnExec: UInt32 = 0o2000000, path: UInt32 = pathOnly,
        largeFile: UInt32 = 0o100000
    /// What F_SETFL may change.
    static let changeable: UInt32 = append | nonBlocking | asynchronous | 0o40000 | noAccessTime
}

/// An open file description (open(2)): what descriptors point to. Subclasses are the kinds of file.
class OpenFile {
    let server: Server
    var flags: UInt32
    let inode: Inode?
    /// Absolute name at the time of opening, or such as `pipe:[7]`.
    let path: Bytes
    var offset: UInt64 = 0
    var owner: Int32 = 0
    private(set) var useCount = 0
    /// Of the epoll files that watch this one.
    var interests: [EpollInterest] = []

    /// Takes over one retained use of `inode`.
    init(server: Server, inode: Inode?, path: Bytes, flags: UInt32) {
        self.server = server
        self.inode = inode
        self.path = path
        self.flags = flags
    }

    var isReadable: Bool {
        flags & OpenFlags.accessMode != OpenFlags.writeOnly && flags & OpenFlags.path == 0
    }
    var isWritable: Bool { flags & OpenFlags.accessMode != 0 && flags & OpenFlags.path == 0 }
    var isNonBlocking: Bool { flags & OpenFlags.nonBlocking != 0 }

    /// One more descriptor refers to this.
    final func use() { useCount += 1 }
    /// One fewer; the last one closes.
    final func drop() {
        useCount -= 1
        if useCount > 0 { return }
        server.locks.release(self)
        for interest in interests { interest.epoll?.forget(interest) }
        server.recordLocks.release(ObjectIdentifier(self), on: inode)
        close()
        if let inode { server.fileSystem.release(inode) }
    }

    /// `queues` has other ones now: epoll files watch those.
    final func queuesChanged() {
        for interest in interests { interest.resubscribe() }
    }

    // MARK: What kinds of file differ in

    func close() {}
    func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 { throw .EINVAL }
    func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        throw .EINVAL
    }
    func seek(_ offset: Int64, whence: UInt32) throws(Errno) -> UInt64 { throw .ESPIPE }
    func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread) throws(Errno)
        -> Int64
    { throw .ENOTTY }
    /// What could be done now without waiting.
    var readiness: UInt32 { PollEvents.regular }
    /// What to wait on for a change of readiness.
    var queues: [WaitQueue] { [] }
    var isSeekable: Bool { false }
    var terminal: Terminal? { nil }
    /// For mmap(2); EACCES or ENODEV otherwise.
    var mappableContents: FileContents? { nil }
}

extension Timestamp {
    /// From nanoseconds since 1970.
    init(_ nanoseconds: UInt64) {
        self.init(
            seconds: Int64(truncatingIfNeeded: nanoseconds / 1_000_000_000),
            nanoseconds: UInt32(truncatingIfNeeded: nanoseconds % 1_000_000_000))
    }
}
