import ABI
import Machine
import Store
import Synchronization

/// What one core is doing.
struct CoreState {
    var current: ThreadPointer?
    /// Monotonic time at which the current thread has had its slice.
    var sliceEnd: UInt64 = 0
    /// The event was not the running thread's own: look around before going on.
    var mustReschedule = false
}

/// How the kernel is to run, from the machine's command line.
public struct KernelOptions: Sendable {
    /// Nanoseconds between checkpoints; 0 = never (a baseline without persistence).
    public var intervalNanoseconds: UInt64 = 1_000_000
    /// How long a thread runs while others are ready.
    public var sliceNanoseconds: UInt64 = 4_000_000
    /// How long a ready thread waits for the core it was woken on before an idle one is called.
    public var patienceNanoseconds: UInt64 = 500_000
    /// Places for small objects and for large ones (threads, capability tables).
    public var smallObjects = ObjectTable.smallCapacity
    public var largeObjects = ObjectTable.largeCapacity
    /// Pages of DRAM for hot pages; 0: every page is copied on its first write in a version.
    public var hotPages = 0
    /// Copies in recent versions that make a page hot.
    public var hotCopies: UInt32 = 2
    /// Versions after which a hot page that is not written leaves: this many up to twice as many.
    public var hotRest = 512
    public init() {}
}

/// The kernel. One instance in a place that never moves; every entry comes through `handle` under
/// the big lock.
///
/// Invariants (checked by `checkInvariants`): see `Capability`, `ObjectTable`, `Store`; and: a
/// thread is on a core, in the run queue, in one wait queue, or dead; every change to an object
/// since the last commit has put it in the dirty list.
public struct Kernel<M: Machine>: ~Copyable {
    /// Never used. A type with raw storage is always passed by address; without it Swift copies the
    /// whole kernel (over 1 KB) to the stack for each call of a method that does not mutate.
    private let passedByAddress = Atomic<UInt8>(0)
    public var machine: M
    public internal(set) var store: Store<M.Memory>
    let objects: UnsafeMutablePointer<ObjectTable>
    var groups: Pool<CapGroup>
    var tables: Pool<CapabilityTable>
    var pmos: Pool<PhysicalMemoryObject>
    var regions: Pool<Region>
    var spaces: Pool<VMSpace>
    var threads: Pool<Thread>
    var notifications: Pool<Notification>
    var connections: Pool<Connection>
    var systems: Pool<SystemAuthority>
    /// Where dead threads belong.
    let nowhere = Nowhere()
    let cores: UnsafeMutablePointer<CoreState>
    let coreCount: Int
    let options: KernelOptions

    var runQueue = ThreadQueue()
    /// Since when the run queue has not been empty; `UInt64.max` when it is.
    var queuedSince = UInt64.max
    var sleepers: SleeperHeap
    var waitSequence: UInt64 = 0
    /// Monotonic time is the machine's plus this.
    var clockBase: UInt64 = 0
    /// The core that is in the kernel now.
    var currentCore = 0
    var nextCheckpoint: UInt64 = 0
    var mustCheckpoint = false
    var rootGroup: CapGroupPointer?
    var system = ObjectID.none
    var rings = RingTable()
    var doorbell: NotificationPointer?
    /// After a restore: a ring of the bell that came after that version is lost, and what it was
    /// for may still be there.
    var mustRing = false

    /// Objects without references, to be taken apart before the kernel is left.
    let doomed: UnsafeMutablePointer<UInt32>
    var doomedCount = 0
    /// Dead PMOs: those that the next commit buries, and those whose frames may be given back.
    let buried: UnsafeMutablePointer<PMOPointer>
    var buriedCount = 0
    let reapable: UnsafeMutablePointer<PMOPointer>
    var reapableCount = 0
    /// Promised frames of dead PMOs that are not yet given back.
    var dyingPromised: UInt64 = 0
    var holes: DeferredHoles
    var hot: HotPages
    let heat: Heat
    var statistics = KernelStatistics()
    /// Why the store cannot be trusted any more, once that was found.
    var damage: StoreError?
    /// The machine was stopped: nothing runs any more.
    public internal(set) var isStopped = false

