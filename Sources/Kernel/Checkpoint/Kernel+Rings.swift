import ABI
import Machine
import Store

/// External synchrony (TreeSLS section 5). A ring's inside pointer (`local`) is part of each
/// version; the outside sees the copy in `published`, which moves after the commit.
extension Kernel {
    private func ringOffset(_ ring: PMOPointer) -> UInt64 {
        guard case .eternal(let first) = ring.pointee.backing else {
            preconditionFailure("a ring that is not eternal")
        }
        return first.offset
    }

    /// Takes the rings' pointers into the version that is being committed.
    mutating func noteRings() {
        noteRing(outputRing)
        noteRing(inputRing)
    }

    private mutating func noteRing(_ ring: PMOPointer?) {
        guard let ring else { return }
        let local = store.memory.load(ringOffset(ring) + Ring.localOffset)
        if local == ring.pointee.ringLocal { return }
        ring.pointee.ringLocal = local
        markDirty(ring.pointee.id)
    }

    /// Writes back what was put into the output ring since the last commit, and the frame that may
    /// lie half written behind the pointer: the restored program will only finish it.
    func flushRings() {
        guard store.identity.domain != .coherentCache, let ring = outputRing else { return }
        let base = ringOffset(ring)
        // Not what the ring's header says: the program may write there.
        let capacity = ring.pointee.pageCount * pageSize - Ring.dataOffset
        let from = store.memory.load(base + Ring.publishedOffset)
        let to = ring.pointee.ringLocal
        let start = from % capacity
        let unfinished = ConsoleFrame.paddedLength(ConsoleFrame.maximumPayload)
        let length = min(to &- from &+ unfinished, capacity)
        let first = min(length, capacity - start)
        store.memory.flush(base + Ring.dataOffset + start, length: first)
        if first < length { store.memory.flush(base + Ring.dataOffset, length: length - first) }
    }

    /// Lets the outside see what the committed version said.
    mutating func publishRings() {
        let output = publish(outputRing)
        let input = publish(inputRing)
        statistics.outputBytes &+= output
        if output > 0 || input > 0 { machine.ringDoorbell() }
    }

    private func publish(_ ring: PMOPointer?) -> UInt64 {
        guard let ring else { return 0 }
        let offset = ringOffset(ring) + Ring.publishedOffset
        let before = store.memory.load(offset)
        assert(
            options.intervalNanoseconds == 0 || objects.pointee.dirtyCount == 0,
            "output is published before its version is committed")
        if before == ring.pointee.ringLocal { return 0 }
        store.memory.store(ring.pointee.ringLocal, at: offset)
        store.memory.flush(offset, length: 8)
        return ring.pointee.ringLocal &- before
    }

    /// Takes both pointers back to what the restored version said.
    func rollBackRing(_ ring: PMOPointer) {
        let base = ringOffset(ring)
        store.memory.store(ring.pointee.ringLocal, at: base + Ring.localOffset)
        store.memory.store(ring.pointee.ringLocal, at: base + Ring.publishedOffset)
        store.memory.flush(base, length: 256)
        store.memory.fence()
    }

    /// Without checkpoints nothing holds output back: publishes as it comes.
    mutating func publishUncommitted() {
        noteRings()
        publishRings()
    }

    mutating func rollBackRings() {
        for number in 0..<objects.pointee.highSmall {
            let header = objects.pointee.header(number).pointee
            if let pmo = header.body(as: PhysicalMemoryObject.self), pmo.pointee.isRing {
                if ringOffset(pmo) == StoreLayout.outputRing.offset { outputRing = pmo }
                if ringOffset(pmo) == StoreLayout.inputRing.offset { inputRing = pmo }
                rollBackRing(pmo)
            } else if header.kind == .irqNotification,
                let notification = header.body(as: Notification.self),
                notification.pointee.line == Kernel.doorbellLine
            {
                doorbell = notification
            }
        }
    }
}
