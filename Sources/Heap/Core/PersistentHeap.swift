import CPersistentMemory
@_exported import PersistentMemory
import Synchronization

/// How transactions of different threads are kept apart.
public enum Isolation: Sendable {
    /// One transaction at a time, however many threads ask. The default.
    case serial
    /// Transactions run at the same time, each storing only to objects whose lock it holds
    /// (`tx.lock`): strict two-phase locking, with deadlocks found and reported.
    case locking
}

/// Choices when a heap is opened or made.
public struct HeapOptions: Sendable {
    /// Address space kept for growth, in bytes; takes no memory. The heap cannot become larger
    /// while it is open.
    public var maximumSize: UInt64 = 1 << 38
    /// A new heap's file starts with this size, in bytes, and grows by a quarter at a time.
    public var initialSize: UInt64 = 1 << 20
    /// A new heap consists of arenas of 2^arenaShift bytes; one object must fit an arena. 17 to 36.
    public var arenaShift = 28
    /// A new heap's number of transactions at a time, one less than this (lane 0 is the heap's
    /// own), and log bytes for each.
    public var laneCount = 9
    public var laneBytes = 1 << 16
    public var isolation = Isolation.serial
    /// Make the heap if the file does not exist.
    public var creates = true
    /// Collect unreachable objects in the background after opening.
    public var collectsAtOpen = true
    /// Where to map the heap; nil lets the system choose. References do not depend on it.
    public var address: UInt?
    /// Called by the collector, on its own thread.
    public var onProgress: (@Sendable (CollectorProgress) -> Void)?
    public var migrations: [Migration] = []
    /// Classes of the native tier that the heap may hold; those their fields refer to need not be
    /// named.
    public var nativeTypes: [any PersistentClass.Type] = []
    /// Domain `checkpointed`: takes a checkpoint of the surrounding system and returns when it is
    /// committed. A Linux program inside Evertree leaves this nil, since sync(2) does it; a native
    /// one puts the call `checkpoint` on a capability of the system object here.
    public var checkpoint: (@Sendable () throws -> Void)?
    /// For tools: native objects are left as they are and can be looked at, not used.
    package var inspectsOnly = false
    /// For tests that open a heap again where it was: closing unmaps native objects. No variable
    /// may refer to one.
    package var unmapsNativeObjects = false
    /// What decides whether this toolchain can have native objects. Tests put a failing one here.
    package var nativeSelfTest: @Sendable () -> String? = { NativeObject.selfTest() }
    public init() {}
}

/// What the transaction paths need, in malloc memory: no reference counting and no exclusivity
/// checks there.
@usableFromInline struct HeapState {
    @usableFromInline let access: RegionAccess
    @usableFromInline var allocator: PageAllocator
    @usableFromInline let types: UnsafeMutablePointer<TypeState>
    /// The address that references of native objects are relative to.
    var nativeBase: UInt64
    /// This heap's type numbers by `TypeLayout.processNumber`; 0 = not looked up yet. Values, then
    /// array elements.
    @usableFromInline let numbers: UnsafeMutablePointer<UInt16>
    @usableFromInline let arrayNumbers: UnsafeMutablePointer<UInt16>
    /// The one transaction at a time.
    @usableFromInline var serialLock: UInt32 = 0
    @usableFromInline var owner: UInt64 = 0
    @usableFromInline var depth = 0
    @usableFromInline var isDoomed = false
    @usableFromInline let serialLane: LogLane
    @usableFromInline let isSerial: Bool
    /// The heap's size in bytes: no reference leads behind it.
    @usableFromInline var limit: UInt64
    /// Guards the allocator when transactions run at the same time.
    @usableFromInline var allocatorLock: UInt32 = 0
    /// Objects freed by the running transaction, and those whose cells must not be used before the
    /// next commit.
    @usableFromInline var freed = RawList<UInt64>(capacity: 64)
    var waiting = RawList<UInt64>(capacity: 64)
    var isCollecting = false
    /// What else transactions do at their ends (`TransactionObserver`); 0 nearly always.
    @usableFromInline var observers: UInt8 = 0
    var deferredByCollector = RawList<UInt64>(capacity: 64)
}

