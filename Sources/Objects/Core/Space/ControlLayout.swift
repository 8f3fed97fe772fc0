import PersistentMemory

/// The control area of a space: header, root of the names, directory of slots, transaction log.
///
/// ```
/// 0       header: magic, version, directory entries, offset and bytes of the log, checksum
/// 256     root namespace: a table entry
/// 512     directory entries in use: a checked word
/// 4096    directory: 32 bytes a slot: ID low and high, capacity, checksum
/// then    the log (`LaneFormat`)
/// ```
///
/// Log records name a place by slot << 30 | offset, so a slot means the same object in every
/// process. Invariants
/// - An entry is durable before the count that covers it, and does not change until all members
///   have left and nothing of the log is unfinished.
/// - An object whose file is gone is in no record that recovery needs: a deletion retires the log
///   first.
struct ControlLayout: Equatable {
    /// "EVTSPC01", little endian.
    static let magic: UInt64 = 0x3130_4350_5354_5645
    static let version: UInt64 = 1
    static let root: UInt64 = 256
    static let count: UInt64 = 512
    static let directory: UInt64 = 4096

    var slots: UInt64
    var laneOffset: UInt64
    var laneBytes: UInt64

    init(slots: UInt64, bytes: UInt64) {
        self.slots = slots
        laneOffset = Self.laneOffset(slots)
        laneBytes = max(bytes, laneOffset) - laneOffset
    }

    static func laneOffset(_ slots: UInt64) -> UInt64 { (directory + slots * 32 + 4095) & ~4095 }

    var encoded: [UInt64] {
        let words = [Self.magic, Self.version, slots, laneOffset, laneBytes]
        return words + [CheckedWord.sum(words)]
    }

    init(_ words: [UInt64], bytes: UInt64) throws(ObjectError) {
        guard words[0] == Self.magic else { throw .damagedSpace("its magic number is missing") }
        guard words[5] == CheckedWord.sum(words.prefix(5)) else {
            throw .damagedSpace("its header fails its checksum")
        }
        guard words[1] == Self.version else {
            throw .damagedSpace(
                "it has format \(words[1]); this library reads format \(Self.version)")
        }
        let lane = Self.laneOffset(min(words[2], ObjectLayout.slots))
        guard words[2] <= ObjectLayout.slots, words[3] == lane,
            bytes >= lane + UInt64(LaneFormat.minimumBytes), words[4] == bytes - lane
        else {
            throw .damagedSpace("its header does not fit its \(bytes) bytes")
        }
        self.init(slots: words[2], bytes: bytes)
    }

    static func entry(_ slot: Int) -> UInt64 { directory + UInt64(slot) * 32 }

    /// The words of a directory entry.
    static func encode(_ id: ObjectID, _ capacity: UInt64, slot: Int) -> [UInt64] {
        let words = [id.low, id.high, capacity, UInt64(slot)]
        return Array(words.prefix(3)) + [CheckedWord.sum(words)]
    }
}
