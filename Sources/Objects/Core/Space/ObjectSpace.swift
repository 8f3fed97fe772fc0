import CObjectSpace
import CPersistentMemory
import PersistentMemory
import Synchronization

/// Objects that outlive programs, in one place: a directory of files.
///
/// An object is named by an ID that no other has, holds a value and what it refers to, and is mapped
/// where its bytes are used: loads and stores go to them directly. Pointers in it mean the same in
/// every process and on every machine (`ObjectPointer`).
///
/// Changes are made by transactions, which may span objects; one runs at a time in a space, in all
/// processes together. Readers of all processes run beside each other and beside a transaction
/// until it publishes. A process that is killed blocks nobody: its locks fall to the next, which
/// finishes or undoes what it had begun.
///
/// Mapped objects stay mapped until the space is closed.
public final class ObjectSpace: @unchecked Sendable {
    let store: any ObjectStore
    let region: PersistentRegion
    let members: Members?
    let layout: ControlLayout
    private(set) var lane: LogLane
    /// Bytes of the object in each slot; 0: nothing is mapped there.
    let capacities: UnsafeMutablePointer<UInt64>
    /// Slots whose object may only be read.
    var readOnly: Set<Int> = []
    /// The end of each slot's table, as far as it was looked at: entries in use.
    var entriesInUse: [Int]
    var identifiers: [ObjectID?]
    /// Objects whose header and state were checked.
    var verified: [Bool]
    /// Guards what is above and the directory.
    var mapLock: UInt32 = 0
    var slotOf: [ObjectID: Int] = [:]
    /// Which index leads from an object to another.
    var knownEntries: [EntryKey: Int] = [:]
    /// `Members.Place.reclaims` when translations were last forgotten.
    let reclaimsSeen: UnsafeMutablePointer<UInt64>
    var resolvers: [UInt64: Resolver] = [:]
    private var threadLock: UInt32 = 0
    private var owner: UInt64 = 0
    private var depth = 0
    private var isPublishing = false
    /// A transaction has begun and not ended.
    var isRunning = false
    private(set) var isClosed = false
    var created: [ObjectID] = []
    var removed: [ObjectID] = []
    /// What the recovery at open found.
    public internal(set) var recovery = LaneRecovery.Outcome()

    struct EntryKey: Hashable {
        let slot: Int
        let first: UInt64
        let second: UInt64
        let flags: UInt32
    }

    /// Answers for a name in a table; nil when it knows none.
    public typealias Resolver = @Sendable (ObjectSpace, String) throws -> ObjectID?

    // MARK: Open

    /// Opens a space, or makes one.
    ///
    /// - Parameters:
    ///   - logBytes: room for the log of a new space; a transaction's changes must fit in half.
    public convenience init(
        path: String, domain: PersistenceDomain = .automatic, create: Bool = true,
        logBytes: UInt64 = 4 << 20
    ) throws {
        try self.init(
            store: DirectoryStore(
                path: path, domain: domain, create: create, logBytes: (logBytes + 4095) & ~4095))
    }

    package init(store: any ObjectStore) throws {
        self.store = store
        region = store.region
        members = store.members
        let region = store.region
        layout = try Self.openControl(store)
        let slots = Int(layout.slots)
        entriesInUse = Array(repeating: 0, count: slots)
        identifiers = Array(repeating: nil, count: slots)
        verified = Array(repeating: false, count: slots)
        lane = LogLane(
            region: region, offset: layout.laneOffset, byteCount: layout.laneBytes, index: 0)
        capacities = .allocate(capacity: slots)
        capacities.initialize(repeating: 0, count: slots)
        reclaimsSeen = .allocate(capacity: 1)
        reclaimsSeen.initialize(to: store.members?[.reclaims] ?? 0)
        SpaceRegistry.add(self)
        do { try join() } catch {
            close(abandoning: true)
            throw error
        }
    }

    /// The control area's header; written if the area is new.
    private static func openControl(_ store: any ObjectStore) throws(ObjectError) -> ControlLayout {
        let (region, bytes) = (store.region, store.controlBytes)
        let words = (0..<6).map { region.load(UInt64($0) * 8) }
        if words[0] != 0 { return try ControlLayout(words, bytes: bytes) }
        let layout = ControlLayout(slots: store.directorySlots, bytes: bytes)
        for (index, word) in layout.encoded.enumerated().dropFirst() {
            region.store(word, at: UInt64(index) * 8)
        }
        region.flush(0, 64)
        region.fence()
        // The magic last: until then the area is new.
        region.storeDurably(ControlLayout.magic, at: 0)
        return layout
    }

