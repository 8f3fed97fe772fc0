import ABI

extension StoreChecker {
    mutating func checkRecords(large: Bool) {
        let marks = large ? store.lastCommit.largeRecords : store.lastCommit.smallRecords
        checkRecordNodes(large: large)
        let limit = min(UInt64(marks), RecordClass.capacity(large: large))
        let bit = large ? RecordClass.largeBit : 0
        for number in 0..<limit {
            let index = UInt32(truncatingIfNeeded: number) | bit
            do throws(StoreError) {
                guard let view = try store.record(index, at: store.committed) else { continue }
                recordSum &+= VersionSum.change(of: UInt64(index), from: .never, to: view.born)
                if view.kind == 0 { continue }
                report.records[Int(view.kind) % 16] += 1
                if view.kind == ObjectKind.pmo.rawValue { checkPMO(index, view) }
            } catch {
                report.add(.record(index: index))
            }
        }
    }

    /// The two levels of nodes of a record table.
    private mutating func checkRecordNodes(large: Bool) {
        let root = store.recordRoot(large: large).offset
        for high in 0..<PageTree.fanout {
            switch link(root + high * 8) {
            case .damaged: report.add(.recordTable(large: large, offset: root + high * 8))
            case .absent: continue
            case .to(let middle):
                report.framesPromised += 1
                let stamp = FrameStamp(
                    owner: .none, index: high, role: .recordNode(large: large, level: 1))
                if use(middle, stamp) { checkRecordLeaves(middle, large: large, high: high) }
            }
        }
    }

    private mutating func checkRecordLeaves(_ middle: FrameNumber, large: Bool, high: UInt64) {
        for low in 0..<PageTree.fanout {
            let offset = middle.offset + low * 8
            switch link(offset) {
            case .damaged: report.add(.recordTable(large: large, offset: offset))
            case .absent: continue
            case .to(let leaf):
                report.framesPromised += 1
                let index = high * 512 + low
                _ = use(
                    leaf,
                    FrameStamp(
                        owner: .none, index: index, role: .recordNode(large: large, level: 0)))
            }
        }
    }

    private mutating func checkPMO(_ index: UInt32, _ view: RecordView) {
        var reader = store.reader(of: view)
        guard let record = PMORecord(reading: &reader, in: store.layout) else {
            report.add(.pmo(index: index))
            return
        }
        switch record.kind {
        case .anonymous: break
        case .device: return
        case .eternal:
            if !store.layout.isEternal(record.place, pages: record.pageCount)
                || !claim(record)
            {
                report.add(.pmo(index: index))
            }
            return
        }
        let owner = ObjectID(index: index, generation: view.generation)
        let before = report.framesPromised
        pageSum = 0
        if !record.root.isNone {
            checkNode(record.root, owner, level: record.depth, first: 0, pages: record.pageCount)
        }
        let counted = report.framesPromised - before
        if pageSum != record.pageSum { report.add(.pageSum(index: index)) }
        if counted != record.promised {
            report.add(.pmoPromised(index: index, recorded: record.promised, counted: counted))
        }
    }

    /// No two PMOs share eternal frames that an allocator handed out. True: this one has its own.
    private mutating func claim(_ record: PMORecord) -> Bool {
        let eternal = store.layout.eternal
        guard record.place >= UInt64(eternal.lowerBound) else { return true }
        for frame in record.place..<(record.place + record.pageCount) {
            let bit: UInt64 = 1 << (frame % 64)
            if used[Int(frame / 64)] & bit != 0 { return false }
            used[Int(frame / 64)] |= bit
        }
        return true
    }

    /// Depth is at most 3, and a frame is entered once, so the recursion is bounded.
    private mutating func checkNode(
        _ node: FrameNumber, _ owner: ObjectID, level: UInt8, first: UInt64, pages: UInt64
    ) {
        report.framesPromised += 1
        let number = first / PageTree.capacity(depth: level)
        if !use(node, FrameStamp(owner: owner, index: number, role: .node(level: level))) { return }
        if level == 0 {
            for index in 0..<PageTree.pairsPerLeaf {
                checkPair(node, owner, index, first + index, pages: pages)
            }
            return
        }
        for index in 0..<PageTree.fanout {
            let offset = node.offset + index * 8
            switch link(offset) {
            case .damaged: report.add(.node(owner: owner, offset: offset))
            case .absent: continue
            case .to(let below):
                let start = first + index * PageTree.span(level: level)
                checkNode(below, owner, level: level - 1, first: start, pages: pages)
            }
        }
    }

    private mutating func checkPair(
        _ leaf: FrameNumber, _ owner: ObjectID, _ index: UInt64, _ page: UInt64, pages: UInt64
    ) {
        let offset = leaf.offset + index * PagePair.byteCount
        guard let first = store.loadEntry(offset), let second = store.loadEntry(offset + 16) else {
            report.add(.pair(owner: owner, page: page))
            return
        }
        let pair = PagePair(first: first, second: second)
        guard let choice = restoreChoice(pair, at: store.committed, history: store.history),
            !pair[choice].frame.isNone
        else { return }
        if page >= pages { report.add(.pageBeyondEnd(owner: owner, page: page)) }
        report.pages += 1
        pageSum &+= VersionSum.change(of: page, from: .never, to: pair[choice].born)
        report.framesPromised += 2
        let stamp = FrameStamp(owner: owner, index: page, role: .page)
        _ = use(pair[choice].frame, stamp)
        let other = pair[1 - choice]
        if !other.frame.isNone
            && validBorn(other.born, at: store.committed, history: store.history) != .never
        {
            _ = use(other.frame, stamp)
        }
    }
}
