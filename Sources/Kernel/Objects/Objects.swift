import ABI
import Machine
import Store

/// A place in the table of capabilities: table object (without its class bit) and entry. Stable
/// over restores.
struct CapabilityRef: Equatable {
    var value: UInt32
    static let none = CapabilityRef(value: ~0)
    var isNone: Bool { value == ~0 }
    init(value: UInt32) { self.value = value }
    init(table: UInt32, entry: Int) {
        value = (table & ~RecordClass.largeBit) << 5 | UInt32(entry)
    }
    var table: UInt32 { value >> 5 | RecordClass.largeBit }
    var entry: Int { Int(value & 31) }
}

/// A reference to an object with rights. Parent links persist; the list of all capabilities to one
/// object is rebuilt.
///
/// Invariants: `rights` are a subset of the parent's at the time of derivation; `depth` = parent's
/// + 1, at most 32; each non-empty capability is in its object's list exactly once and counts as
/// one reference.
struct Capability {
    var object = ObjectID.none
    var badge: UInt64 = 0
    var parent = CapabilityRef.none
    var rights = Rights()
    var depth: UInt8 = 0
    /// Volatile: neighbours among the capabilities to the same object.
    var next = CapabilityRef.none
    var previous = CapabilityRef.none
    /// Volatile: found to be below the one that is being revoked.
    var isMarked = false

    static let perTable = 32
    static let maximumDepth: UInt8 = 32
    var isEmpty: Bool { object.isNone }
}

struct CapGroup {
    var id: ObjectID
    var name: InlineArray<4, UInt64> = InlineArray(repeating: 0)
    var badge: UInt64 = 0
    var threadCount = 0
    /// Tables of 32 capabilities each, by number.
    var tables: UnsafeMutablePointer<CapabilityTablePointer?>
    var tableCount = 0
    /// No slot below this table is free.
    var firstWithRoom = 0

    static let maximumTables = 2048
}

struct CapabilityTable {
    var id: ObjectID
    var group: ObjectID
    var number: Int
    var used = 0
    var entries: InlineArray<32, Capability> = InlineArray(repeating: Capability())
}

struct PhysicalMemoryObject {
    var id: ObjectID
    var kind: PMOKind
    var pageCount: UInt64
    var tree: PageTree
    /// Frames promised to this PMO's pages and nodes: what its death gives back.
    var promised: UInt64 = 0
    /// Eternal: first frame. Device: physical address.
    var base: UInt64 = 0
    /// A ring whose `local` pointer is part of the version.
    var isRing = false
    var ringLocal: UInt64 = 0
    /// Volatile: regions that map it.
    var firstRegion: RegionPointer?
}

struct Region {
    var id: ObjectID
    var space: VMSpacePointer
    var pmo: PMOPointer
    var start: UInt64
    var end: UInt64
    /// Offset in the PMO of `start`, in bytes.
    var offset: UInt64
    var protection: Protection
    /// What `protect` may ask for at most: the rights of the capability it was mapped with.
    var limit: Protection
    var next: RegionPointer?
    var previous: RegionPointer?
}

struct VMSpace {
    var id: ObjectID
    var translation = Translation.none
    /// Regions by ascending address; never overlapping.
    var regions: UnsafeMutablePointer<RegionPointer>
    var count = 0
    var capacity: Int

    static let maximumRegions = 65536
}

/// Where a thread is. The raw value is what a record keeps.
enum ThreadState: UInt8 {
    case ready = 0
    case waitingNotification = 1
    /// In a call, before a receiver took the message.
    case waitingReceiver = 2
    /// In a call, the message taken.
    case waitingReply = 3
    case waitingCaller = 4
    case dead = 5
}

