/// An entry of an object's foreign object table: 32 bytes that say which object an index means.
///
/// Words: ID low and high, or for a name the offset of its bytes in the object and the number of
/// the resolver; state (8 bits), flags (24), references (32); the checksum of the first two words
/// and the flags.
///
/// Invariant: an entry in state `valid` was durable in full before that state was stored, so none is
/// ever seen torn. A `claimed` one belongs to an insertion that is under way or was cut off.
public struct TableEntry: Equatable, Sendable {
    /// How far an entry has come. One flipped bit makes none of these another.
    public enum State: UInt8, Sendable {
        case unused = 0
        case claimed = 0x11
        case valid = 0x96
        /// Given back: the place may be taken again.
        case free = 0x6D
    }

    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let read = Flags(rawValue: 0x100)
        public static let write = Flags(rawValue: 0x200)
        public static let execute = Flags(rawValue: 0x400)
        public static let derive = Flags(rawValue: 0x800)
        /// A name, looked up when it is used.
        public static let name = Flags(rawValue: 0x1000)
        /// The target lives as long as this object.
        public static let tie = Flags(rawValue: 0x2000)
    }

    public var first: UInt64
    public var second: UInt64
    public var flags: Flags
    /// Pointers that use the entry, as the last `collect` counted them. Of a tie: `tied`, or 0 if it
    /// ties nothing, since its transaction failed or the object is a copy.
    public var references: UInt32
    /// No flipped bit makes it 0.
    static let tied = UInt32.max

    /// The target counts this object among those that it lives as long as.
    public var isTied: Bool { flags.contains(.tie) && references == Self.tied }

    public init(_ id: ObjectID, _ flags: Flags) {
        (first, second, self.flags, references) = (id.low, id.high, flags, 0)
    }

    public init(name offset: UInt64, resolver: UInt64, _ flags: Flags) {
        (first, second, self.flags, references) = (offset, resolver, flags.union(.name), 0)
    }

    public var id: ObjectID { ObjectID(high: second, low: first) }

    func word(_ state: State) -> UInt64 {
        UInt64(state.rawValue) | UInt64(flags.rawValue) | UInt64(references) << 32
    }

    /// Covers what a reader relies on: not the state, nor the count.
    var check: UInt64 { CheckedWord.sum([first, second, UInt64(flags.rawValue)]) }

    static func state(_ word: UInt64, at index: Int, of holder: ObjectID) throws(ObjectError)
        -> State
    {
        guard let state = State(rawValue: UInt8(truncatingIfNeeded: word)) else {
            throw .damaged(id: holder, "entry \(index) of its table is in no state")
        }
        return state
    }

    /// Nil if no insertion got as far as `valid`, or it was given back.
    init?(_ words: (UInt64, UInt64, UInt64, UInt64), at index: Int, of holder: ObjectID)
        throws(ObjectError)
    {
        guard try Self.state(words.2, at: index, of: holder) == .valid else { return nil }
        flags = Flags(rawValue: UInt32(truncatingIfNeeded: words.2) & ~0xFF)
        (first, second) = (words.0, words.1)
        references = UInt32(truncatingIfNeeded: words.2 >> 32)
        guard words.3 == check else {
            throw .damaged(id: holder, "entry \(index) of its table fails its checksum")
        }
        guard !flags.contains(.tie) || references == 0 || references == Self.tied else {
            throw .damaged(id: holder, "entry \(index) of its table ties and does not")
        }
    }
}
