import ABI
import Store

extension StoreWorld {
    /// One random change, or a checkpoint.
    public func step() {
        do throws(StoreError) {
            if store.mustCommit { return try checkpoint() }
            switch random.below(20) {
            case 0...1: try create()
            case 2...10: try write()
            case 11...13: try decommit()
            case 14: kill()
            case 15...16: try reap(leaves: 1 + random.below(3))
            default: try checkpoint()
            }
        } catch {
            if error != .full { log.add("v\(store.building.value): a step failed: \(error)") }
        }
    }

    private func create() throws(StoreError) {
        let position = random.below(WorldModel.indices.count)
        if table.pmos[position] != nil { return }
        let index = WorldModel.indices[position]
        try store.ensureRecord(index, owners: table)
        records[position].generation += 1
        records[position].isDirty = true
        let owner = ObjectID(index: index, generation: records[position].generation)
        var tree = PageTree(owner: owner)
        var words = WorldModel.blank
        if random.below(3) == 0 {
            // Shows the image: some pages from the beginning.
            let pages = 1 + random.below(Int(WorldModel.imageFrames))
            tree.base = FrameNumber(store.layout.image.lowerBound)
            tree.basePages = UInt64(pages)
            words = WorldModel.image(pages: UInt64(pages))
        }
        table.pmos[position] = WorldPMO(tree: tree)
        model.pmos[position] = WorldModel.PMO(generation: owner.generation, words: words)
    }

    private func living() -> Int? {
        let start = random.below(WorldModel.indices.count)
        for step in 0..<WorldModel.indices.count {
            let position = (start + step) % WorldModel.indices.count
            if table.pmos[position]?.life == .alive { return position }
        }
        return nil
    }

    private func write() throws(StoreError) {
        guard let position = living(), var pmo = table.pmos[position] else { return }
        let page = random.below(WorldModel.pages.count)
        let before = (store.promisedNet, pmo.tree)
        // Also after a failure, the nodes that were added are the PMO's.
        defer {
            pmo.promised = pmo.promised &+ store.promisedNet &- before.0
            table.pmos[position] = pmo
            if pmo.tree != before.1 { records[position].isDirty = true }
        }
        let key = try warm(position, page, pmo.tree)
        let frame: FrameNumber? =
            key == nil
            ? try store.makeWritable(WorldModel.pages[page], of: &pmo.tree, owners: table).frame
            : nil
        for _ in 0...random.below(3) {
            let number = random.below(WorldModel.offsets.count)
            let value = random.next()
            if let frame { nvm.store(value, at: frame.offset + WorldModel.offsets[number]) }
            if let key {
                hot[key]?.words[Int(WorldModel.offsets[number] / 8)] = value
                hot[key]?.isDirty = true
            }
            model.pmos[position].words[page * WorldModel.offsets.count + number] = value
        }
    }

    private func decommit() throws(StoreError) {
        guard let position = living(), var pmo = table.pmos[position] else { return }
        let page = random.below(WorldModel.pages.count)
        let before = (store.promisedNet, pmo.tree)
        // Also after a failure, the nodes that were added are the PMO's.
        defer {
            if store.promisedNet != before.0 || pmo.tree != before.1 {
                records[position].isDirty = true
            }
            pmo.promised = pmo.promised &+ store.promisedNet &- before.0
            table.pmos[position] = pmo
        }
        dropHot(position, page: page)
        if try store.decommit(WorldModel.pages[page], of: &pmo.tree, owners: table) {
            deferred.append((position, page))
        }
        for number in WorldModel.offsets.indices {
            model.pmos[position].words[page * WorldModel.offsets.count + number] = 0
        }
    }

    private func kill() {
        guard let position = living() else { return }
        table.pmos[position]?.life = .dying
        dropHot(position)
        records[position].isDirty = true
        model.pmos[position] = WorldModel.PMO()
    }

    private func reap(leaves: Int) throws(StoreError) {
        for position in WorldModel.indices.indices {
            guard var pmo = table.pmos[position], pmo.life == .dead else { continue }
            var released: UInt64 = 0
            let isGone = try store.reap(&pmo.tree, leaves: leaves, released: &released)
            pmo.promised -= released
            table.pmos[position] = pmo
            if isGone {
                if pmo.promised != 0 {
                    log.add("PMO \(position) keeps \(pmo.promised) promised frames after its death")
                }
                table.pmos[position] = nil
            }
            return
        }
    }
}

extension StoreWorld {
    /// The kernel's procedure: records of what changed, pages, commit; then what waited for the
    /// commit.
    public func checkpoint() throws(StoreError) {
        try captureHot()
        try writeRecords()
        store.flushDirtyPages()
        var record = CommitRecord()
        for index in WorldModel.indices {
            let number = (index & ~RecordClass.largeBit) + 1
            if RecordClass.isLarge(index) {
                record.largeRecords = max(record.largeRecords, number)
            } else {
                record.smallRecords = max(record.smallRecords, number)
            }
        }
        var releasing: UInt64 = 0
        for case .some(let pmo) in table.pmos where pmo.life != .alive { releasing += pmo.promised }
        var next = model
        next.version = store.building.value
        inFlight = next
        store.commit(record, releasing: releasing)
        committedModel = next
        model = next
        inFlight = nil
        log.commits += 1
        try afterCommit()
    }

    private func writeRecords() throws(StoreError) {
        let changed = WorldModel.indices.indices.filter { records[$0].isDirty }
        for position in changed {
            try store.announceRecord(
                WorldModel.indices[position], slot: 1 - (records[position].slot ?? 1))
        }
        nvm.fence()
        for position in changed {
            let slot = 1 - (records[position].slot ?? 1)
            var writer = try store.recordWriter(WorldModel.indices[position], slot: slot)
            var kind: UInt8 = 0
            if let pmo = table.pmos[position], pmo.life == .alive {
                kind = ObjectKind.pmo.rawValue
                var record = PMORecord(kind: .anonymous, pageCount: WorldModel.pageCount)
                record.root = pmo.tree.root
                record.depth = pmo.tree.depth
                record.promised = pmo.promised
                record.pageSum = pmo.tree.sum
                record.base = pmo.tree.base
                record.basePages = pmo.tree.basePages
                record.write(to: &writer)
            }
            _ = writer.finish(kind: kind, generation: records[position].generation)
            records[position].slot = slot
            records[position].isDirty = false
        }
    }

    private func afterCommit() throws(StoreError) {
        for (position, page) in deferred {
            guard let pmo = table.pmos[position] else { continue }
            try store.finishDecommit(WorldModel.pages[page], of: pmo.tree)
        }
        deferred.removeAll()
        if store.deferred != 0 {
            log.add("v\(store.committed.value): \(store.deferred) frames were not given back")
        }
        for position in table.pmos.indices where table.pmos[position]?.life == .dying {
            table.pmos[position]?.life = .dead
        }
        if probing.checksTables { checkTables() }
    }

    /// The checker's count against the allocator's: nothing leaked, nothing used twice.
    func checkTables() {
        let report = StoreChecker.check(nvm)
        if !report.isGood { log.add("v\(store.committed.value): \(report.damage)") }
        var waiting: UInt64 = 0
        for case .some(let pmo) in table.pmos where pmo.life != .alive { waiting += pmo.promised }
        if store.promised != report.framesPromised + waiting {
            log.add(
                "v\(store.committed.value): \(store.promised) frames promised, \(report.framesPromised) counted, "
                    + "\(waiting) with the dead")
        }
    }
}
