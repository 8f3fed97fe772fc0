import ABI
import Machine
import Store

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

/// A flow of control, with the processor state of one. A dead thread belongs to `Kernel.nowhere`.
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
    /// Where in the server's memory the guest's `RestrictedState` is.
    var restrictedState = UserAddress(0)
    var kickPending = false
    /// Notification or connection waited for.
    var waitObject = ObjectID.none
    /// Order among the waiters of one object, over restores.
    var waitSequence: UInt64 = 0
    /// Monotonic nanoseconds; `UInt64.max` = for ever.
    var deadline = UInt64.max
    /// Where the message of a call or receive is.
    var message = UserAddress(0)
    var callBadge: UInt64 = 0
    /// In a call whose message was taken: the server that is to answer.
    var peer: ThreadPointer?
    /// During a restore: who the peer is, until all threads are there.
    var restoredPeer = ObjectID.none
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

typealias ThreadPointer = UnsafeMutablePointer<Thread>

/// An empty group and an empty space, the same for all dead threads: no thread ever points at a
/// body that may be used for something else.
struct Nowhere {
    let group: CapGroupPointer
    let space: VMSpacePointer

    init() {
        group = .allocate(capacity: 1)
        group.initialize(to: CapGroup(id: .none, tables: .allocate(capacity: 1)))
        space = .allocate(capacity: 1)
        space.initialize(to: VMSpace(id: .none))
    }

    func deallocate() {
        group.pointee.tables.deallocate()
        group.deallocate()
        space.pointee.regions.deallocate()
        space.deallocate()
    }
}
