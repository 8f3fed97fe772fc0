import ABI

extension Store {
    /// Frees the frames of a dead PMO's tree, at most `limit` leaves a call. Only after the version
    /// that lacks the PMO is committed. Clears what it frees, so that a scan sees the same. Returns
    /// true when the tree is gone; `tree`'s depth and root say where to go on, `released` counts
    /// the promised frames given back.
    public mutating func reap(
        _ tree: inout PageTree, leaves limit: Int, released: inout UInt64
    ) throws(StoreError) -> Bool {
        if tree.root.isNone { return true }
        var left = limit
        if try reapNode(tree.root, level: tree.depth, of: tree, left: &left, released: &released) {
            free(tree.root)
            promised -= 1
            released += 1
            tree.root = .none
            return true
        }
        return false
    }

    /// Depth is at most 3, so the recursion is bounded.
    private mutating func reapNode(
        _ node: FrameNumber, level: UInt8, of tree: PageTree, left: inout Int,
        released: inout UInt64
    ) throws(StoreError) -> Bool {
        if level == 0 {
            if left == 0 { return false }
            left -= 1
            try reapLeaf(node, of: tree, released: &released)
            return true
        }
        for index in 0..<PageTree.fanout {
            let below = try child(of: node, index: index, owner: tree.owner)
            if below.isNone { continue }
            let done = try reapNode(
                below, level: level - 1, of: tree, left: &left, released: &released)
            if !done { return false }
            memory.store(check.seal32(0, at: node.offset + index * 8), at: node.offset + index * 8)
            free(below)
            promised -= 1
            released += 1
        }
        return true
    }

    private mutating func reapLeaf(
        _ leaf: FrameNumber, of tree: PageTree, released: inout UInt64
    ) throws(StoreError) {
        for index in 0..<PageTree.pairsPerLeaf {
            let offset = leaf.offset + index * PagePair.byteCount
            let pair = try loadPair(offset, owner: tree.owner, page: index)
            if pair == PagePair(first: .empty, second: .empty) { continue }
            if let choice = restoreChoice(pair, at: building, history: history),
                !pair[choice].frame.isNone
            {
                assert(promised >= 2, "more is released than was promised")
                promised -= 2
                released += 2
            }
            for entry in 0..<2 where isLive(pair[entry].frame, in: pair) {
                let frame = pair[entry].frame
                if !frame.isNone && !(entry == 1 && frame == pair.first.frame) { free(frame) }
            }
            for entry in 0..<2 {
                storeBorn(.never, pair: offset, entry: entry)
                storeFrame(.none, pair: offset, entry: entry)
            }
        }
    }
}
