import PersistentMemory

extension PArrayEditor {
    /// Undo mode: logs all elements at once, so that one fence covers every later store to them.
    /// Worth it for a transaction that changes many of them. Does nothing in redo mode.
    public func announce() {
        let array = value
        let lane = place.location.lane
        guard lane.state.pointee.mode == .undo, array.storedCount > 0 else { return }
        let reader = LaneReader(lane: lane)
        let stride = MemoryLayout<Element>.stride
        array.check(in: reader)
        let first = array.isInPieces ? array.headPieces << Stored.pieceShift : array.storedCount
        var (from, to) = (0, Swift.min(first, array.storedCount))
        while from < to {
            lane.announce(array.address(from, in: reader), (to - from) * stride)
            (from, to) = (to, Swift.min(to + Stored.perPiece, array.storedCount))
        }
        lane.seal()
    }
}
