import ABI
import Synchronization

extension Store {
    /// Makes an empty store in a region. Whatever was there is lost, but for the frames of the
    /// image, which whoever makes the store fills before or afterwards.
    public static func format(
        _ memory: Memory, identity: StoreIdentity
    ) throws(StoreError) {
        guard identity.layout.isSound,
            memory.frameCount >= identity.frameCount
        else { throw .tooSmall }
        let layout = identity.layout
        let check = WordCheck(seed: identity.seed)
        // Eternal frames are made empty when a ring is made of them.
        let end = layout.eternal.lowerBound
        for frame in 0..<end { formatFrame(memory, FrameNumber(frame), check) }
        memory.flush(0, length: UInt64(end) * pageSize)
        memory.fence()
        formatRing(
            memory, StoreLayout.outputRing, frameCount: UInt64(StoreLayout.outputRingFrames))
        formatRing(memory, StoreLayout.inputRing, frameCount: UInt64(StoreLayout.inputRingFrames))
        memory.store(Statistic.magicValue, at: StoreLayout.statistics.offset)
        memory.flush(StoreLayout.statistics.offset, length: 8)
        memory.fence()
        for copy: UInt32 in 0..<2 { Superblock.store(identity, to: memory, copy: copy) }
    }

    /// Tables begin as what "nothing" looks like in them, the other areas as zeros.
    private static func formatFrame(_ memory: Memory, _ frame: FrameNumber, _ check: WordCheck) {
        if frame == StoreLayout.ringDirectory {
            memory.fillFrame(frame) { check.seal48(0, at: $0) }
        } else if frame.value < StoreLayout.recordRoots.value {
            memory.zeroFrame(frame)
        } else if frame.value < StoreLayout.links.value {
            memory.fillLinks(frame, check)
        } else {
            memory.fillFrame(frame) { check.seal48(0, at: $0) }
        }
    }

    /// Reads which store a region holds, without changing anything.
    public static func identify(
        _ memory: Memory
    ) throws(StoreError) -> (identity: StoreIdentity, usedSpareCopy: Bool) {
        guard memory.frameCount >= StoreLayout.minimumFrames else { throw .tooSmall }
        let first = Superblock.load(from: memory, copy: 0)
        let second = Superblock.load(from: memory, copy: 1)
        let identity: StoreIdentity
        var spare = false
        switch (first, second) {
        case (.good(let a), .good): identity = a
        case (.good(let a), _): (identity, spare) = (a, true)
        case (_, .good(let b)): (identity, spare) = (b, true)
        case (.otherFormat(let version), _), (_, .otherFormat(let version)):
            throw version < StoreLayout.formatVersion
                ? .olderFormat(version) : .newerFormat(version)
        case (.foreign, .foreign): throw .notAStore
        default: throw .damagedSuperblock
        }
        if memory.frameCount < identity.frameCount {
            throw .truncated(
                expectedFrames: UInt64(identity.frameCount), frames: UInt64(memory.frameCount))
        }
        return (identity, spare)
    }

    /// Opens a store for looking only: the newest committed version and its history, nothing
    /// written.
    public init(reading memory: Memory, dirtyCapacity: Int = 1) throws(StoreError) {
        let (identity, spare) = try Store.identify(memory)
        let layout = identity.layout
        var commitSlots = MirroredSlots(
            base: StoreLayout.commitSlots, payloadWords: CommitRecord.payloadWords,
            seed: identity.seed)
        var historySlots = MirroredSlots(
            base: StoreLayout.historySlots, payloadWords: History.payloadWords, seed: identity.seed)
        let commit = try Store.openCommit(&commitSlots, memory, layout)
        let past = try Store.openHistory(&historySlots, memory, commit.record)
        let check = WordCheck(seed: identity.seed)
        let abortedLinks = try LinkLog.count(
            memory, layout, check, committed: commit.record.version, history: past.history)
        // Nothing throws from here on: a type that cannot be copied is made whole or not at all.
        self.memory = memory
        self.identity = identity
        self.layout = layout
        self.check = check
        self.abortedLinks = abortedLinks
        self.commitSlots = commitSlots
        self.historySlots = historySlots
        free = FreeFrames(layout: layout)
        dirty = DirtyFrames(capacity: dirtyCapacity)
        usedSpareCopy = spare || commit.worn || past.worn
        lastCommit = commit.record
        history = past.history
        building = max(commit.record.version.next, past.history.firstBuilding)
        promised = commit.record.promisedFrames
        recordSum = commit.record.recordSum
        passedByAddress = Atomic(0)
    }

