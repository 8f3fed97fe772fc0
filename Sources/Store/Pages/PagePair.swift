import ABI

/// The two frames of a page, each with the version in which its content was born. 32 bytes in a
/// leaf of a page tree: born₀, frame₀, born₁, frame₁, each a checked word.
///
/// **The rule** (`restoreChoice`): the content of a page at version G is in the entry with the
/// greatest valid `born` up to G. Born is 0 for an entry that is empty; frame 0 with a born version
/// is a hole: zeros from that version on.
///
/// Order of a copy-on-write, which keeps the rule true at every instant: copy the newest frame into
/// the other; then other.born := newest.born; then newest.born := the building version; then the
/// page may be written. Each step is durable before the next. A tie means two equal copies.
/// (TreeSLS keeps different cases for backups, runtime pages and migrated pages; here one rule
/// serves all, and a restore copies nothing.)
public struct PagePair: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        public var born: Version
        public var frame: FrameNumber
        @inlinable public init(born: Version, frame: FrameNumber) {
            self.born = born
            self.frame = frame
        }
        public static let empty = Entry(born: .never, frame: .none)
    }
    public var first: Entry
    public var second: Entry
    @inlinable public init(first: Entry, second: Entry) {
        self.first = first
        self.second = second
    }

    public static let byteCount: UInt64 = 32
    @inlinable public subscript(index: Int) -> Entry { index == 0 ? first : second }
}

/// Which entry of a pair holds a page's content at `limit` (a committed version, or the one being
/// built): 0 or 1, or nil when the page does not exist there. Pure; tested over its whole table.
@inlinable public func restoreChoice(
    _ pair: PagePair, at limit: Version, history: borrowing History
) -> Int? {
    let first = validBorn(pair.first.born, at: limit, history: history)
    let second = validBorn(pair.second.born, at: limit, history: history)
    if first == .never && second == .never { return nil }
    return first >= second ? 0 : 1
}

/// `born` if it counts at `limit`, else "never".
@inlinable public func validBorn(_ born: Version, at limit: Version, history: borrowing History)
    -> Version
{
    if born > limit { return .never }
    return history.isAborted(born) ? .never : born
}
