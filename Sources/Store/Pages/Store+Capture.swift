import ABI

/// The second way of a page into a version, beside `makeWritable`: its runtime copy is in DRAM
/// while programs write it, and is copied into the older of its two frames when the version is
/// made. The rule that chooses is the same (`restoreChoice`).
extension Store {
    /// The frame that holds a page's content now, if that is the content of the committed version:
    /// what may be copied to DRAM and be written there. Nil when the page was already written in
    /// place in this version, is a hole, or shows the image: then the frame that the committed
    /// version needs is the other one, or there is no pair to capture into.
    public func cleanFrame(_ page: UInt64, of tree: PageTree) throws(StoreError) -> FrameNumber? {
        guard let offset = try tree.pair(page, in: self) else { return nil }
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        guard let choice = restoreChoice(pair, at: building, history: history) else { return nil }
        let entry = pair[choice]
        return entry.frame.isNone || entry.born == building ? nil : entry.frame
    }

    /// Makes 4,096 bytes of DRAM the content of a page in the version being built. The page was
    /// clean (`cleanFrame`) and is captured at most once in a version.
    ///
    /// Order: none is needed before the commit. Nothing that the committed version needs is
    /// touched: the older frame is never its choice, whatever of the content and of the new `born`
    /// survives a crash, because the building version does not count then. The commit's fence makes
    /// all of it durable. Cannot fail for want of a frame: the second one was promised when the
    /// page got its first.
    public mutating func capture<Owners: PageTreeOwners>(
        _ page: UInt64, of tree: inout PageTree, from source: UnsafeRawPointer,
        owners: borrowing Owners
    ) throws(StoreError) {
        guard let offset = try tree.pair(page, in: self) else {
            throw .damagedPage(owner: tree.owner, page: page)
        }
        let pair = try loadPair(offset, owner: tree.owner, page: page)
        guard let newest = restoreChoice(pair, at: building, history: history),
            !pair[newest].frame.isNone, pair[newest].born <= committed
        else { throw .damagedPage(owner: tree.owner, page: page) }
        let older = 1 - newest
        var frame = pair[older].frame
        if !isValid(pair[older]) {
            let stamp = FrameStamp(owner: tree.owner, index: page, role: .page)
            frame = try allocateReserved(stamp, owners: owners)
            memory.fence()
            storeFrame(frame, pair: offset, entry: older)
        }
        assert(frame != pair[newest].frame, "a capture over what the committed version needs")
        memory.writeFrame(frame, from: source)
        memory.flush(frame.offset, length: pageSize)
        storeBorn(building, pair: offset, entry: older)
        tree.sum &+= VersionSum.change(of: page, from: pair[newest].born, to: building)
        assert(isCaptured(page, of: tree, in: frame), "a capture went wrong")
    }

    /// For assertions: the pair, read back, gives the building version the captured frame, and the
    /// committed one the other.
    private func isCaptured(_ page: UInt64, of tree: PageTree, in frame: FrameNumber) -> Bool {
        guard let offset = try? tree.pair(page, in: self),
            let pair = try? loadPair(offset, owner: tree.owner, page: page),
            let now = restoreChoice(pair, at: building, history: history),
            let before = restoreChoice(pair, at: committed, history: history)
        else { return false }
        return pair[now].frame == frame && pair[now].born == building && now != before
    }
}