    private func join() throws {
        guard let members else { return try adopt() }
        defer { members.welcome() }
        if members.isFirst {
            try adopt()
            members[.lastWriter] = members.stamp
            if !store.keepsSlots { clearDirectory() }
        }
    }

    /// Everything is finished and unmapped: slots are given anew.
    private func clearDirectory() {
        lane.retire()
        for slot in 1..<Int(layout.slots) where capacities[slot] != 0 { forget(slot) }
        region.storeDurably(0, at: ControlLayout.count)
    }

    func forget(_ slot: Int) {
        store.unmap(slot, capacity: capacities[slot])
        capacities[slot] = 0
        verified[slot] = false
        readOnly.remove(slot)
        if let id = identifiers[slot] { slotOf[id] = nil }
        identifiers[slot] = nil
    }

    /// Takes the log over: maps what it may name, and finishes or undoes what its last writer began.
    private func adopt() throws {
        try mapDirectory()
        recovery = try LaneRecovery(
            region: region, offset: layout.laneOffset, byteCount: layout.laneBytes, index: 0,
            validBytes: region.reservedBytes
        ).recover()
        lane.deallocate()
        lane = LogLane(
            region: region, offset: layout.laneOffset, byteCount: layout.laneBytes, index: 0)
        lane.state.pointee.generation = recovery.nextGeneration
        lane.state.pointee.heapBytes = region.reservedBytes
    }

    /// Closes the space. Nothing of it may be used afterwards.
    public func close() { close(abandoning: false) }

    private func close(abandoning: Bool) {
        guard !isClosed else { return }
        if !abandoning { try? lockForWriting() }
        isClosed = true
        if !abandoning {
            lane.retire()
            unlock()
        }
        members?.leave { [self] in if !abandoning { removeVolatile() } }
        SpaceRegistry.remove(self)
        lane.deallocate()
        store.close()
    }

    private func removeVolatile() {
        for slot in 1..<Int(layout.slots) where capacities[slot] != 0 {
            guard let id = identifiers[slot], let header = try? header(slot, id) else { continue }
            if header.flags.contains(.volatile) { try? store.remove(id) }
        }
    }

    deinit {
        close()
        capacities.deallocate()
        reclaimsSeen.deallocate()
    }

    // MARK: The one writer

    /// The lock of threads and of processes; takes over the log if another wrote last.
    func lockForWriting() throws {
        let thread = pm_thread_id()
        if owner == thread {
            depth += 1
            return
        }
        pm_lock(&threadLock)
        if isClosed {
            pm_unlock(&threadLock)
            throw ObjectError.closed
        }
        owner = thread
        guard let members else { return }
        let died = members.take(.writer)
        // It may have died while it gave entries back.
        if died { members[.reclaims] &+= 1 }
        do {
            try noticeReclaims()
            guard members[.lastWriter] != members.stamp || died else { return }
            // What a dead writer left half done is not for readers.
            if died { publish() }
            try adopt()
            members[.lastWriter] = members.stamp
            if died { unpublish() }
        } catch {
            unlock()
            throw error
        }
    }

    func unlock() {
        if depth > 0 {
            depth -= 1
            return
        }
        unpublish()
        members?.give(.writer)
        owner = 0
        pm_unlock(&threadLock)
    }

    var isOwner: Bool { owner == pm_thread_id() }

    /// The lock for what works on whole objects, and reads memory that a running transaction has
    /// not stored to yet.
    func lockAlone() throws {
        try lockForWriting()
        guard isRunning else { return }
        unlock()
        throw ObjectError.refusedOption("this works outside of a transaction only")
    }

    func publish() {
        guard !isPublishing else { return }
        isPublishing = true
        members?.publish()
    }

    func unpublish() {
        guard isPublishing else { return }
        isPublishing = false
        members?.unpublish()
    }
}

/// The spaces of this process, by address: a pointer's own address leads to its space.
enum SpaceRegistry {
    private struct Entry { weak var space: ObjectSpace? }
    private static let spaces = Mutex<[UInt: Entry]>([:])

    static func add(_ space: ObjectSpace) {
        spaces.withLock { $0[UInt(bitPattern: space.region.base)] = Entry(space: space) }
    }

    static func remove(_ space: ObjectSpace) {
        _ = spaces.withLock { $0.removeValue(forKey: UInt(bitPattern: space.region.base)) }
    }

    static func space(at address: UInt) -> ObjectSpace? {
        spaces.withLock { spaces in
            for (base, entry) in spaces {
                if let space = entry.space, address &- base < UInt(space.region.reservedBytes) {
                    return space
                }
            }
            return nil
        }
    }
}
