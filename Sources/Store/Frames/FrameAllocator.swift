import ABI

/// Finds the page tree of a PMO that lives, or is dying but not yet reaped. The allocator asks it
/// whether a stamped frame is still referred to.
public protocol PageTreeOwners: ~Copyable {
    func pageTree(of owner: ObjectID) -> PageTree?
}

/// The volatile part of the allocator: a stack of frames known to be free, filled zone by zone from
/// the stamps.
///
/// Invariants: a frame on the stack is in a scanned zone and is referred to by no live page, node
/// or record table; frames are handed out of scanned zones only, so a frame freed in an unscanned
/// zone needs no note: the scan finds it.
struct FreeFrames {
    let stack: UnsafeMutablePointer<UInt32>
    var count = 0
    /// First frame that was not scanned yet.
    var scannedUpTo: UInt32

    init(layout: StoreLayout) {
        stack = .allocate(capacity: Int(layout.dataFrames))
        scannedUpTo = layout.firstDataFrame
    }
}

extension Store {
    /// Frames that may still be promised to someone.
    public var framesAvailable: UInt64 {
        assert(promised <= UInt64(layout.dataFrames), "more frames are promised than there are")
        return UInt64(layout.dataFrames) - promised
    }

    /// Hands out a frame and stamps it. `promising` = frames to count against the store: this one,
    /// and a backup that will be needed (2), or this one only (1).
    mutating func allocate<Owners: PageTreeOwners>(
        _ stamp: FrameStamp, promising: UInt64, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        if framesAvailable < promising { throw .full }
        let frame = try takeFrame(stamp, owners: owners)
        promised += promising
        assert(promised <= UInt64(layout.dataFrames), "more frames are promised than there are")
        return frame
    }

    /// Hands out a frame that was promised before: cannot be refused.
    mutating func allocateReserved<Owners: PageTreeOwners>(
        _ stamp: FrameStamp, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        try takeFrame(stamp, owners: owners)
    }

    private mutating func takeFrame<Owners: PageTreeOwners>(
        _ stamp: FrameStamp, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        while free.count == 0 {
            if free.scannedUpTo >= layout.frameCount { throw .full }
            scanZone(owners: owners)
        }
        free.count -= 1
        let frame = FrameNumber(free.stack[free.count])
        assert(layout.isDataFrame(frame), "a frame that is not the allocator's")
        if assertionsAreOn {
            let isUsed = isReferenced(frame, owners: owners)
            assert(!isUsed, "a frame in use is handed out")
        }
        stamp.store(to: memory, at: layout.stampOffset(frame), check: check)
        return frame
    }

    /// Notes that nothing needs a frame any more. What referred to it is durable in its new form.
    mutating func free(_ frame: FrameNumber) {
        assert(layout.isDataFrame(frame), "a frame that is not the allocator's")
        if frame.value >= free.scannedUpTo { return }
        assert(free.count < Int(layout.dataFrames), "more frames are free than there are")
        free.stack[free.count] = frame.value
        free.count += 1
    }

    private mutating func scanZone<Owners: PageTreeOwners>(owners: borrowing Owners) {
        let start = free.scannedUpTo
        let end = min(start + StoreLayout.zoneFrames, layout.frameCount)
        // From the top, so that low frames are handed out first.
        var frame = end
        while frame > start {
            frame -= 1
            if !isReferenced(FrameNumber(frame), owners: owners) {
                free.stack[free.count] = frame
                free.count += 1
            }
        }
        free.scannedUpTo = end
    }

    /// Whether the owner that a frame's stamp names still refers to the frame. A damaged stamp, or
    /// damage on the way to the owner's reference, counts as referred to: the frame is left alone,
    /// and nobody else is troubled by it.
    func isReferenced<Owners: PageTreeOwners>(_ frame: FrameNumber, owners: borrowing Owners)
        -> Bool
    {
        switch FrameStamp.load(from: memory, at: layout.stampOffset(frame), check: check) {
        case .blank: return false
        case .damaged: return true
        case .good(let stamp):
            do throws(StoreError) {
                return try isReferenced(frame, by: stamp, owners: owners)
            } catch {
                return true
            }
        }
    }

    private func isReferenced<Owners: PageTreeOwners>(
        _ frame: FrameNumber, by stamp: FrameStamp, owners: borrowing Owners
    ) throws(StoreError) -> Bool {
        switch stamp.role {
        case .recordNode(let large, let level):
            let root = recordRoot(large: large)
            if level == 1 {
                return try child(of: root, index: stamp.index % 512, owner: .none) == frame
            }
            let middle = try child(of: root, index: stamp.index / 512 % 512, owner: .none)
            if middle.isNone { return false }
            return try child(of: middle, index: stamp.index % 512, owner: .none) == frame
        case .node(let level):
            guard let tree = owners.pageTree(of: stamp.owner), level <= tree.depth else {
                return false
            }
            let pages = PageTree.capacity(depth: level)
            let (first, overflow) = stamp.index.multipliedReportingOverflow(by: pages)
            if overflow { return false }
            return try tree.node(level: level, covering: first, in: self) == frame
        case .page:
            guard let tree = owners.pageTree(of: stamp.owner),
                let offset = try tree.pair(stamp.index, in: self)
            else { return false }
            let pair = try loadPair(offset, owner: stamp.owner, page: stamp.index)
            return isLive(frame, in: pair)
        }
    }

    /// Whether a pair needs a frame: as its newest content, or as the other copy unless a
    /// *committed* hole hides it.
    public func isLive(_ frame: FrameNumber, in pair: PagePair) -> Bool {
        guard let choice = restoreChoice(pair, at: building, history: history) else { return false }
        if pair[choice].frame == frame { return true }
        if pair[1 - choice].frame != frame || !isValid(pair[1 - choice]) { return false }
        return !(pair[choice].frame.isNone && pair[choice].born <= committed)
    }
}
