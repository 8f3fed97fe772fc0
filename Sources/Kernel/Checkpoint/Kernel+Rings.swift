import ABI
import Machine
import Store

/// External synchrony (TreeSLS section 5). A ring's inside pointer (`local`) is part of each
/// version; the outside sees the copy in `published`, which moves after the commit.
extension Kernel {
    private func place(of ring: PMOPointer) -> FrameNumber {
        guard case .eternal(let first) = ring.pointee.backing else {
            preconditionFailure("a ring that is not eternal")
        }
        return first
    }

    private func isAlive(_ ring: PMOPointer) -> Bool { !header(ring.pointee.id).pointee.isDying }

    // MARK: In a checkpoint

    /// Takes the rings' pointers into the version that is being committed.
    mutating func noteRings() {
        for number in 0..<rings.limit {
            guard let ring = rings[number], isAlive(ring) else { continue }
            let local = store.memory.load(place(of: ring).offset + Ring.localOffset)
            if local == ring.pointee.ringLocal { continue }
            ring.pointee.ringLocal = local
            markDirty(ring.pointee.id)
        }
    }

    /// Writes back what was put into the output rings since the last commit, and the frame that may
    /// lie half written behind each pointer: the restored program will only finish it.
    func flushRings() {
        if store.identity.domain == .coherentCache { return }
        for number in stride(from: 0, to: rings.limit, by: 2) {
            if let ring = rings[number], isAlive(ring) { flushOutput(ring) }
        }
    }

    private func flushOutput(_ ring: PMOPointer) {
        let base = place(of: ring).offset
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

    /// Lets the outside see what the committed version said. The console's output is the last: who
    /// reads there that the program has ended finds all else that it wrote.
    mutating func publishRings() {
        if rings.mustPublish { publishDirectory() }
        var moved: UInt64 = 0
        for number in (0..<rings.limit).reversed() {
            guard let ring = rings[number], isAlive(ring) else { continue }
            let bytes = publish(ring)
            moved |= bytes
            if number % 2 == 0 { statistics.outputBytes &+= bytes }
        }
        if moved > 0 { machine.ringDoorbell() }
    }

    private func publish(_ ring: PMOPointer) -> UInt64 {
        let offset = place(of: ring).offset + Ring.publishedOffset
        let before = store.memory.load(offset)
        assert(
            options.intervalNanoseconds == 0 || objects.pointee.dirtyCount == 0,
            "output is published before its version is committed")
        if before == ring.pointee.ringLocal { return 0 }
        store.memory.store(ring.pointee.ringLocal, at: offset)
        store.memory.flush(offset, length: 8)
        return ring.pointee.ringLocal &- before
    }

    private mutating func publishDirectory() {
        for value in 0..<UInt64(RingNumber.count) {
            guard let number = RingNumber(value) else { continue }
            if let ring = rings[number], isAlive(ring) {
                let first = place(of: ring)
                if let known = store.ring(number), known == (first, ring.pointee.pageCount) {
                    continue
                }
                store.setRing(number, first: first, frameCount: ring.pointee.pageCount)
            } else if store.ring(number) != nil {
                store.clearRing(number)
            }
        }
        rings.mustPublish = false
    }

    /// Without checkpoints nothing holds output back: publishes as it comes.
    mutating func publishUncommitted() {
        noteRings()
        publishRings()
    }

    // MARK: Made, and restored

    mutating func addRing(_ pmo: PMOPointer, _ number: RingNumber) {
        pmo.pointee.ring = number
        rings.insert(pmo, number)
    }

    /// An empty ring of eternal frames. Errors: `badArgument` when the number is taken or the data
    /// would not be a power of two of pages, `noMemory` when no frames are left.
    mutating func makeRing(_ number: RingNumber, pageCount: UInt64) throws(NativeError)
        -> PMOPointer
    {
        let data = pageCount &- 1
        guard rings[number] == nil, pageCount > 1, pageCount <= Self.largestRing,
            data & (data - 1) == 0
        else { throw .badArgument }
        guard let first = freeEternalFrames(UInt32(pageCount)) else { throw .noMemory }
        let ring = try makePMO(pageCount: pageCount, backing: .eternal(first: first))
        Store.formatRing(store.memory, first, frameCount: pageCount)
        addRing(ring, number)
        return ring
    }

    /// 4 MiB of data and the header.
    static var largestRing: UInt64 { 1025 }

    /// The first place for a number of frames that no ring has, the dead ones included: a committed
    /// version may still need those.
    private func freeEternalFrames(_ count: UInt32) -> FrameNumber? {
        let area = store.layout.eternal
        var first = area.lowerBound
        while count <= area.upperBound - first {
            guard let end = endOfRing(overlapping: first..<(first + count)) else {
                return FrameNumber(first)
            }
            first = end
        }
        return nil
    }

    private func endOfRing(overlapping range: Range<UInt32>) -> UInt32? {
        for number in 0..<rings.limit {
            guard let ring = rings[number] else { continue }
            let first = place(of: ring).value
            let end = first + UInt32(truncatingIfNeeded: ring.pointee.pageCount)
            if range.overlaps(first..<end) { return end }
        }
        return nil
    }

    /// Finds the rings and the doorbell of the restored version, and takes all pointers back to
    /// what that version said.
    mutating func rollBackRings() throws(StoreError) {
        for number in 0..<objects.pointee.highSmall {
            let header = objects.pointee.header(number).pointee
            if let pmo = header.body(as: PhysicalMemoryObject.self), let ring = pmo.pointee.ring {
                let first = place(of: pmo).value
                let end = first + UInt32(truncatingIfNeeded: pmo.pointee.pageCount)
                guard rings[ring] == nil, endOfRing(overlapping: first..<end) == nil,
                    pmo.pointee.pageCount > 1
                else { throw .damagedRecord(index: number) }
                rings.insert(pmo, ring)
            } else if header.kind == .irqNotification,
                let notification = header.body(as: Notification.self),
                notification.pointee.line == Kernel.doorbellLine
            {
                doorbell = notification
            }
        }
        for number in (0..<rings.limit).reversed() {
            if let ring = rings[number] { rollBack(ring) }
        }
        publishDirectory()
    }

    private func rollBack(_ ring: PMOPointer) {
        let base = place(of: ring).offset
        store.memory.store(ring.pointee.ringLocal, at: base + Ring.localOffset)
        store.memory.store(ring.pointee.ringLocal, at: base + Ring.publishedOffset)
        store.memory.flush(base, length: 256)
        store.memory.fence()
    }
}
