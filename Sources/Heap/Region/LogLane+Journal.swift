import CPersistentMemory

/// Redo on memory whose fences wait for a disk: the lane's log is a journal.
///
/// A block holds the transaction's words and the contents of the objects it made, so nothing has
/// to be durable before it, and what it says need not be durable at home behind it: one fence over
/// the new end of the log commits. Homes are made durable when the log is full, all together
/// (`retire`).
///
/// Invariants
/// 1. The blocks of generations c + 1, c + 2, ... lie one behind the other from the start of the
///    log, where c is the newest commit word. Recovery replays them all, in order.
/// 2. Between two commit words nothing but journal blocks changes memory that one of them names:
///    whatever stores without a block (undo, unlogged stores, long transactions, the heap's own
///    records) retires first.
extension LogLane {
    /// Commits by a journal block; false if the transaction is too long for one.
    func commitJournal() -> Bool {
        let count = state.pointee.words.count &+ freshWords
        let bytes = UInt64(truncatingIfNeeded: 16 &+ count &* 16)
        let room = state.pointee.byteCount &- LaneFormat.logOffset
        guard bytes <= room / 2 else { return false }
        if state.pointee.journalled &+ bytes > room { retire() }
        let access = state.pointee.access
        let at = state.pointee.offset &+ LaneFormat.logOffset &+ state.pointee.journalled
        writeJournalBlock(count, at)
        access.flush(at, Int(truncatingIfNeeded: bytes))
        access.fence()  // COMMIT POINT
        storeHome(access.base)
        state.pointee.generation &+= 1
        state.pointee.hasUnretired = true
        state.pointee.journalled = (state.pointee.journalled &+ bytes &+ 63) & ~63
        return true
    }

    /// Words of the objects that this transaction made.
    private var freshWords: Int {
        var words = 0
        for index in 0..<state.pointee.fresh.count {
            words &+= (state.pointee.fresh[index].length &+ 7) / 8
        }
        return words
    }

    private func writeJournalBlock(_ count: Int, _ at: UInt64) {
        let generation = state.pointee.generation
        let base = state.pointee.access.base
        let block = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let descriptor = UInt64(truncatingIfNeeded: count) | LaneFormat.journalMark &<< 48
        var crc = LaneFormat.seed(lane: state.pointee.index, generation: generation)
        crc = pm_crc32c(crc, descriptor)
        var target = block + 2
        func put(_ offset: UInt64, _ value: UInt64) {
            target[0] = offset
            target[1] = value
            crc = pm_crc32c(pm_crc32c(crc, offset), value)
            target += 2
        }
        // New objects first: a word stored later into one of them counts.
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            for word in 0..<((range.length &+ 7) / 8) {
                let offset = range.offset &+ UInt64(truncatingIfNeeded: word &* 8)
                put(
                    offset,
                    base.load(fromByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self))
            }
        }
        for index in 0..<state.pointee.words.count {
            put(state.pointee.words[index].offset, state.pointee.words[index].value)
        }
        block[1] = descriptor
        block[0] = LaneFormat.tag(crc, generation)
    }

    /// Stores the words home. Their write-back can wait: the block is replayed until then.
    private func storeHome(_ base: UnsafeMutableRawPointer) {
        let barrier = state.pointee.overwriteBarrier
        for index in 0..<state.pointee.words.count {
            let word = state.pointee.words[index]
            barrier?(word.offset, 8)
            base.storeBytes(
                of: word.value, toByteOffset: Int(truncatingIfNeeded: word.offset), as: UInt64.self)
        }
    }
}