    /// Opens nothing yet: `boot` does. The machine's memory allocator must work.
    public init(machine: consuming M, options: KernelOptions) throws(StoreError) {
        store = try Store(reading: machine.nvm, dirtyCapacity: 1 << 16)
        coreCount = machine.coreCount
        self.machine = machine
        self.options = options
        objects = .allocate(capacity: 1)
        objects.initialize(
            to: ObjectTable(
                smallCapacity: options.smallObjects, largeCapacity: options.largeObjects))
        let large = options.largeObjects
        let small = options.smallObjects
        groups = Pool(capacity: large / 16)
        tables = Pool(capacity: large / 2)
        pmos = Pool(capacity: small / 2)
        regions = Pool(capacity: small / 2)
        spaces = Pool(capacity: large / 4)
        threads = Pool(capacity: large / 4)
        notifications = Pool(capacity: small / 4)
        connections = Pool(capacity: large / 16)
        systems = Pool(capacity: 1)
        sleepers = SleeperHeap(capacity: large / 4)
        holes = DeferredHoles(capacity: 1 << 14)
        hot = HotPages(capacity: options.hotPages)
        heat = Heat(capacity: options.hotPages == 0 ? 0 : 1 << 16)
        cores = .allocate(capacity: coreCount)
        cores.initialize(repeating: CoreState(), count: coreCount)
        doomed = .allocate(capacity: small + large)
        buried = .allocate(capacity: small / 2)
        reapable = .allocate(capacity: small / 2)
        if hot.capacity > 0 { self.machine.watch(hot.pages) }
    }

    /// Gives everything back that `init` took. For the simulated machine, which boots many kernels.
    public consuming func tearDown() -> M {
        giveTablesBack()
        objects.pointee.deallocate()
        objects.deallocate()
        groups.deallocate()
        tables.deallocate()
        pmos.deallocate()
        regions.deallocate()
        spaces.deallocate()
        threads.deallocate()
        notifications.deallocate()
        connections.deallocate()
        systems.deallocate()
        nowhere.deallocate()
        sleepers.deallocate()
        holes.deallocate()
        hot.deallocate()
        heat.deallocate()
        cores.deallocate()
        doomed.deallocate()
        buried.deallocate()
        reapable.deallocate()
        store.close()
        return machine
    }

    /// The tables that live groups and spaces have of their own.
    private func giveTablesBack() {
        objects.pointee.forEach(CapGroup.self) { $0.pointee.tables.deallocate() }
        objects.pointee.forEach(VMSpace.self) { $0.pointee.regions.deallocate() }
    }

    var owners: PageTreeLookup { PageTreeLookup(objects: objects) }

    /// Monotonic nanoseconds since the store was made; goes on where it stopped after a restore.
    public var now: UInt64 { clockBase &+ machine.monotonicNanoseconds() }

    // MARK: What the machine asks after `handle`

    /// The context to run on a core; nil: idle.
    public func context(core: Int) -> UnsafeMutablePointer<ThreadContext>? {
        guard let thread = cores[core].current else { return nil }
        return context(of: thread)
    }

    /// The translation to run on a core.
    public func translation(core: Int) -> Translation {
        guard let thread = cores[core].current else { return .none }
        return (thread.pointee.restrictedSpace ?? thread.pointee.space).pointee.translation
    }

    // MARK: The one entry

    /// Deals with one event on a core and chooses what the core runs next. Never fails, never
    /// blocks.
    public mutating func handle(_ event: KernelEvent, core: Int) {
        if isStopped { return }
        currentCore = core
        cores[core].mustReschedule = false
        if mustRing {
            mustRing = false
            deviceInterrupt(Kernel.doorbellLine)
        }
        switch event {
        case .systemCall: systemCall(core: core)
        case .pageFault(let address, let isWrite, let isExecute, let errorCode):
            pageFault(
                core: core, address: UserAddress(address), isWrite: isWrite, isExecute: isExecute,
                errorCode: errorCode)
        case .exception(let vector, let errorCode):
            exception(core: core, vector: vector, errorCode: errorCode, address: UserAddress(0))
        case .timer, .interrupt: cores[core].mustReschedule = true
        case .deviceInterrupt(let line):
            deviceInterrupt(line)
            cores[core].mustReschedule = true
        }
        // What led to a stop must not be committed.
        if isStopped || isSettled(core: core) { return }
        finish(core: core)
    }

    /// Nothing happened that the scheduler, the timer or the checkpoint must know of: the thread
    /// goes on, and what is due by time comes with the core's timer, which is armed.
    private func isSettled(core: Int) -> Bool {
        guard let thread = cores[core].current, !cores[core].mustReschedule else { return false }
        return doomedCount == 0 && reapableCount == 0 && !mustMakeRoom && damage == nil
            && !(thread.pointee.kickPending && thread.pointee.isRestricted)
            && options.intervalNanoseconds > 0
    }

    /// What every entry ends with: sleepers, a due checkpoint, a piece of the reaper's work, the
    /// scheduler, the timer.
    mutating func finish(core: Int) {
        let time = now
        wakeSleepers(time)
        buryDoomed()
        if isCheckpointDue(time) { takeCheckpoint(core: core) }
        if options.intervalNanoseconds == 0 && damage == nil { publishUncommitted() }
        reapSome()
        schedule(core: core, time: time)
        callIdleCore(time)
        armTimer(core: core, time: time)
        if let damage { stop(damage) }
    }
}
