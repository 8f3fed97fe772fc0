import CPersistentMemory

/// Brings what a lane protects to the state after its last committed transaction.
///
/// Every step may be repeated: a crash during recovery is followed by the same recovery.
public struct LaneRecovery {
    let region: PersistentRegion
    let offset: UInt64
    let byteCount: UInt64
    let index: Int
    /// Offsets that a log may name; anything else is damage.
    let validBytes: UInt64

    /// What recovery did.
    public struct Outcome: Equatable, Sendable {
        public var replayedTransactions = 0
        public var undoneRanges = 0
        /// The generation the lane goes on with.
        public var nextGeneration: UInt64 = 1
        public init() {}
    }

    public init(
        region: PersistentRegion, offset: UInt64, byteCount: UInt64, index: Int, validBytes: UInt64
    ) {
        self.region = region
        self.offset = offset
        self.byteCount = byteCount
        self.index = index
        self.validBytes = validBytes
    }

    public func recover() throws(PersistentMemoryError) -> Outcome {
        var outcome = Outcome()
        var committed = try committedGeneration()
        if let last = replayJournal(after: committed, &outcome)
            ?? replay(after: committed, &outcome)
        {
            committed = last
        }
        undo(committed + 1, &outcome)
        // Skips the generation that may have left half a block behind: its number is never used
        // again.
        if outcome.replayedTransactions > 0 || outcome.undoneRanges > 0
            || hasTrace(of: committed + 1)
        {
            try finish(committed + 1)
            committed += 1
        }
        outcome.nextGeneration = committed + 1
        return outcome
    }

    private func finish(_ generation: UInt64) throws(PersistentMemoryError) {
        region.fence()
        region.storeDurably(
            LaneFormat.commitWord(generation),
            at: offset + (generation % LaneFormat.commitSlots) * 64)
    }

    private func committedGeneration() throws(PersistentMemoryError) -> UInt64 {
        var largest: UInt64 = 0
        for slot in 0..<LaneFormat.commitSlots {
            let word = region.load(offset + slot * 64)
            guard let generation = LaneFormat.generation(inCommitWord: word) else {
                throw .damagedLog(lane: index, detail: "commit word \(slot) fails its check")
            }
            largest = max(largest, generation)
        }
        return largest
    }

    /// Where the two halves of a journal start.
    private var halves: [UInt64] {
        [LaneFormat.logOffset, LaneFormat.logOffset + (byteCount - LaneFormat.logOffset) / 2 & ~63]
    }

    private func hasTrace(of generation: UInt64) -> Bool {
        ([LaneFormat.start(of: generation)] + halves).contains { start in
            (0..<8).contains { region.load(offset + start + UInt64($0) * 8) != 0 }
        }
    }

    // MARK: Redo

    /// Replays the last two blocks newer than `committed`, oldest first; returns the last
    /// generation.
    private func replay(after committed: UInt64, _ outcome: inout Outcome) -> UInt64? {
        var last: UInt64 = 0
        for start in 0..<LaneFormat.starts {
            let at = offset + LaneFormat.logOffset + start * LaneFormat.startBytes
            let low = region.load(at) & 0xFFFF_FFFF
            guard let generation = candidate(low, start: start, after: committed) else { continue }
            if generation > last, block(at, generation) != nil { last = generation }
        }
        guard last > committed else { return nil }
        for generation in [last - 1, last] where generation > committed {
            let at = offset + LaneFormat.start(of: generation)
            guard let words = block(at, generation) else { continue }
            storeHome(words)
            outcome.replayedTransactions += 1
        }
        region.fence()
        return last
    }

    /// Replays the journal, if there is one; returns its last generation. Of two halves the one
    /// that began later counts: when it began, all that the other says was durable at home.
    private func replayJournal(after committed: UInt64, _ outcome: inout Outcome) -> UInt64? {
        var first: (generation: UInt64, at: UInt64)?
        for half in halves {
            let at = offset + half
            let low = region.load(at) & 0xFFFF_FFFF
            var generation = committed & ~0xFFFF_FFFF | low
            if generation <= committed { generation += 1 << 32 }
            if generation > first?.generation ?? 0,
                replayBlock(at, generation, stores: false) != nil
            {
                first = (generation, at)
            }
        }
        guard var (generation, at) = first else { return nil }
        let start = generation
        while let bytes = replayBlock(at, generation) {
            generation += 1
            at = (at + bytes + 63) & ~63
        }
        generation -= 1
        outcome.replayedTransactions += Int(generation - start + 1)
        region.fence()
        return generation
    }

    /// Replays one block of a journal; returns its length in the lane, nil if there is none.
    private func replayBlock(_ at: UInt64, _ generation: UInt64, stores: Bool = true) -> UInt64? {
        guard at + 24 <= offset + byteCount else { return nil }
        if let words = block(at, generation, [LaneFormat.journalMark]) {
            if stores { storeHome(words) }
            return UInt64(16 + words.count * 16)
        }
        let descriptor = region.load(at + 8)
        let mark = descriptor >> 48
        let count = descriptor & LaneFormat.offsetMask
        guard mark == LaneFormat.runsMark || mark == LaneFormat.farRunsMark else { return nil }
        var crc = pm_crc32c(LaneFormat.seed(lane: index, generation: generation), descriptor)
        var pieces = [(start: at + 16, words: count)]
        if mark == LaneFormat.farRunsMark {
            crc = pm_crc32c(crc, region.load(at + 16))
            guard let found = farPieces(region.load(at + 16), count, &crc) else { return nil }
            pieces = found
        } else {
            guard count > 0, count <= (offset + byteCount - at - 16) / 8 else { return nil }
            for word in 0..<count { crc = pm_crc32c(crc, region.load(at + 16 + word * 8)) }
        }
        guard LaneFormat.tag(crc, generation) == region.load(at),
            pieces.allSatisfy({ forEachRun($0.start, $0.words, { _, _, _ in }) })
        else { return nil }
        for piece in pieces where stores {
            _ = forEachRun(piece.start, piece.words) { target, source, words in
                (region.base + Int(target)).copyMemory(
                    from: region.base + Int(source), byteCount: words * 8)
                region.flush(target, words * 8)
            }
        }
        return mark == LaneFormat.farRunsMark ? 24 : 16 + count * 8
    }

