/// A byte ring in eternal memory between the inside of the system and the outside
/// (Docs/decisions/0003-console-rings-in-the-store.md).
///
/// Positions are byte counts since the ring was made; they never wrap in practice. The inside owns
/// one pointer (`local`), the outside the other (`remote`). The kernel records `local` in each
/// version and copies it to `published` only when that version is committed; a restore sets `local`
/// and `published` back to the recorded value.
///
/// - Output ring: `local` = writer. The outside reads up to `published`, and says in `remote` how
///   far it has read.
/// - Input ring: `local` = reader. The outside writes, says in `remote` how far it has written, and
///   may overwrite only what lies before `published`.
///
/// Layout: header in page 0, each pointer in a cache line of its own; data from `dataOffset` on.
public enum Ring {
    public static let magic: UInt64 = 0x474E_4952_5645_5645  // "EVEVRING"
    public static let magicOffset: UInt64 = 0
    /// Bytes of data, a power of two.
    public static let capacityOffset: UInt64 = 8
    public static let localOffset: UInt64 = 64
    public static let publishedOffset: UInt64 = 128
    public static let remoteOffset: UInt64 = 192
    public static let dataOffset: UInt64 = 4096
}

/// Frames inside the console rings: one 8-byte word, length in bits 0–31 and kind in bits 32–39,
/// then the payload, padded to 8 bytes. Frames wrap at the end of the data area byte by byte. A
/// frame is written whole before the pointer moves.
public enum ConsoleFrame {
    /// From the inside.
    public enum Output: UInt8, Sendable {
        case standardOutput = 1
        case standardError = 2
        /// The first program ended: payload is its wait status as a shell shows it (u32: 0–255, 128
        /// + signal).
        case exit = 3
        /// A line of Evertree's own, for the CLI's standard error.
        case diagnostic = 4
    }
    /// From the outside.
    public enum Input: UInt8, Sendable {
        case standardInput = 1
        /// Standard input ended. Empty.
        case endOfInput = 2
        /// Terminal size: rows u16, columns u16.
        case windowSize = 3
        /// A signal number (u32) for the foreground processes (`evertree stop` sends 15).
        case signal = 4
    }
    /// Longest payload.
    public static let maximumPayload: UInt32 = 16384

    @inlinable public static func word(kind: UInt8, length: UInt32) -> UInt64 {
        UInt64(length) | UInt64(kind) << 32
    }
    @inlinable public static func length(_ word: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: word)
    }
    @inlinable public static func kind(_ word: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: word >> 32)
    }
    /// Bytes that a frame takes in the ring.
    @inlinable public static func paddedLength(_ length: UInt32) -> UInt64 {
        8 + (UInt64(length) + 7) / 8 * 8
    }
}

/// Frames inside the connection rings (numbers `outputRing` and `inputRing`): TCP connections of
/// published ports, multiplexed (Docs/decisions/0009-connections-in-rings.md). The header word and
/// the padding are `ConsoleFrame`'s; a payload starts with the connection's number (u64) unless said
/// otherwise.
///
/// A connection's number is the position of its `open` frame in the input ring: none is ever used
/// twice. Each side may send `window` bytes of data that the other has not yet granted again, so what
/// either must hold is bounded, and both take every frame out of their ring at once: a connection
/// that nobody reads holds up no other. Frames of a number that is not known any more are skipped.
public enum ConnectionFrame {
    public static let outputRing: UInt64 = 2
    public static let inputRing: UInt64 = 3
    /// Of each ring: a header and 256 KiB.
    public static let pages: UInt64 = 65
    /// Bytes of data that may be under way in each direction of a connection.
    public static let window: UInt32 = 65536
    /// Connections that may be open at a time.
    public static let maximumConnections = 4096

    /// From the inside.
    public enum Output: UInt8, Sendable, CaseIterable {
        /// Bytes of the stream.
        case data = 1
        /// No more data will come (shutdown(2)).
        case end = 2
        /// No more data will come and none is read. The connection is over.
        case close = 3
        /// The connection is reset, or was refused. It is over.
        case abort = 4
        /// A u32: so many bytes more may be sent.
        case window = 5
    }
    /// From the outside.
    public enum Input: UInt8, Sendable, CaseIterable {
        /// No payload: who held the other ends is gone, and all connections with it.
        case reset = 1
        /// After the number: port that is to be reached (u16), the client's port (u16), a u32 of 0,
        /// the client's address as IPv6 has it (two u64, the high one first).
        case open = 2
        case data = 3
        case end = 4
        /// The connection is reset. It is over.
        case abort = 5
        case window = 6
    }
    /// Bytes of an `open` frame's payload.
    public static let openLength: UInt32 = 32
    /// Most data in one frame.
    public static let maximumData = Int(ConsoleFrame.maximumPayload) - 8
}

/// The boot bundle: a cpio archive in "newc" form (cpio(5)), handed to QEMU as the initial RAM
/// disk. Its first entry is the first process's program; the second the boot specification. The
/// guest's files are in the store's image (`Image`); what else the archive holds is added to them.
public enum Bundle {
    /// Static ELF64 for the first process (the Linux server).
    public static let serverPath = ".evertree/server"
    /// NUL-terminated `key=value` entries: `program=` path in the guest, `arg=` (repeated, from
    /// argv[0] on), `env=` (repeated, `K=V`), `cwd=`, `hostname=`, `terminal=` (three digits 0/1:
    /// is fd 0, 1, 2 a terminal), `image=` (pages of the store's image, 0: there is none), `user=`,
    /// `group=` and `groups=` (repeated) in decimal.
    public static let specificationPath = ".evertree/boot"
}

/// One page written by the Linux server: a counter (u32) per Linux system call number that returned
/// ENOSYS, at byte offset 4 × number, numbers 0–511; numbers above are counted at 511. At 2048: u32
/// counters of all calls made, same order.
public enum ServerStatistics {
    public static let unknownOffset: UInt64 = 0
    public static let callsOffset: UInt64 = 2048
    public static let numbers = 512
}
