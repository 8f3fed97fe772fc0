/// Where things lie in an object (`Docs/object-format.md`).
///
/// ```
/// 0                    null page: no data; an offset in it is no reference
/// 4096                 the base: the object's root value; data grows up from here
/// ...
/// capacity - 4096 - 32 i   entry i of the foreign object table, from 1; the table grows down
/// capacity - 4096      metadata page
/// ```
///
/// An object is mapped at a multiple of 1 GiB (a slot), so the base of the object that holds a
/// pointer follows from the pointer's own address. Its file is sparse.
public enum ObjectLayout {
    /// "EVTOBJ01", little endian.
    public static let magic: UInt64 = 0x3130_4A42_4F54_5645
    public static let version: UInt64 = 1

    public static let slotShift: UInt64 = 30
    public static let slotBytes: UInt64 = 1 << slotShift
    public static let slotMask: UInt64 = slotBytes - 1
    /// The slots that one space may have mapped. One half as far again above them lie, slot by
    /// slot, the process's translations of table entries.
    public static let slots: UInt64 = 4096
    /// From an object to its translations, in address space.
    public static let translationDistance: UInt64 = slots << slotShift

    public static let pageBytes: UInt64 = 4096
    public static let base: UInt64 = 4096
    public static let entryBytes: UInt64 = 32
    /// Index 0 means the object itself.
    public static let mostEntries = 65_535
    /// Null page, one page of data, one of table, metadata.
    public static let leastCapacity: UInt64 = 4 * pageBytes

    /// Places in the metadata page, after the header's 128 bytes: checked words.
    public enum Word {
        public static let dataEnd: UInt64 = 128
        public static let state: UInt64 = 136
        public static let ties: UInt64 = 144
        /// Heads of lists of free cells, one for each size class.
        public static let freeLists: UInt64 = 1024
    }

    /// Whether an object may be this long: whole pages, within a slot.
    public static func isCapacity(_ bytes: UInt64) -> Bool {
        bytes >= leastCapacity && bytes <= slotBytes && bytes % pageBytes == 0
    }

    /// Where entry `index` of the table starts.
    @inlinable public static func entry(_ index: Int, capacity: UInt64) -> UInt64 {
        capacity &- pageBytes &- UInt64(index) &* entryBytes
    }
}

/// What an object allows, unless a capability says otherwise, and how it is named. Part of the ID.
public struct ObjectFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The contents never change and are part of the ID.
    public static let immutable = ObjectFlags(rawValue: 1)
    /// Stays until it is deleted, whether or not anything leads to it.
    public static let kept = ObjectFlags(rawValue: 2)
    /// Ends when its space has been closed by all that use it.
    public static let volatile = ObjectFlags(rawValue: 4)
    public static let read = ObjectFlags(rawValue: 0x100)
    public static let write = ObjectFlags(rawValue: 0x200)
    public static let execute = ObjectFlags(rawValue: 0x400)
    public static let derive = ObjectFlags(rawValue: 0x800)
}

/// How far an object has come.
public enum ObjectState: UInt64, Sendable {
    /// Made by a transaction that has not committed.
    case provisional = 0
    case live = 1
    /// Deleted, kept by what it is tied to.
    case deleting = 2
    case deleted = 3
}

/// The part of the metadata that never changes: 16 words at the start of the page, the last a
/// checksum.
public struct ObjectHeader: Sendable, Equatable {
    public var nonce: ObjectID
    public var key = ObjectID.none
    public var flags: ObjectFlags
    public var capacity: UInt64
    /// The type of the value at the base: its fingerprint, size, and up to 40 bytes of its name.
    public var fingerprint: UInt64 = 0
    public var baseBytes: UInt64 = 0
    public var baseType = ""

    public static let words = 16

    public init(nonce: ObjectID, flags: ObjectFlags, capacity: UInt64) {
        (self.nonce, self.flags, self.capacity) = (nonce, flags, capacity)
    }

    public func encoded() -> [UInt64] {
        var words = [
            ObjectLayout.magic, ObjectLayout.version, flags.rawValue, nonce.low, nonce.high,
            key.low, key.high, capacity, fingerprint, baseBytes,
        ]
        var name = [UInt64](repeating: 0, count: 5)
        name.withUnsafeMutableBytes { bytes in
            for (index, byte) in baseType.utf8.prefix(40).enumerated() { bytes[index] = byte }
        }
        words += name
        words.append(CheckedWord.sum(words))
        return words
    }

    /// - Parameter id: for messages.
    public init(_ words: [UInt64], of id: ObjectID) throws(ObjectError) {
        guard words[0] == ObjectLayout.magic else {
            throw .notAnObject(id: id, found: words[0])
        }
        guard words[15] == CheckedWord.sum(words.prefix(15)) else {
            throw .damaged(id: id, "the header fails its checksum")
        }
        guard words[1] == ObjectLayout.version else {
            throw .otherFormat(id: id, found: words[1], supported: ObjectLayout.version)
        }
        flags = ObjectFlags(rawValue: words[2])
        nonce = ObjectID(high: words[4], low: words[3])
        key = ObjectID(high: words[6], low: words[5])
        capacity = words[7]
        (fingerprint, baseBytes) = (words[8], words[9])
        baseType = Array(words[10..<15]).withUnsafeBytes { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard ObjectLayout.isCapacity(capacity) else {
            throw .damaged(id: id, "it claims a capacity of \(capacity) bytes")
        }
    }
}
