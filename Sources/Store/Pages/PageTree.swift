import ABI

/// The page table of a PMO on NVM: a radix tree whose leaves hold 128 page pairs and whose inner
/// nodes hold 512 checked frame numbers. Nodes are only ever added while the PMO lives, so the tree
/// needs no versions: a node that a crash made meaningless holds no valid pair, and the restore
/// unlinks it (`LinkLog`).
///
/// A tree may have a base: frames of the store's image that its first pages show until they are
/// written or given back. A page whose pair says nothing is the base's; a hole hides it, and so does
/// a frame. The base is part of the PMO's record and so of a version.
public struct PageTree: Equatable, Sendable {
    public var owner: ObjectID
    public var root: FrameNumber
    /// Levels of inner nodes above the leaves.
    public var depth: UInt8
    /// Sum over the pages that have a frame (`VersionSum`).
    public var sum: UInt64
    /// The image's frame that page 0 shows.
    public var base = FrameNumber.none
    /// Pages, from 0 on, that have a base.
    public var basePages: UInt64 = 0

    public init(owner: ObjectID, root: FrameNumber = .none, depth: UInt8 = 0, sum: UInt64 = 0) {
        self.owner = owner
        self.root = root
        self.depth = depth
        self.sum = sum
    }

    public static let pairsPerLeaf: UInt64 = 128
    public static let fanout: UInt64 = 512
    public static let maximumDepth: UInt8 = 3
    /// Pages that a tree of this depth can hold.
    public static func capacity(depth: UInt8) -> UInt64 {
        pairsPerLeaf << (9 * UInt64(min(depth, maximumDepth)))
    }
    public static let maximumPages = capacity(depth: maximumDepth)

    /// The frame that a page shows when its pair says nothing.
    @inlinable public func baseFrame(_ page: UInt64) -> FrameNumber? {
        page < basePages ? FrameNumber(base.value &+ UInt32(truncatingIfNeeded: page)) : nil
    }

    /// Pages below one entry of an inner node of `level` (1 = right above the leaves).
    static func span(level: UInt8) -> UInt64 { capacity(depth: level - 1) }
}

extension PageTree {
    /// Offset of a page's pair, or nil if no leaf covers it.
    public func pair<Memory: PersistentMemory>(
        _ page: UInt64, in store: borrowing Store<Memory>
    ) throws(StoreError) -> UInt64? {
        guard let leaf = try node(level: 0, covering: page, in: store) else { return nil }
        return leaf.offset + page % PageTree.pairsPerLeaf * PagePair.byteCount
    }

    /// The node of a level on the way to a page.
    func node<Memory: PersistentMemory>(
        level wanted: UInt8, covering page: UInt64, in store: borrowing Store<Memory>
    ) throws(StoreError) -> FrameNumber? {
        if root.isNone || page >= PageTree.capacity(depth: depth) || wanted > depth { return nil }
        var node = root
        var level = depth
        while level > wanted {
            let index = page / PageTree.span(level: level) % PageTree.fanout
            node = try store.child(of: node, index: index, owner: owner)
            if node.isNone { return nil }
            level -= 1
        }
        return node
    }

    /// Offset of a page's pair, adding the nodes that are missing. The root or depth may change:
    /// the owner's record is dirty then.
    public mutating func ensurePair<Memory: PersistentMemory, Owners: PageTreeOwners>(
        _ page: UInt64, in store: inout Store<Memory>, owners: borrowing Owners
    ) throws(StoreError) -> UInt64 {
        if page >= PageTree.maximumPages { throw .full }
        if root.isNone {
            while PageTree.capacity(depth: depth) <= page { depth += 1 }
            root = try store.allocateNode(owner: owner, level: depth, index: 0, owners: owners)
        }
        while PageTree.capacity(depth: depth) <= page {
            let above = try store.allocateNode(
                owner: owner, level: depth + 1, index: 0, owners: owners)
            store.setChild(of: above, index: 0, to: root)
            root = above
            depth += 1
        }
        var node = root
        var level = depth
        while level > 0 {
            let span = PageTree.span(level: level)
            let index = page / span % PageTree.fanout
            var next = try store.child(of: node, index: index, owner: owner)
            if next.isNone {
                next = try store.allocateNode(
                    owner: owner, level: level - 1, index: page / span, owners: owners)
                store.setChild(of: node, index: index, to: next)
            }
            node = next
            level -= 1
        }
        assert(store.layout.isDataFrame(node), "a leaf outside the data frames")
        return node.offset + page % PageTree.pairsPerLeaf * PagePair.byteCount
    }
}

extension Store {
    /// An inner node's entry.
    @inlinable func child(
        of node: FrameNumber, index: UInt64, owner: ObjectID
    ) throws(StoreError) -> FrameNumber {
        let offset = node.offset + index * 8
        guard let value = check.open32(memory.load(offset), at: offset),
            value == 0 || layout.isDataFrame(FrameNumber(value))
        else { throw .damagedTable(owner: owner, offset: offset) }
        return FrameNumber(value)
    }

    /// Links a node that is already empty; the flush is durable before anything below is committed.
    mutating func setChild(of node: FrameNumber, index: UInt64, to child: FrameNumber) {
        let offset = node.offset + index * 8
        assert(index < PageTree.fanout && !child.isNone, "a link to nothing, or from nowhere")
        assert(memory.isDurable(child), "a node is linked before it is durable")
        noteLink(offset)
        memory.fence()
        assert(isLinkNoted(offset), "a link that no restore would take away")
        memory.store(check.seal32(child.value, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }

    mutating func allocateNode<Owners: PageTreeOwners>(
        owner: ObjectID, level: UInt8, index: UInt64, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        let stamp = FrameStamp(owner: owner, index: index, role: .node(level: level))
        let frame = try allocate(stamp, promising: 1, owners: owners)
        if level == 0 { emptyLeaf(frame) } else { memory.fillLinks(frame, check) }
        memory.flush(frame.offset, length: pageSize)
        memory.fence()
        return frame
    }

    /// A leaf without pages: born and frame in turn.
    private func emptyLeaf(_ frame: FrameNumber) {
        let check = check
        memory.fillFrame(frame) { offset in
            offset & 8 == 0 ? check.seal48(0, at: offset) : check.seal32(0, at: offset)
        }
    }

    /// Loads a pair; throws when a word fails its check.
    @inlinable public func loadPair(
        _ offset: UInt64, owner: ObjectID, page: UInt64
    ) throws(StoreError) -> PagePair {
        guard let first = loadEntry(offset), let second = loadEntry(offset + 16)
        else { throw .damagedPage(owner: owner, page: page) }
        return PagePair(first: first, second: second)
    }

    @usableFromInline func loadEntry(_ offset: UInt64) -> PagePair.Entry? {
        guard let born = check.open48(memory.load(offset), at: offset),
            let frame = check.open32(memory.load(offset + 8), at: offset + 8),
            frame == 0 || layout.isDataFrame(FrameNumber(frame))
        else { return nil }
        return PagePair.Entry(born: Version(born), frame: FrameNumber(frame))
    }

    func storeBorn(_ born: Version, pair: UInt64, entry: Int) {
        assert(born <= building, "a version that is not in the making")
        assert(!history.isAborted(born), "a version that never counts")
        let offset = pair + UInt64(entry) * 16
        memory.store(check.seal48(born.value, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }

    func storeFrame(_ frame: FrameNumber, pair: UInt64, entry: Int) {
        assert(frame.isNone || layout.isDataFrame(frame), "a page outside the data frames")
        let offset = pair + UInt64(entry) * 16 + 8
        memory.store(check.seal32(frame.value, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }
}