struct Thread {
    /// First, and 16-byte aligned: the entry code saves into it.
    var context = ThreadContext()
    /// Aligns the type, and so every context, to 16 bytes: FXSAVE and FXRSTOR fault otherwise.
    private let alignment = SIMD2<UInt64>(repeating: 0)
    var id: ObjectID
    var group: CapGroupPointer
    var space: VMSpacePointer
    var state = ThreadState.ready
    /// Registers of the server while the context holds the guest's.
    var serverRegisters = Registers()
    var restrictedSpace: VMSpacePointer?
    var restrictedState: UInt64 = 0
    var kickPending = false
    /// Notification or connection waited for.
    var waitObject = ObjectID.none
    /// Order among the waiters of one object, over restores.
    var waitSequence: UInt64 = 0
    /// Monotonic nanoseconds; `UInt64.max` = for ever.
    var deadline = UInt64.max
    /// Address of the message of a call or receive.
    var message: UInt64 = 0
    var callBadge: UInt64 = 0
    /// In a call whose message was taken: the server that is to answer.
    var peer: ThreadPointer?
    /// The caller whose message this thread took and has not answered. A server may itself call
    /// others meanwhile.
    var caller: ThreadPointer?
    /// Volatile: core it runs on, -1 if none; neighbours in the run queue or wait queue; place
    /// among the sleepers.
    var core = -1
    var next: ThreadPointer?
    var previous: ThreadPointer?
    var sleepIndex = -1
    var isQueued = false

    var isRestricted: Bool { restrictedSpace != nil }
}

/// Notifications and IRQ notifications.
struct Notification {
    var id: ObjectID
    var count: UInt64 = 0
    var waiters = ThreadQueue()
    /// Interrupt line, for an IRQ notification.
    var line: UInt8 = 0
}

struct Connection {
    var id: ObjectID
    /// The PMO that both sides may share, and the capability that it was given with: what
    /// `connectionMemory` hands out derives from it, and goes with it. Neither is a reference: both
    /// are checked when they are used.
    var memory = ObjectID.none
    var source = CapabilityRef.none
    var callers = ThreadQueue()
    var receivers = ThreadQueue()
}

typealias CapGroupPointer = UnsafeMutablePointer<CapGroup>
typealias CapabilityTablePointer = UnsafeMutablePointer<CapabilityTable>
typealias PMOPointer = UnsafeMutablePointer<PhysicalMemoryObject>
typealias RegionPointer = UnsafeMutablePointer<Region>
typealias VMSpacePointer = UnsafeMutablePointer<VMSpace>
typealias ThreadPointer = UnsafeMutablePointer<Thread>
typealias NotificationPointer = UnsafeMutablePointer<Notification>
typealias ConnectionPointer = UnsafeMutablePointer<Connection>

/// First in, first out, through the threads' own links. A thread is in at most one queue.
struct ThreadQueue {
    private(set) var first: ThreadPointer?
    private(set) var last: ThreadPointer?
    var isEmpty: Bool { first == nil }

    mutating func append(_ thread: ThreadPointer) {
        thread.pointee.next = nil
        thread.pointee.previous = last
        thread.pointee.isQueued = true
        if let last { last.pointee.next = thread } else { first = thread }
        last = thread
    }

    mutating func remove(_ thread: ThreadPointer) {
        let next = thread.pointee.next
        let previous = thread.pointee.previous
        if let previous { previous.pointee.next = next } else { first = next }
        if let next { next.pointee.previous = previous } else { last = previous }
        thread.pointee.next = nil
        thread.pointee.previous = nil
        thread.pointee.isQueued = false
    }

    mutating func popFirst() -> ThreadPointer? {
        guard let thread = first else { return nil }
        remove(thread)
        return thread
    }

    /// Puts a waiter back at its place after a restore.
    mutating func insertBySequence(_ thread: ThreadPointer) {
        var after = last
        while let place = after, place.pointee.waitSequence > thread.pointee.waitSequence {
            after = place.pointee.previous
        }
        guard let place = after else {
            thread.pointee.next = first
            thread.pointee.previous = nil
            thread.pointee.isQueued = true
            if let first { first.pointee.previous = thread } else { last = thread }
            first = thread
            return
        }
        thread.pointee.next = place.pointee.next
        thread.pointee.previous = place
        thread.pointee.isQueued = true
        if let next = place.pointee.next { next.pointee.previous = thread } else { last = thread }
        place.pointee.next = thread
    }
}
