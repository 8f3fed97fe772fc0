import ABI

/// What a page is right now.
public enum PageState: Equatable, Sendable {
    /// Zeros: no frame holds it.
    case absent
    /// In a frame; `dirty` when it was already made writable for the version being built.
    case present(FrameNumber, dirty: Bool)
}

/// What `makeWritable` did, for the counters.
public enum WriteOutcome: Equatable, Sendable {
    case alreadyDirty(FrameNumber)
    case copied(FrameNumber)
    case fresh(FrameNumber)
    /// The page showed a frame of the image and now has its own: what knows the old one must forget
    /// it.
    case moved(FrameNumber)

    @inlinable public var frame: FrameNumber {
        switch self {
        case .alreadyDirty(let frame), .copied(let frame), .fresh(let frame), .moved(let frame):
            frame
        }
    }
}

extension Store {
    /// Where a page's current content is. The fault path of a read.
    public func pageState(_ page: UInt64, of tree: PageTree) throws(StoreError) -> PageState {
        guard let offset = try tree.pair(page, in: self) else { return untouched(page, of: tree) }
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        guard let choice = restoreChoice(pair, at: building, history: history) else {
            return untouched(page, of: tree)
        }
        let entry = pair[choice]
        if entry.frame.isNone { return .absent }
        return .present(entry.frame, dirty: entry.born == building)
    }

    /// A page whose pair says nothing.
    private func untouched(_ page: UInt64, of tree: PageTree) -> PageState {
        tree.baseFrame(page).map { .present($0, dirty: false) } ?? .absent
    }

    /// Makes a page's frame writable for the version being built, keeping what the last committed
    /// version needs: the gate that every write to a page goes through, the kernel's own writes
    /// included.
    ///
    /// Protocol and order: see `PagePair`. Cannot fail for want of a *backup* frame, which was
    /// reserved when the page got its first frame.
    public mutating func makeWritable<Owners: PageTreeOwners>(
        _ page: UInt64, of tree: inout PageTree, owners: borrowing Owners
    ) throws(StoreError) -> WriteOutcome {
        let offset = try tree.ensurePair(page, in: &self, owners: owners)
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        let found = restoreChoice(pair, at: building, history: history)
        guard let choice = found, !pair[choice].frame.isNone else {
            // A hole hides what the image has there.
            let source = found == nil ? tree.baseFrame(page) : nil
            let frame = try addPage(
                page, of: tree, pair: pair, at: offset, from: source, owners: owners)
            tree.sum &+= VersionSum.change(of: page, from: .never, to: building)
            return source == nil ? .fresh(frame) : .moved(frame)
        }
        let newest = pair[choice]
        if newest.born == building { return .alreadyDirty(newest.frame) }

        let other = 1 - choice
        var backup = pair[other].frame
        if validBorn(pair[other].born, at: building, history: history) == .never || backup.isNone {
            let stamp = FrameStamp(owner: tree.owner, index: page, role: .page)
            backup = try allocateReserved(stamp, owners: owners)
            memory.fence()
            // The entry's old version is not valid, so the new frame number takes effect only with
            // the next one.
            storeFrame(backup, pair: offset, entry: other)
        }
        memory.copyFrame(from: newest.frame, to: backup)
        memory.flush(backup.offset, length: pageSize)
        memory.fence()
        assert(backup != newest.frame, "a page and its backup share a frame")
        assert(newest.born <= committed, "a version between the committed one and the next")
        assert(memory.isDurable(newest.frame), "a committed page is not durable")
        assert(memory.isDurable(backup), "a backup is named before it is durable")
        assert(memory.isDurable(offset, length: PagePair.byteCount), "a pair in the making")
        storeBorn(newest.born, pair: offset, entry: other)
        memory.fence()
        assert(memory.isDurable(offset, length: PagePair.byteCount), "the backup's version is lost")
        storeBorn(building, pair: offset, entry: choice)
        memory.fence()
        assert(memory.isDurable(offset, length: PagePair.byteCount), "the page's version is lost")
        noteDirty(newest.frame)
        tree.sum &+= VersionSum.change(of: page, from: newest.born, to: building)
        assert(isPage(page, at: offset, in: newest.frame, backup: backup), "a copy went wrong")
        return .copied(newest.frame)
    }