    /// The contents of a block's pieces in the heap, which add up to `words`; nil if they do not.
    private func farPieces(_ first: UInt64, _ words: UInt64, _ crc: inout UInt64) -> [(
        start: UInt64, words: UInt64
    )]? {
        var pieces: [(start: UInt64, words: UInt64)] = []
        guard words <= validBytes / 8 else { return nil }
        var (at, missing) = (first, words)
        while at != 0 {
            guard at % 8 == 0, at < validBytes, validBytes - at >= 24 else { return nil }
            let (next, count) = (region.load(at), region.load(at + 8))
            guard count > 0, count <= missing, count <= (validBytes - at - 16) / 8 else {
                return nil
            }
            for word in 0..<(count + 2) { crc = pm_crc32c(crc, region.load(at + word * 8)) }
            pieces.append((start: at + 16, words: count))
            missing -= count
            at = next
        }
        return missing == 0 ? pieces : nil
    }

    /// Calls `body` with each run's home, where its words lie, and how many they are; false if the
    /// runs are not such as a commit writes.
    private func forEachRun(
        _ start: UInt64, _ words: UInt64, _ body: (UInt64, UInt64, Int) -> Void
    ) -> Bool {
        var at: UInt64 = 0
        while at + 2 <= words {
            let target = region.load(start + at * 8)
            let count = region.load(start + at * 8 + 8)
            guard count > 0, count <= words - at - 2, target % 8 == 0, target < validBytes,
                count <= (validBytes - target) / 8
            else { return false }
            body(target, start + (at + 2) * 8, Int(count))
            at += 2 + count
        }
        return at == words
    }

    private func storeHome(_ words: [LoggedWord]) {
        for word in words {
            region.store(word.value, at: word.offset)
            region.flush(word.offset, 8)
        }
    }

    /// The generation after `committed` whose low half and start match.
    private func candidate(_ low: UInt64, start: UInt64, after committed: UInt64) -> UInt64? {
        var generation = committed & ~0xFFFF_FFFF | low
        if generation <= committed { generation += 1 << 32 }
        return generation % LaneFormat.starts == start ? generation : nil
    }

    /// The words of a valid redo block.
    private func block(
        _ at: UInt64, _ generation: UInt64,
        _ marks: [UInt64] = [LaneFormat.redoMark, LaneFormat.farRedoMark]
    ) -> [LoggedWord]? {
        let descriptor = region.load(at + 8)
        let mark = descriptor >> 48
        let count = descriptor & LaneFormat.offsetMask
        guard marks.contains(mark), count > 0 else { return nil }
        var crc = pm_crc32c(LaneFormat.seed(lane: index, generation: generation), descriptor)
        var from = at + 16
        var limit = offset + byteCount
        if mark == LaneFormat.farRedoMark {
            from = region.load(at + 16)
            crc = pm_crc32c(crc, from)
            limit = validBytes
        }
        guard from % 8 == 0, from < limit, count <= (limit - from) / 16 else { return nil }
        var words: [LoggedWord] = []
        words.reserveCapacity(Int(count))
        for index in 0..<count {
            let word = LoggedWord(
                offset: region.load(from + index * 16), value: region.load(from + index * 16 + 8))
            crc = pm_crc32c(pm_crc32c(crc, word.offset), word.value)
            words.append(word)
        }
        guard LaneFormat.tag(crc, generation) == region.load(at) else { return nil }
        return words.allSatisfy { $0.offset % 8 == 0 && $0.offset < validBytes } ? words : nil
    }

    // MARK: Undo

    private func undo(_ generation: UInt64, _ outcome: inout Outcome) {
        var ranges: [LoggedRange] = []
        var at = offset + LaneFormat.start(of: generation)
        var limit = offset + byteCount
        while at + 16 <= limit {
            let descriptor = region.load(at + 8)
            let mark = descriptor >> 48
            let target = descriptor & LaneFormat.offsetMask
            let payload = mark == LaneFormat.linkMark ? 1 : Int(mark)
            guard payload > 0, payload <= LaneFormat.maximumRecordWords,
                at + 16 + UInt64(payload * 8) <= limit, target % 8 == 0, target < validBytes,
                isValid(at, payload, descriptor, generation)
            else { break }
            if mark == LaneFormat.linkMark {
                limit = min(target + region.load(at + 16), validBytes)
                at = target
            } else {
                ranges.append(LoggedRange(offset: target, length: payload * 8, logged: at + 16))
                at += UInt64(16 + payload * 8)
            }
        }
        for range in ranges.reversed() where range.offset + UInt64(range.length) <= validBytes {
            (region.base + Int(range.offset)).copyMemory(
                from: region.base + Int(range.logged), byteCount: range.length)
            region.flush(range.offset, range.length)
            outcome.undoneRanges += 1
        }
    }

    private func isValid(_ at: UInt64, _ words: Int, _ descriptor: UInt64, _ generation: UInt64)
        -> Bool
    {
        var crc = pm_crc32c(LaneFormat.seed(lane: index, generation: generation), descriptor)
        for index in 0..<words { crc = pm_crc32c(crc, region.load(at + 16 + UInt64(index * 8))) }
        return LaneFormat.tag(crc, generation) == region.load(at)
    }
}
