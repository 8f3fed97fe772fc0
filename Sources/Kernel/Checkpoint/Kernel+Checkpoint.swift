import ABI
import Machine
import Store

/// The checkpoint (TreeSLS section 3; the order is argued in Docs/checkpoint.md).
///
/// 1. *Quiesce*: every other core is out of user mode with its registers saved; it waits for the
///    big lock.
/// 2. *Capture*: hot pages that were written are copied from DRAM into the older of their frames.
/// 3. *Announce*, then *encode*: the records of the objects that changed, each into the slot that
///    the committed version does not need.
/// 4. *Revoke writes*: pages dirtied since the last commit become read-only; the next write copies
///    them first.
/// 5. *Commit*: one slot (`Store.commit`).
/// 6. *Publish*: ring pointers move, frames that only the previous version needed are free, cores
///    go on.
///
/// The versions that pages and records carry were chosen when the previous version was committed,
/// before any of them was written: there is no instant at which two cores could disagree about the
/// version being built.
extension Kernel {
    var hasChanges: Bool { objects.pointee.dirtyCount > 0 || store.dirtyPages > 0 }

    func isCheckpointDue(_ time: UInt64) -> Bool {
        if mustMakeRoom { return true }
        return options.intervalNanoseconds > 0 && time >= nextCheckpoint && hasChanges
    }

    /// Takes a checkpoint. Called on the user/kernel border: no call is half done, no stack holds
    /// state.
    mutating func takeCheckpoint(core: Int) {
        var clock = PauseClock(start: machine.monotonicNanoseconds())
        machine.quiesceOtherCores(from: core)
        if let thread = cores[core].current { machine.saveFloatingPoint(context(of: thread)) }
        buryDoomed()
        // What an entry did after it met damage must not be committed: the machine stops at the
        // entry's end, and the committed version stays the last good one.
        if damage != nil { return }
        clock.mark(.quiesce, machine.monotonicNanoseconds())
        assert(core == currentCore && doomedCount == 0, "a checkpoint in the middle of something")
        let making = store.building

        noteRings()
        var dirtyObjects = 0
        do throws(StoreError) {
            try captureHotPages()
            clock.mark(.capture, machine.monotonicNanoseconds())
            dirtyObjects = objects.pointee.dirtyCount
            try announceRecords()
            store.memory.fence()
            try encodeRecords()
        } catch {
            // Nothing was committed and nothing will be: the damage is reported before user code
            // runs.
            _ = fail(error)
            return
        }
        clock.mark(.records, machine.monotonicNanoseconds())

        let dirtyPages = store.dirtyPages + Int(statistics.pagesCaptured)
        machine.revokeWrites()
        store.flushDirtyPages()
        flushRings()
        clock.mark(.pages, machine.monotonicNanoseconds())

        store.commit(commitRecord(), releasing: dyingPromised)
        clock.mark(.commit, machine.monotonicNanoseconds())

        settleRecords()
        buryCommitted()
        finishHoles()
        publishRings()
        mustCheckpoint = false
        nextCheckpoint = now &+ max(options.intervalNanoseconds, 1)
        assert(store.committed == making && store.dirtyPages == 0, "another version is committed")
        assert(objects.pointee.dirtyCount == 0 || damage != nil, "a change without a version")
        markRunningThreads()
        clock.mark(.resume, machine.monotonicNanoseconds())
        statistics.note(clock, dirtyObjects: dirtyObjects, dirtyPages: dirtyPages)
        publishStatistics()
    }

    private func commitRecord() -> CommitRecord {
        var record = CommitRecord()
        record.rootGroup = rootGroup?.pointee.id ?? .none
        record.monotonicNanoseconds = now
        record.smallRecords = objects.pointee.highSmall
        record.largeRecords = objects.pointee.highLarge
        return record
    }

    /// PMOs whose tombstones are committed give their frames back from now on.
    private mutating func buryCommitted() {
        for index in 0..<buriedCount {
            reapable[reapableCount] = buried[index]
            reapableCount += 1
        }
        buriedCount = 0
    }

    /// A thread that is on a core goes on changing.
    private mutating func markRunningThreads() {
        for core in 0..<coreCount {
            if let thread = cores[core].current { markDirty(thread.pointee.id) }
        }
    }
}

/// When the parts of one pause ended, in the machine's nanoseconds.
struct PauseClock {
    let start: UInt64
    private var last: UInt64
    private var parts: InlineArray<7, UInt64> = InlineArray(repeating: 0)

    init(start: UInt64) {
        self.start = start
        last = start
    }
    mutating func mark(_ part: PausePart, _ time: UInt64) {
        parts[part.rawValue] = time &- last
        parts[PausePart.total.rawValue] = time &- start
        last = time
    }
    subscript(part: PausePart) -> UInt64 { parts[part.rawValue] }
}
