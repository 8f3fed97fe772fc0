import ABI

/// Something that `StoreChecker` met.
public enum StoreFinding: Equatable, Sendable {
    /// The store cannot be opened at all.
    case unreadable(StoreError)
    /// A superblock copy fails its checksum; the other one is good.
    case superblockCopy(copy: Int)
    /// A copy of a commit or history slot is not good, while the other one is.
    case commitCopy(slot: Int, copy: Int)
    case historyCopy(slot: Int, copy: Int)
    /// A word of a record table fails its check or names an impossible frame.
    case recordTable(large: Bool, offset: UInt64)
    /// A live record fails its check.
    case record(index: UInt32)
    /// The records' versions do not add up to what the commit record says: one of them is not the
    /// newest.
    case recordSum
    /// A PMO's record has a root, depth or length that cannot be.
    case pmo(index: UInt32)
    /// A word of a page tree's inner node.
    case node(owner: ObjectID, offset: UInt64)
    /// A word of a page pair.
    case pair(owner: ObjectID, page: UInt64)
    /// Content beyond the PMO's length.
    case pageBeyondEnd(owner: ObjectID, page: UInt64)
    /// A stamp fails its check.
    case stamp(frame: FrameNumber)
    /// A live frame's stamp names another use of it.
    case wrongStamp(frame: FrameNumber)
    /// Two owners use one frame.
    case frameUsedTwice(frame: FrameNumber)
    /// The commit record's count of promised frames is not what the tables say.
    case promised(recorded: UInt64, counted: UInt64)
    /// The versions of a PMO's pages do not add up to what its record says: one of them is not the
    /// newest.
    case pageSum(index: UInt32)
    /// The same for one PMO.
    case pmoPromised(index: UInt32, recorded: UInt64, counted: UInt64)
}

/// What a check found. `damage` is what no crash can explain; `notes` are traces that crashes may
/// leave.
public struct StoreReport: Sendable {
    public var damage: [StoreFinding] = []
    /// Findings in all, also those that did not fit into `damage`.
    public var damageCount = 0
    public var notes: [StoreFinding] = []
    public var commit = CommitRecord()
    /// Live records by `ObjectKind` raw value, tombstones not counted.
    public var records: InlineArray<16, UInt64> = InlineArray(repeating: 0)
    public var pages: UInt64 = 0
    public var dataFrames: UInt64 = 0
    public var framesUsed: UInt64 = 0
    public var framesPromised: UInt64 = 0
    public static let limit = 100

    public init() {}
    public var isGood: Bool { damageCount == 0 }

    mutating func add(_ finding: StoreFinding) {
        damageCount += 1
        if damage.count < StoreReport.limit { damage.append(finding) }
    }
}
