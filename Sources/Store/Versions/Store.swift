import ABI
import CPrimitives
import Synchronization

/// What one commit record says besides the version.
public struct CommitRecord: Equatable, Sendable {
    public var version = Version.never
    /// Root of the capability tree; `none` before the first process exists.
    public var rootGroup = ObjectID.none
    /// Monotonic clock at the checkpoint, in nanoseconds.
    public var monotonicNanoseconds: UInt64 = 0
    /// Frames in use or promised as backups.
    public var promisedFrames: UInt64 = 0
    /// Record indices below these were ever used.
    public var smallRecords: UInt32 = 0
    public var largeRecords: UInt32 = 0
    /// Sum over all objects that have a record (`VersionSum`).
    public var recordSum: UInt64 = 0
    /// Restores so far, when this was committed.
    public var incarnation: UInt64 = 0
    public init() {}
    static let payloadWords = 6
}

/// An open store: the committed version, the version being built, and the free frames known so far.
///
/// Invariants: `committed < building`; no valid `born` on NVM exceeds `building`; `promised` is the
/// number of frames that live pages, nodes and record tables use, plus one for each page that has
/// no second frame yet.
public struct Store<Memory: PersistentMemory>: ~Copyable {
    /// Never used. A type with raw storage is always passed by address, and one that cannot be
    /// copied is not.
    let passedByAddress: Atomic<UInt8>

    public let memory: Memory
    public let layout: StoreLayout
    public let identity: StoreIdentity
    @usableFromInline let check: WordCheck
    /// What the newest commit record says.
    public internal(set) var lastCommit = CommitRecord()
    public internal(set) var building = Version(1)
    public internal(set) var history = History()
    public internal(set) var promised: UInt64 = 0
    /// Sum over the records of the version being built.
    var recordSum: UInt64 = 0
    /// Those of them that only the committed version needs, behind holes made in this version.
    public internal(set) var deferred: UInt64 = 0
    var commitSlots: MirroredSlots
    var historySlots: MirroredSlots
    var free: FreeFrames
    var dirty: DirtyFrames
    /// Pages dirtied in the version being built.
    public var dirtyPages: Int { dirty.count }
    /// Links noted in the version being built.
    var linkCount = 0
    /// Entries of the list that the version a crash aborted made, when the store was opened.
    let abortedLinks: Int
    /// Set when a copy of something was not good and another was used: worth a message.
    public internal(set) var usedSpareCopy = false

    @inlinable public var committed: Version { lastCommit.version }
    /// What the version being built needs.
    @inlinable public var promisedNet: UInt64 { promised - deferred }
    /// The list of dirty frames, or that of new links, is nearly full: commit before more pages are
    /// written.
    public var mustCommit: Bool {
        dirty.count + 64 > dirty.capacity || linkCount + 64 > LinkLog.capacity
    }
}

/// The frames written in the version being built, to be flushed before the commit.
struct DirtyFrames {
    let list: UnsafeMutablePointer<UInt32>
    let capacity: Int
    var count = 0
    init(capacity: Int) {
        self.capacity = capacity
        list = .allocate(capacity: capacity)
    }
}

extension Store {
    /// Traps when the list is full: `mustCommit` was ignored, and a page that is not flushed would
    /// be lost quietly.
    mutating func noteDirty(_ frame: FrameNumber) {
        precondition(dirty.count < dirty.capacity, "list of dirty frames is full")
        assert(layout.isDataFrame(frame), "a page outside the data frames")
        dirty.list[dirty.count] = frame.value
        dirty.count += 1
    }
}
