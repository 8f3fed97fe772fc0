import CPersistentMemory

/// A transaction lane as it lies in persistent memory.
///
/// ```
/// +0     8 commit words, one to a cache line: generation << 16 | check; the largest valid one counts
/// +512   log: the transaction of generation g starts at (g mod 16) * 512
/// ```
///
/// Log blocks, 8-byte words; `tag` = CRC32C << 32 | low half of the generation; the CRC covers the
/// lane's index, the whole generation, the descriptor and all that follows.
///
/// | block     | words                                             | meaning                                        |
/// |-----------|---------------------------------------------------|------------------------------------------------|
/// | undo      | tag, offset \| words << 48, old words             | one per range, packed                          |
/// | link      | tag, offset \| 0xFFFF << 48, bytes                | the log goes on in another block of the heap   |
/// | redo      | tag, count \| 0xFFFE << 48, (offset, word) ...    | a whole transaction; valid means committed     |
/// | redo far  | tag, count \| 0xFFFD << 48, offset, (in the heap) | the same, too long for the lane                |
/// | journal   | tag, count \| 0xFFFC << 48, (offset, word) ...    | format 2's journal: replayed, not written      |
/// | runs      | tag, words \| 0xFFFB << 48, (offset, n, n words)  | all that a transaction did (`LogLane+Journal`) |
/// | runs far  | tag, words \| 0xFFFA << 48, offset, (in the heap) | the same, too long for half a log              |
///
/// Invariants
/// 1. A commit word c says: every transaction of generation <= c is finished, its effects or its
///    undoing durable.
/// 2. Redo blocks of generations > c are committed. Of these only the last two can be needed: the
///    fence that commits g orders the home writes of g-1. Before and after a block longer than one
///    start (512 bytes), and before an undo log, a commit word is written: such a block may
///    overwrite its neighbours, and then a missing block must not make recovery take an older one
///    for the last.
/// 3. Undo records count only with generation c' + 1, where c' is the larger of c and the last redo
///    block.
/// 4. In place of 2, where fences wait for a disk: blocks of runs, all since the commit word, from
///    the start of a half of the log. There undo writes no records.
/// 5. A start is used again after 16 generations, a commit line after 8: on processors whose CLWB
///    drops the line, writing the same line again at once costs double.
public enum LaneFormat {
    public static let commitSlots: UInt64 = 8
    public static let logOffset: UInt64 = 512
    public static let starts: UInt64 = 16
    public static let startBytes: UInt64 = 512
    /// The smallest lane: all starts, and room behind the last.
    public static let minimumBytes = 512 + 17 * 512

    /// Words of a redo block that fits one start.
    static let shortBlockWords = 31

    public static let linkMark: UInt64 = 0xFFFF
    public static let redoMark: UInt64 = 0xFFFE
    public static let farRedoMark: UInt64 = 0xFFFD
    public static let journalMark: UInt64 = 0xFFFC
    public static let runsMark: UInt64 = 0xFFFB
    public static let farRunsMark: UInt64 = 0xFFFA
    /// Longer ranges are logged in pieces.
    public static let maximumRecordWords = 0x7FFF

    public static let offsetMask: UInt64 = 0x0000_FFFF_FFFF_FFFF

    @inlinable public static func start(of generation: UInt64) -> UInt64 {
        logOffset &+ (generation & (starts - 1)) &* startBytes
    }

    @inlinable public static func commitWord(_ generation: UInt64) -> UInt64 {
        generation &<< 16 | check(generation)
    }

    @inlinable static func check(_ generation: UInt64) -> UInt64 {
        pm_crc32c(0x4556, generation) & 0xFFFF
    }

    /// The generation in a commit word; nil when the word is damaged. An unused slot is generation
    /// 0.
    static func generation(inCommitWord word: UInt64) -> UInt64? {
        if word == 0 { return 0 }
        let generation = word >> 16
        return check(generation) == word & 0xFFFF ? generation : nil
    }

    /// Where the checksum of a block starts: no lane's or generation's block can pass for
    /// another's.
    @inlinable public static func seed(lane: Int, generation: UInt64) -> UInt64 {
        pm_crc32c(UInt64(truncatingIfNeeded: lane) &+ 1, generation)
    }

    @inlinable public static func tag(_ crc: UInt64, _ generation: UInt64) -> UInt64 {
        crc &<< 32 | generation & 0xFFFF_FFFF
    }
}

/// How a transaction keeps the old state until it commits.
public enum LogMode: UInt8, Sendable {
    /// Old values are logged and fenced before the first store to a range; stores go home at once.
    /// Reads cost nothing. Three fences, if the ranges are announced together.
    case undo
    /// New values are gathered in volatile memory and written home after the log is durable: one
    /// fence, two if objects were allocated. Reads inside the transaction look at the gathered
    /// words first.
    case redo
    /// No log: stores go home at once, and the programmer makes them durable.
    case direct
}

/// A range of bytes in a region.
public struct LoggedRange: BitwiseCopyable {
    public var offset: UInt64
    public var length: Int
    /// Undo: where the old words lie.
    public var logged: UInt64
    @inlinable public init(offset: UInt64, length: Int, logged: UInt64 = 0) {
        self.offset = offset
        self.length = length
        self.logged = logged
    }
}

/// One word of a redo transaction.
public struct LoggedWord: BitwiseCopyable {
    public var offset: UInt64
    public var value: UInt64
    @inlinable public init(offset: UInt64, value: UInt64) {
        self.offset = offset
        self.value = value
    }
}
