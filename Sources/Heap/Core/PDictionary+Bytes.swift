import PersistentMemory

/// String keys given as bytes: a string cell is made only when a key is new.
extension PDictionaryEditor where Key == PString {
    /// Sets a key's value; returns the one it replaced. A key that is there already is kept as it
    /// is stored.
    @inlinable @discardableResult
    public func updateValue(
        _ value: Value, forBytes bytes: UnsafeRawBufferPointer, in tx: borrowing Transaction
    ) throws -> Value? {
        let hash = PString.hash(bytes)
        let slot = self.value.find(hash, in: reader) { key in
            key.withBytes(in: reader) { PString.equal($0, bytes) }
        }
        guard slot != 0 else {
            try insert(tx.string(bytes: bytes), value, hash)
            return nil
        }
        let lane = place.location.lane
        let at = slot &+ UInt64(truncatingIfNeeded: Slot.valueOffset)
        let old: Value = lane.load(at)
        lane.store(value, at: at)
        return old
    }
}
