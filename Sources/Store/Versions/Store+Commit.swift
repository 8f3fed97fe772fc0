import ABI

extension CommitRecord {
    init(version: Version, at payload: UInt64, in memory: borrowing some PersistentMemory) {
        self.version = version
        rootGroup = ObjectID(packed: memory.load(payload))
        monotonicNanoseconds = memory.load(payload + 8)
        promisedFrames = memory.load(payload + 16)
        let marks = memory.load(payload + 24)
        smallRecords = UInt32(truncatingIfNeeded: marks)
        largeRecords = UInt32(truncatingIfNeeded: marks >> 32)
        recordSum = memory.load(payload + 32)
        incarnation = memory.load(payload + 40)
    }

    func store(at payload: UInt64, in memory: borrowing some PersistentMemory) {
        memory.store(rootGroup.packed, at: payload)
        memory.store(monotonicNanoseconds, at: payload + 8)
        memory.store(promisedFrames, at: payload + 16)
        memory.store(UInt64(smallRecords) | UInt64(largeRecords) << 32, at: payload + 24)
        memory.store(recordSum, at: payload + 32)
        memory.store(incarnation, at: payload + 40)
    }
}

extension Store {
    /// Starts writing back the pages that were dirtied in this version.
    public func flushDirtyPages() {
        if identity.domain == .coherentCache { return }
        for index in 0..<dirty.count {
            memory.flush(UInt64(dirty.list[index]) * pageSize, length: pageSize)
        }
    }

    /// Commits the version being built. **The first copy's fence inside `publish` is the commit
    /// point of the system**: before it, a crash restores the previous version; after it, this one.
    /// Everything the version consists of was flushed by the caller; the fence here makes it
    /// durable before the slot is touched.
    ///
    /// `record.version`, `promisedFrames` (less `releasing`, the frames of dead PMOs), `recordSum`
    /// and `incarnation` are filled in here.
    public mutating func commit(_ record: CommitRecord, releasing: UInt64) {
        memory.fence()
        assert(committed < building, "a version is committed once")
        assert(!history.isAborted(building), "an aborted version is committed")
        assert(isEveryDirtyPageDurable, "a dirty page was not flushed")
        assert(deferred <= promised && releasing <= promisedNet, "more is released than was used")
        assert(promised <= UInt64(layout.dataFrames), "more frames are promised than there are")
        var record = record
        record.version = building
        record.incarnation = history.incarnation
        record.promisedFrames = promisedNet - releasing
        record.recordSum = recordSum
        record.store(at: commitSlots.beginPayload(memory), in: memory)
        commitSlots.publish(memory, sequence: building.value)
        lastCommit = record
        building = building.next
        dirty.count = 0
        linkCount = 0
        assert(committed < building, "the committed version is behind the one in the making")
    }

    private var isEveryDirtyPageDurable: Bool {
        for index in 0..<dirty.count where !memory.isDurable(FrameNumber(dirty.list[index])) {
            return false
        }
        return true
    }
}
