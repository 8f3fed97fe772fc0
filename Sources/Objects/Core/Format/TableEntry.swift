/// An entry of an object's foreign object table: 32 bytes that say which object an index means.
///
/// Words: ID low and high, or for a name the offset of its bytes in the object and the number of
/// the resolver; flags in the low half and the references in the high half; the checksum of the
/// first two words and of the flags.
///
/// Invariant: an entry with `valid` was durable in full before the flag was stored, so none is ever
/// seen torn. One with `allocated` alone belongs to an insertion that is under way or was cut off.
public struct TableEntry: Equatable, Sendable {
    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let allocated = Flags(rawValue: 1)
        public static let valid = Flags(rawValue: 2)
        /// Given back: the place may be taken again.
        public static let free = Flags(rawValue: 4)
        /// A name, looked up when it is used.
        public static let name = Flags(rawValue: 8)
        /// The target lives as long as this object.
        public static let tie = Flags(rawValue: 16)
        public static let read = Flags(rawValue: 0x100)
        public static let write = Flags(rawValue: 0x200)
        public static let execute = Flags(rawValue: 0x400)
        public static let derive = Flags(rawValue: 0x800)
        /// What two entries must agree in to be one.
        static let meaning: Flags = [.name, .tie, .read, .write, .execute, .derive]
    }

    public var first: UInt64
    public var second: UInt64
    public var flags: Flags
    /// Pointers that use the entry, as the last `reclaim` counted them.
    public var references: UInt32

    public init(_ id: ObjectID, _ flags: Flags) {
        (first, second, self.flags, references) = (id.low, id.high, flags, 0)
    }

    public init(name offset: UInt64, resolver: UInt64, _ flags: Flags) {
        (first, second, self.flags, references) = (offset, resolver, flags.union(.name), 0)
    }

    public var id: ObjectID { ObjectID(high: second, low: first) }

    var flagsWord: UInt64 { UInt64(flags.rawValue) | UInt64(references) << 32 }

    /// Covers what a reader relies on: not the count, nor the flags that publish and give back.
    var check: UInt64 {
        CheckedWord.sum([first, second, UInt64(flags.intersection(.meaning).rawValue)])
    }

    /// Nil if no insertion got as far as `valid`, or it was given back.
    init?(_ words: (UInt64, UInt64, UInt64, UInt64), at index: Int, of holder: ObjectID)
        throws(ObjectError)
    {
        flags = Flags(rawValue: UInt32(truncatingIfNeeded: words.2))
        guard flags.contains(.valid) else { return nil }
        (first, second) = (words.0, words.1)
        references = UInt32(truncatingIfNeeded: words.2 >> 32)
        guard words.3 == check, !flags.contains(.free) else {
            throw .damaged(id: holder, "entry \(index) of its table fails its checksum")
        }
    }
}
