import ABI

extension Store {
    /// Removes every trace of aborted versions from the record tables' slots and page pairs, so that the history can
    /// forget its intervals. Needed once in 240 restores that were each followed by commits. May be repeated after a crash: it
    /// only clears words that no version needs.
    public mutating func scrub() throws(StoreError) {
        try scrubRecords(high: lastCommit.smallRecords, large: false)
        try scrubRecords(high: lastCommit.largeRecords, large: true)
        memory.fence()
        var next = history
        next.forgetIntervals()
        // The interval of this very crash is still needed: the pages dirtied above the committed version carry it until the
        // scrub is done, which it is now; but the numbers must not be used again.
        _ = next.abort(above: committed)
        history = next
        history.store(at: historySlots.beginPayload(memory), in: memory)
        historySlots.publish(memory, sequence: history.incarnation)
        memory.fence()
        building = history.firstBuilding
        promised = lastCommit.promisedFrames
    }

    private func isStale(_ born: UInt64) -> Bool {
        born != 0 && (born > committed.value || history.isAborted(Version(born)))
    }

    private func scrubRecords(high: UInt32, large: Bool) throws(StoreError) {
        for number in 0..<high {
            let index = large ? number | RecordClass.largeBit : number
            guard let offset = try recordOffset(index) else { continue }
            for slot: UInt64 in 0..<2 {
                let place = offset + slot * RecordClass.slotBytes(large: large)
                guard let born = check.open48(memory.load(place), at: place) else {
                    throw .damagedRecord(index: index)
                }
                if isStale(born) { clearWord(place) }
            }
            guard let view = try record(index, at: committed), view.kind == ObjectKind.pmo.rawValue else {
                continue
            }
            try scrubTree(of: view, index: index)
        }
    }

    private func scrubTree(of view: RecordView, index: UInt32) throws(StoreError) {
        var fields = reader(of: view)
        let kind = fields.next() & 0xFF
        let pages = min(fields.next(), PageTree.maximumPages)
        guard kind == UInt64(PMOKind.anonymous.rawValue) else { return }
        let root = FrameNumber(UInt32(truncatingIfNeeded: fields.next()))
        let depth = UInt8(truncatingIfNeeded: fields.next())
        let tree = PageTree(owner: ObjectID(index: index, generation: view.generation), root: root, depth: depth)
        var page: UInt64 = 0
        while page < pages {
            guard let offset = try tree.pair(page, in: self) else {
                page = (page / PageTree.pairsPerLeaf + 1) * PageTree.pairsPerLeaf
                continue
            }
            for entry: UInt64 in 0..<2 {
                let place = offset + entry * 16
                guard let born = check.open48(memory.load(place), at: place) else {
                    throw .damagedPage(owner: tree.owner, page: page)
                }
                if isStale(born) { clearWord(place) }
            }
            page += 1
        }
    }

    private func clearWord(_ offset: UInt64) {
        memory.store(0, at: offset)
        memory.flush(offset, length: 8)
    }
}
