import ABI

/// Why a store cannot be used, or a request of it not be met. Names the cause; `code` and `detail`
/// are for messages that must be built without strings.
public enum StoreError: Error, Equatable, Sendable {
    /// No superblock: blank, or some other file.
    case notAStore
    /// Written by a newer format than this code knows.
    case newerFormat(UInt64)
    /// Written by an older format, which is not read any more.
    case olderFormat(UInt64)
    /// The region is smaller than the store says.
    case truncated(expectedFrames: UInt64, frames: UInt64)
    /// Both superblocks fail their checksums.
    case damagedSuperblock
    /// No copy of a commit slot is good.
    case damagedCommitSlot
    /// No copy of a history slot is good.
    case damagedHistory
    /// A live object record fails its check.
    case damagedRecord(index: UInt32)
    /// Some object's record is older than the committed version says: a write was lost.
    case staleRecords
    /// The undo list of node links fails its check.
    case damagedLinks
    /// A page's pair fails its check.
    case damagedPage(owner: ObjectID, page: UInt64)
    /// A node of a page tree or of the record table fails its check.
    case damagedTable(owner: ObjectID, offset: UInt64)
    /// No frame is left.
    case full
    /// Written by a kernel with room for more objects.
    case tooManyRecords
    /// The region is too small to hold a store.
    case tooSmall

    /// A sentence without the numbers.
    public var reason: StaticString {
        switch self {
        case .notAStore: "not a store: no Evertree superblock"
        case .newerFormat: "store has a newer format than this program"
        case .olderFormat: "store was made by an older version, whose format is not read any more"
        case .truncated: "store is truncated: the region is smaller than its superblock says"
        case .damagedSuperblock: "store is damaged: both superblocks fail their checksums"
        case .damagedCommitSlot: "store is damaged: a commit slot has no good copy"
        case .damagedHistory: "store is damaged: the history of aborted versions has no good copy"
        case .damagedRecord: "store is damaged: an object record fails its check"
        case .staleRecords:
            "store is damaged: an object record is older than the committed version, a write was lost"
        case .damagedLinks: "store is damaged: the undo list of links fails its check"
        case .damagedPage: "store is damaged: a page pair fails its check"
        case .damagedTable: "store is damaged: a table node fails its check"
        case .full: "store is full: no frame is left"
        case .tooManyRecords: "store holds more objects than this kernel has room for"
        case .tooSmall: "store is too small"
        }
    }
}