/// A heap whose contents outlive the process.
///
/// ```swift
/// @Persistent struct Counter { var value: Int }
///
/// let heap = try PersistentHeap(path: "app.heap")
/// let counter = try heap.root(named: "counter", as: Counter.self) { Counter(value: 0) }
/// try heap.transaction { tx in tx.edit(counter).value += 1 }
/// print(heap[counter].value)
/// ```
///
/// Invariants (`checkInvariants`)
/// 1. After a crash at any instant and an open, the objects reachable from the named roots are
///    exactly those of the transactions that had committed.
/// 2. A cell that cannot be reached is given out again, at the latest after the collection that
///    follows the open.
/// 3. What is trusted at open (headers, logs, type and root records) has a checksum; damage is
///    reported by name.
public final class PersistentHeap: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let state: UnsafeMutablePointer<HeapState>
    public let region: PersistentRegion
    /// Tag of this heap's references, in place (`PersistentHeap+References`).
    @usableFromInline let referenceTag: UInt64
    /// What messages call the heap: its path.
    let name: String
    let options: HeapOptions
    let geometry: HeapGeometry
    let header: Mutex<HeapHeader>
    let lanes: [LogLane]
    let registry = Mutex<TypeRegistry>(TypeRegistry())
    let locks: LockTable
    let collector = Mutex<CollectorState>(CollectorState())
    let barrier = Mutex<[UInt64]>([])
    let pins = Mutex<[UInt64: Int]>([:])
    let writer = HeapWriter()
    let watchers = CommitWatchers()
    let changedPages = Mutex<BackupPages?>(nil)
    /// Classes of the native tier are registered: set once, at open.
    let holdsNativeObjects = Atomic(false)
    let collectorLock: UnsafeMutablePointer<UInt32>
    /// What recovery found to do.
    public internal(set) nonisolated(unsafe) var recovery: RecoverySummary

    /// Opens the heap at `path`, or makes it.
    public convenience init(
        path: String, domain: PersistenceDomain = .automatic, options: HeapOptions = HeapOptions()
    ) throws {
        // Native references mean addresses: where the heap was before, nothing has to be moved.
        let preferred = options.address ?? HeapOpener.lastNativeBase(path)
        let address = preferred.flatMap(UnsafeMutableRawPointer.init(bitPattern:))
        let region = try PersistentRegion.file(
            path: path, domain: domain, reservedBytes: options.maximumSize, address: address,
            create: options.creates)
        do { try self.init(region: region, options: options, path: path) } catch {
            region.close()
            throw error
        }
    }

    /// A heap in a region that is mapped already: test memory, or a guest's.
    public init(
        region: PersistentRegion, options: HeapOptions = HeapOptions(), path: String = "memory"
    ) throws {
        let opener = HeapOpener(region: region, options: options, path: path)
        let header = try opener.headerOrNewHeap()
        self.region = region
        self.options = options
        base = region.base
        name = path
        referenceTag = header.referenceTag
        OpenHeaps.add(header.referenceTag, path)
        geometry = HeapGeometry(header)
        self.header = Mutex(header)
        var summary = RecoverySummary()
        lanes = try opener.recoverLanes(header, &summary)
        recovery = summary
        locks = LockTable(laneCount: Int(header.laneCount))
        collectorLock = .allocate(capacity: 1)
        guard let state = opener.makeState(header, lanes) else {
            lanes.forEach { $0.deallocate() }
            throw PersistentMemoryError.outOfAddressSpace(bytes: region.reservedBytes)
        }
        self.state = state
        collectorLock.initialize(to: 0)
        let firstObject = geometry.firstPage(ofArena: 0) << HeapFormat.pageShift
        for lane in lanes {
            // Not `unowned`: the lane outlives nothing, and may be used while the heap is being
            // torn down.
            let heap = Unmanaged.passUnretained(self)
            lane.state.pointee.allocateBlock = { bytes in
                heap._withUnsafeGuaranteedRef { $0.allocateLogBlock(bytes) }
            }
            lane.state.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
            lane.state.pointee.releaseBlock = { offset in
                heap._withUnsafeGuaranteedRef { $0.takeBackLogBlock(offset) }
            }
            lane.state.pointee.spans = state.pointee.allocator.spans
            lane.state.pointee.privateFloor = firstObject
            lane.state.pointee.referenceTag = referenceTag
            lane.state.pointee.refuse = { offset, bytes in
                _ = heap._withUnsafeGuaranteedRef { $0.unusualPlace(offset, bytes) }
            }
            lane.state.pointee.heapBytes = state.pointee.limit
            let largest = Int(geometry.largestRun << HeapFormat.pageShift)
            lane.state.pointee.mostBlockBytes = min(1 << 22, largest)
            lane.state.pointee.retiresEagerly = options.isolation == .locking
        }
        lanes[0].state.pointee.retiresEagerly = true
        try loadTypes()
        try finishOpening()
    }

    deinit {
        close()
        lanes.forEach { $0.deallocate() }
        if let spans = state.pointee.allocator.spans {
            spans.pointee.deallocate()
            spans.deallocate()
        }
        state.pointee.allocator.deallocate()
        for number in 0..<HeapFormat.maximumTypes {
            state.pointee.types[number].slots?.deallocate()
        }
        pm_release(state.pointee.types, HeapFormat.maximumTypes * MemoryLayout<TypeState>.stride)
        pm_release(state.pointee.numbers, HeapFormat.maximumTypes * 2)
        pm_release(state.pointee.arrayNumbers, HeapFormat.maximumTypes * 2)
        state.pointee.freed.deallocate()
        state.pointee.waiting.deallocate()
        state.pointee.deferredByCollector.deallocate()
        state.deallocate()
        collectorLock.deallocate()
    }

    /// Finishes the background collection and unmaps the file. Nothing of the heap may be used
    /// afterwards.
    public func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        writer.stop()
        watchers.close()
        stopCollector()
        for lane in lanes { lane.retire() }
        tieSpans()
        pm_native_remove(base)
        let hasNative = holdsNativeObjects.load(ordering: .acquiring)
        region.close(keepingReadable: hasNative && !options.unmapsNativeObjects)
    }
    private let isClosed = Atomic(false)

    /// Makes all span words durable and notes that they are.
    private func tieSpans() {
        var closing = header.withLock { $0 }
        guard closing.hasLooseSpans else { return }
        region.settle()
        closing.hasLooseSpans = false
        HeapOpener.write(&closing, region)
    }

    /// Returns when every transaction that has ended is as durable as the heap's domain can make
    /// it.
    ///
    /// In `cacheLineFlush` and `fileSync` that was so when `transaction` returned, in
    /// `processCrash` nothing more can be done. In `checkpointed` it asks for a checkpoint now
    /// (`HeapOptions.checkpoint`) instead of waiting for the next.
    public func makeDurable() throws {
        guard domain == .checkpointed else { return }
        if let checkpoint = options.checkpoint { return try checkpoint() }
        guard SurroundingSystem.isCheckpointed else { throw HeapError.noCheckpoint }
        SurroundingSystem.checkpoint()
    }

    // MARK: Reading

    /// The value of an object, as the last transaction left it. Not synchronised with transactions
    /// of other threads: use `read` for that.
    @inlinable public subscript<T: PersistentObject>(reference: PRef<T>) -> T {
        if _isDebugAssertConfiguration() { checkAlive(reference.word) }
        return load(reference.word ^ referenceTag)
    }

    /// Runs `body` while no transaction runs (serial isolation), so that it sees one state of the
    /// heap.
    public func read<R>(_ body: (PersistentHeap) throws -> R) rethrows -> R {
        if state.pointee.owner == pm_thread_id() || !state.pointee.isSerial {
            return try body(self)
        }
        lockSerial()
        defer { unlockSerial() }
        return try body(self)
    }

    /// This heap's size now, in bytes of the file.
    public var committedBytes: UInt64 { header.withLock { $0.committedBytes } }
    public var domain: PersistenceDomain { region.domain }
}