    /// A page that did not exist gets a zeroed frame, one that showed the image a copy. If a hole
    /// of this same version is in the pair, the frame replaces it; else it goes to the entry that
    /// the committed version does not need.
    mutating func addPage<Owners: PageTreeOwners>(
        _ page: UInt64, of tree: PageTree, pair: PagePair, at offset: UInt64,
        from source: FrameNumber?, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        let stamp = FrameStamp(owner: tree.owner, index: page, role: .page)
        let hole = restoreChoice(pair, at: building, history: history)
        if let hole, pair[hole].born == building {
            // A committed frame in the other entry becomes the backup after all; else one is
            // promised now.
            let isKept = isValid(pair[1 - hole])
            let frame = try allocate(stamp, promising: isKept ? 1 : 2, owners: owners)
            if isKept { deferred -= 1 }
            clear(frame)
            assert(memory.isDurable(frame), "a new page shows what its frame held before")
            storeFrame(frame, pair: offset, entry: hole)
            noteDirty(frame)
            return frame
        }
        let entry = hole.map { 1 - $0 } ?? 0
        let frame = try allocate(stamp, promising: 2, owners: owners)
        if let source {
            memory.copyFrame(from: source, to: frame)
            memory.flush(frame.offset, length: pageSize)
            memory.fence()
        } else {
            clear(frame)
        }
        if validBorn(pair[entry].born, at: building, history: history) != .never {
            storeBorn(.never, pair: offset, entry: entry)
            memory.fence()
        }
        storeFrame(frame, pair: offset, entry: entry)
        memory.fence()
        assert(memory.isDurable(frame), "a new page shows what its frame held before")
        assert(memory.isDurable(offset, length: PagePair.byteCount), "a pair in the making")
        storeBorn(building, pair: offset, entry: entry)
        noteDirty(frame)
        return frame
    }

    /// For assertions: the pair, read back, says that the page is writable in one frame and that the
    /// committed version is in the other.
    private func isPage(
        _ page: UInt64, at offset: UInt64, in frame: FrameNumber, backup: FrameNumber
    ) -> Bool {
        guard let pair = try? loadPair(offset, owner: .none, page: page),
            let now = restoreChoice(pair, at: building, history: history),
            let before = restoreChoice(pair, at: committed, history: history)
        else { return false }
        return pair[now].frame == frame && pair[now].born == building
            && pair[before].frame == backup && now != before
    }

    private func clear(_ frame: FrameNumber) {
        memory.zeroFrame(frame)
        memory.flush(frame.offset, length: pageSize)
        memory.fence()
    }

    /// An entry that holds content in a frame at the building version or before.
    func isValid(_ entry: PagePair.Entry) -> Bool {
        !entry.frame.isNone && validBorn(entry.born, at: building, history: history) != .never
    }

    /// Makes a page read as zeros from the building version on. True: the frame that the committed
    /// version needs is still there, and `finishDecommit` must be called for this page after the
    /// commit.
    public mutating func decommit<Owners: PageTreeOwners>(
        _ page: UInt64, of tree: inout PageTree, owners: borrowing Owners
    ) throws(StoreError) -> Bool {
        guard let offset = try tree.pair(page, in: self) else {
            return try hideBase(page, of: &tree, owners: owners)
        }
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        guard let choice = restoreChoice(pair, at: building, history: history) else {
            return try hideBase(page, of: &tree, owners: owners)
        }
        if pair[choice].frame.isNone { return false }
        let newest = pair[choice]
        let other = pair[1 - choice]
        tree.sum &+= VersionSum.change(of: page, from: newest.born, to: .never)
        if newest.born == building {
            storeFrame(.none, pair: offset, entry: choice)
            memory.fence()
            free(newest.frame)
            promised -= 1
            if isValid(other) {
                deferred += 1
                return true
            }
            promised -= 1
            return false
        }
        storeFrame(.none, pair: offset, entry: 1 - choice)
        memory.fence()
        storeBorn(building, pair: offset, entry: 1 - choice)
        memory.fence()
        if isValid(other) { free(other.frame) }
        promised -= 1
        deferred += 1
        return true
    }

    /// A hole for a page whose pair says nothing, if it shows the image. No frame comes free.
    private mutating func hideBase<Owners: PageTreeOwners>(
        _ page: UInt64, of tree: inout PageTree, owners: borrowing Owners
    ) throws(StoreError) -> Bool {
        if tree.baseFrame(page) == nil { return false }
        let offset = try tree.ensurePair(page, in: &self, owners: owners)
        storeFrame(.none, pair: offset, entry: 0)
        memory.fence()
        storeBorn(building, pair: offset, entry: 0)
        memory.fence()
        assert(memory.isDurable(offset, length: PagePair.byteCount), "a hole that may not last")
        return false
    }

    /// After the commit of a hole: frees the frame that held the page before. Looks again, since
    /// the page may have been written anew between `decommit` and the commit. To be called right
    /// after that commit, before any other change to the store: until then the frame counts as free
    /// for a scan, but not as given back.
    public mutating func finishDecommit(_ page: UInt64, of tree: PageTree) throws(StoreError) {
        guard let offset = try tree.pair(page, in: self) else { return }
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        guard let hole = restoreChoice(pair, at: committed, history: history),
            pair[hole].frame.isNone,
            isValid(pair[1 - hole]), pair[1 - hole].born <= committed
        else { return }
        storeBorn(.never, pair: offset, entry: 1 - hole)
        memory.fence()
        assert(memory.isDurable(offset, length: PagePair.byteCount), "a version still counts")
        storeFrame(.none, pair: offset, entry: 1 - hole)
        memory.fence()
        free(pair[1 - hole].frame)
        promised -= 1
        deferred -= 1
    }
}