    /// Gives the volatile tables back. The store must not be used afterwards.
    public func close() {
        free.stack.deallocate()
        dirty.list.deallocate()
    }

    private static func openCommit(
        _ slots: inout MirroredSlots, _ memory: Memory, _ layout: StoreLayout
    ) throws(StoreError) -> (record: CommitRecord, worn: Bool) {
        guard let found = slots.open(memory) else {
            if slots.isBlank(memory) { return (CommitRecord(), false) }
            throw .damagedCommitSlot
        }
        let record = CommitRecord(version: Version(found.sequence), at: found.payload, in: memory)
        guard record.promisedFrames <= UInt64(layout.dataFrames), record.version < Version.maximum
        else { throw .damagedCommitSlot }
        return (record, found.worn)
    }

    private static func openHistory(
        _ slots: inout MirroredSlots, _ memory: Memory, _ commit: CommitRecord
    ) throws(StoreError) -> (history: History, worn: Bool) {
        guard let found = slots.open(memory) else {
            if slots.isBlank(memory) && commit.incarnation == 0 { return (History(), false) }
            throw .damagedHistory
        }
        let history = History(incarnation: found.sequence, at: found.payload, in: memory)
        guard history.isConsistent, history.incarnation >= commit.incarnation,
            history.firstBuilding < Version.maximum
        else { throw .damagedHistory }
        return (history, found.worn)
    }

    /// Begins a new incarnation after `init(reading:)`: everything above the committed version is
    /// aborted, durably, before anything else is written. Returns false when the history is full:
    /// scrub first (`scrub`).
    public mutating func beginIncarnation() -> Bool {
        var next = history
        if !next.abort(above: committed) { return false }
        commitSlots.repair(memory)
        historySlots.repair(memory)
        undoLinks()
        history = next
        history.store(at: historySlots.beginPayload(memory), in: memory)
        historySlots.publish(memory, sequence: history.incarnation)
        memory.fence()
        building = history.firstBuilding
        promised = lastCommit.promisedFrames
        recordSum = lastCommit.recordSum
        return true
    }
}

extension MirroredSlots {
    /// Nothing was ever written whole here, and nothing is damaged: a store that was just made.
    func isBlank(_ memory: borrowing some PersistentMemory) -> Bool {
        let zero = value(memory, slot: 0)
        let one = value(memory, slot: 1)
        return zero.sequence == nil && one.sequence == nil && !zero.damaged && !one.damaged
    }
}

extension History {
    /// firstBuilding, count, then pairs (lowest, highest).
    static let payloadWords = 2 + 2 * History.capacity

    init(incarnation: UInt64, at payload: UInt64, in memory: borrowing some PersistentMemory) {
        self.incarnation = incarnation
        firstBuilding = Version(memory.load(payload))
        count = Int(min(memory.load(payload + 8), UInt64(History.capacity)))
        for index in 0..<count {
            lowest[index] = memory.load(payload + UInt64(2 + 2 * index) * 8)
            highest[index] = memory.load(payload + UInt64(3 + 2 * index) * 8)
        }
    }

    func store(at payload: UInt64, in memory: borrowing some PersistentMemory) {
        memory.store(firstBuilding.value, at: payload)
        memory.store(UInt64(count), at: payload + 8)
        for index in 0..<History.capacity {
            memory.store(index < count ? lowest[index] : 0, at: payload + UInt64(2 + 2 * index) * 8)
            memory.store(
                index < count ? highest[index] : 0, at: payload + UInt64(3 + 2 * index) * 8)
        }
    }
}