/// What opening had to repair.
public struct RecoverySummary: Sendable, Equatable {
    public var replayedTransactions = 0
    public var undoneRanges = 0
    public var migratedTypes: [String] = []
}

/// Something values can be loaded from: a heap, or a transaction, which sees its own stores.
public protocol HeapReading: ~Copyable {
    /// Where the heap is mapped: for bytes that never change once written.
    var heapBase: UnsafeRawPointer { get }
    /// Loads the value at an offset of the heap.
    func load<T: BitwiseCopyable>(_ offset: UInt64) -> T
    /// The same where `holds` has said that the place is in the heap.
    func loadUnchecked<T: BitwiseCopyable>(_ offset: UInt64) -> T
    /// Whether so many bytes from an offset on lie in the heap.
    func holds(_ offset: UInt64, _ bytes: Int) -> Bool
    /// Stops the program with a message that names the heap's file.
    func stop(damagedAt offset: UInt64, _ detail: String) -> Never
    /// The transaction that reads has failed and drops its stores: what it sees may be half changed.
    var hasFailed: Bool { get }
}

extension HeapReading where Self: ~Copyable {
    @inlinable public var hasFailed: Bool { false }
}

extension PersistentHeap: HeapReading {
    @inlinable public var heapBase: UnsafeRawPointer { UnsafeRawPointer(base) }

    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        // A heap is larger than any value.
        if offset > state.pointee.limit &- UInt64(MemoryLayout<T>.size) {
            return loadUnchecked(unusualPlace(offset, MemoryLayout<T>.size))
        }
        return loadUnchecked(offset)
    }

    @inlinable @inline(__always)
    public func loadUnchecked<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        (base + Int(truncatingIfNeeded: offset)).assumingMemoryBound(to: T.self).pointee
    }

    @inlinable public func holds(_ offset: UInt64, _ bytes: Int) -> Bool {
        let limit = state.pointee.limit
        return bytes >= 0 && offset <= limit && UInt64(bytes) <= limit - offset
    }

    public func stop(damagedAt offset: UInt64, _ detail: String) -> Never {
        damaged(offset, detail)
    }
}
