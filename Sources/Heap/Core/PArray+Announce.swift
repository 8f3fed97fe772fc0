import PersistentMemory

extension PArrayEditor {
    /// Undo mode: logs all elements at once, so that one fence covers every later store to them.
    /// Worth it for a transaction that changes many of them. Does nothing in redo mode.
    public func announce() {
        let array = value
        let lane = place.location.lane
        guard lane.state.pointee.mode == .undo, array.storedCount > 0 else { return }
        array.check(in: LaneReader(lane: lane))
        lane.announce(array.buffer, array.storedCount * MemoryLayout<Element>.stride)
        lane.seal()
    }
}
