import ABI

extension Store {
    /// Removes every trace of aborted versions from the record tables' slots and page pairs, so
    /// that the history can forget its intervals. Needed once in 240 restores that were each
    /// followed by commits. May be repeated after a crash: it only clears words that no version
    /// needs.
    public mutating func scrub() throws(StoreError) {
        commitSlots.repair(memory)
        historySlots.repair(memory)
        undoLinks()
        try scrubRecords(large: false)
        try scrubRecords(large: true)
        memory.fence()
        var next = history
        next.forgetIntervals()
        // The interval of this very crash is still needed: the pages dirtied above the committed
        // version carry it until the scrub is done, which it is now; but the numbers must not be
        // used again.
        _ = next.abort(above: committed)
        history = next
        history.store(at: historySlots.beginPayload(memory), in: memory)
        historySlots.publish(memory, sequence: history.incarnation)
        memory.fence()
        building = history.firstBuilding
        promised = lastCommit.promisedFrames
        recordSum = lastCommit.recordSum
    }

    private func isStale(_ born: UInt64) -> Bool {
        born != 0 && (born > committed.value || history.isAborted(Version(born)))
    }

    /// Every slot that has a frame, used or not: an index above the high-water mark may carry an
    /// aborted version too.
    private func scrubRecords(large: Bool) throws(StoreError) {
        let root = recordRoot(large: large)
        for high in 0..<PageTree.fanout {
            let middle = try child(of: root, index: high, owner: .none)
            if middle.isNone { continue }
            for low in 0..<PageTree.fanout {
                let leaf = try child(of: middle, index: low, owner: .none)
                if leaf.isNone { continue }
                let perFrame = RecordClass.pairsPerFrame(large: large)
                for place in 0..<perFrame {
                    let number = (high * PageTree.fanout + low) * perFrame + place
                    try scrubRecord(
                        UInt32(truncatingIfNeeded: number) | (large ? RecordClass.largeBit : 0))
                }
            }
        }
    }

    private func scrubRecord(_ index: UInt32) throws(StoreError) {
        guard let offset = try recordOffset(index) else { return }
        for slot: UInt64 in 0..<2 {
            let place = offset + slot * RecordClass.slotBytes(large: RecordClass.isLarge(index))
            guard let born = check.open48(memory.load(place), at: place) else {
                throw .damagedRecord(index: index)
            }
            if isStale(born) { clearWord(place) }
        }
        guard let view = try record(index, at: committed), view.kind == ObjectKind.pmo.rawValue
        else { return }
        var fields = reader(of: view)
        guard let pmo = PMORecord(reading: &fields, in: layout) else {
            throw .damagedRecord(index: index)
        }
        if pmo.kind != .anonymous || pmo.root.isNone { return }
        let owner = ObjectID(index: index, generation: view.generation)
        try scrubNode(pmo.root, level: pmo.depth, first: 0, owner: owner)
    }

    /// All pairs of a tree, also those behind the PMO's end. Depth is at most 3, so the recursion
    /// is bounded.
    private func scrubNode(
        _ node: FrameNumber, level: UInt8, first: UInt64, owner: ObjectID
    ) throws(StoreError) {
        if level > 0 {
            for index in 0..<PageTree.fanout {
                let below = try child(of: node, index: index, owner: owner)
                if below.isNone { continue }
                let start = first + index * PageTree.span(level: level)
                try scrubNode(below, level: level - 1, first: start, owner: owner)
            }
            return
        }
        for entry in 0..<(2 * PageTree.pairsPerLeaf) {
            let place = node.offset + entry * 16
            guard let born = check.open48(memory.load(place), at: place) else {
                throw .damagedPage(owner: owner, page: first + entry / 2)
            }
            if isStale(born) { clearWord(place) }
        }
    }

    private func clearWord(_ offset: UInt64) {
        memory.store(check.seal48(0, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }
}
