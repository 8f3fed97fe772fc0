import CPersistentMemory

/// Commits on memory whose fences wait for a disk: the lane's log is a journal.
///
/// A block holds all that the transaction changed: its words, the contents of the objects it made,
/// and the span words of the pages these lie on. So nothing has to be durable before it, and what
/// it says need not be durable at home behind it: one fence over the new end of the log commits. A
/// block too long for the log lies in the heap, in pieces, and the same fence covers it. The log has
/// two halves; when one is full, all homes are made durable together and the other half begins: one
/// wait more. Large new objects are not copied into a block: the half ends, which makes them durable
/// where they are. No commit waits more than twice.
///
/// Invariants
/// 1. The blocks of generations c + 1, c + 2, ... lie one behind the other from the start of a
///    half, where c is the newest commit word. Recovery replays them all, in order.
/// 2. The commit word that ends a half becomes durable with the first block of the other half. Until
///    then the old half is whole. Once that block is valid the old half is not replayed, whatever
///    the commit word says: its homes were durable, and its blocks may name memory that large new
///    objects lie in now.
/// 3. Between two commit words nothing but journal blocks changes memory that one of them names:
///    whatever stores without a block (unlogged stores, the heap's own records) retires first.
/// 4. A block in the heap is the first of its half, and is not given back before the half has ended:
///    it may lie in memory that an earlier block names, and replaying that one would overwrite it.
extension LogLane {
    /// Commits what the transaction changed by a journal block.
    func commitJournal() throws {
        let half = ((state.pointee.byteCount &- LaneFormat.logOffset) / 2) & ~63
        let leavesOut = largeObjectBytes > state.pointee.mostObjectBytes
        let words = JournalWriter.count(self, leavingOutLargeObjects: leavesOut)
        var bytes = UInt64(truncatingIfNeeded: 16 &+ words &* 8)
        let isFar = bytes > half
        state.pointee.pieces.count = 0
        if isFar {
            try allocatePieces(words, leavesOut)
            bytes = 24
        }
        if leavesOut || state.pointee.journalled &+ bytes > half
            || isFar && state.pointee.journalled > 0
        {
            beginOtherHalf()
        }
        let at =
            state.pointee.offset &+ LaneFormat.logOffset &+ state.pointee.half &* half
            &+ state.pointee.journalled
        if !isFar { state.pointee.pieces.append(JournalPiece(offset: at &+ 16, room: words)) }
        let written = JournalWriter.write(self, leavingOutLargeObjects: leavesOut)
        // Fewer than counted if the end of a half made span words durable.
        if !isFar { bytes = UInt64(truncatingIfNeeded: 16 &+ written &* 8) }
        writeHead(at, written, isFar)
        let access = state.pointee.access
        access.flush(at, Int(bytes))
        access.fence()  // COMMIT POINT
        state.pointee.spans?.pointee.count = 0
        storeHome()
        state.pointee.generation &+= 1
        state.pointee.hasUnretired = true
        state.pointee.journalled = (state.pointee.journalled &+ bytes &+ 63) & ~63
        if isFar { keepPieces() }
        if state.pointee.retiresEagerly { retire() }
    }

    /// Whether a range of new memory may be left out of a block: pages of its own, none of them
    /// private.
    func isLargeObject(_ range: LoggedRange) -> Bool {
        guard range.length >= 1 << Int(Self.unitShift) else { return false }
        return state.pointee.privateUnits.count == 0 || !hasPrivateUnit(range)
    }

    private var largeObjectBytes: Int {
        var bytes = 0
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            if isLargeObject(range) { bytes += range.length }
        }
        return bytes
    }

    /// Tag and descriptor, and for a block in the heap where it lies; there also the heads of its
    /// pieces, and their write-back.
    private func writeHead(_ at: UInt64, _ words: Int, _ isFar: Bool) {
        let access = state.pointee.access
        let generation = state.pointee.generation
        let mark = isFar ? LaneFormat.farRunsMark : LaneFormat.runsMark
        let descriptor = UInt64(truncatingIfNeeded: words) | mark &<< 48
        var crc = LaneFormat.seed(lane: state.pointee.index, generation: generation)
        crc = pm_crc32c(crc, descriptor)
        if isFar {
            let first = state.pointee.pieces[0].offset &- JournalPiece.headBytes
            access.base.storeBytes(of: first, toByteOffset: Int(at) + 16, as: UInt64.self)
            crc = pm_crc32c(crc, first)
            linkPieces()
        }
        for index in 0..<state.pointee.pieces.count {
            let piece = state.pointee.pieces[index]
            guard piece.used > 0 else { continue }
            var word = piece.offset &- (isFar ? JournalPiece.headBytes : 0)
            let end = piece.offset &+ UInt64(truncatingIfNeeded: piece.used &* 8)
            if isFar { access.flush(word, Int(end &- word)) }
            while word < end {
                crc = pm_crc32c(
                    crc, access.base.load(fromByteOffset: Int(word), as: UInt64.self))
                word &+= 8
            }
        }
        access.base.storeBytes(of: descriptor, toByteOffset: Int(at) + 8, as: UInt64.self)
        access.base.storeBytes(
            of: LaneFormat.tag(crc, generation), toByteOffset: Int(at), as: UInt64.self)
    }

    /// Writes the two words before the content of each piece.
    private func linkPieces() {
        let base = state.pointee.access.base
        for index in 0..<state.pointee.pieces.count {
            let piece = state.pointee.pieces[index]
            let hasNext =
                index + 1 < state.pointee.pieces.count && state.pointee.pieces[index + 1].used > 0
            let next =
                hasNext ? state.pointee.pieces[index + 1].offset &- JournalPiece.headBytes : 0
            let head = base + Int(piece.offset &- JournalPiece.headBytes)
            head.storeBytes(of: next, as: UInt64.self)
            head.storeBytes(of: UInt64(piece.used), toByteOffset: 8, as: UInt64.self)
        }
    }

    /// Blocks of the heap for `words`, which grow by the span words of these blocks.
    private func allocatePieces(_ words: Int, _ leavesOut: Bool) throws {
        var missing = words
        while missing > 0 {
            let bytes = min(missing &* 8 &+ 8192, state.pointee.mostBlockBytes)
            guard let block = state.pointee.allocateBlock(bytes) else {
                let limit = state.pointee.byteCount
                keepPieces()
                abort()
                throw PersistentMemoryError.full(limit: limit)
            }
            let head = Int(JournalPiece.headBytes)
            state.pointee.pieces.append(
                JournalPiece(offset: block &+ JournalPiece.headBytes, room: (bytes - head) / 8))
            missing = JournalWriter.count(self, leavingOutLargeObjects: leavesOut)
            for index in 0..<state.pointee.pieces.count {
                // Two words may be left over, and a run begins anew.
                missing -= state.pointee.pieces[index].room - 4
            }
        }
    }

    /// The pieces stay until the half ends: until then the block may be replayed.
    private func keepPieces() {
        for index in 0..<state.pointee.pieces.count {
            let piece = state.pointee.pieces[index]
            state.pointee.farBlocks.append(piece.offset &- JournalPiece.headBytes)
        }
        state.pointee.pieces.count = 0
    }

    /// Stores what the block says home. Its write-back can wait: the block is replayed until then.
    private func storeHome() {
        let base = state.pointee.access.base
        if let barrier = state.pointee.overwriteBarrier {
            for index in 0..<state.pointee.words.count {
                barrier(state.pointee.words[index].offset, 8)
            }
        }
        guard state.pointee.privateUnits.count > 0 else {
            // All but the gathered words is there already.
            for index in 0..<state.pointee.words.count {
                let word = state.pointee.words[index]
                base.storeBytes(
                    of: word.value, toByteOffset: Int(truncatingIfNeeded: word.offset),
                    as: UInt64.self)
            }
            return
        }
        makeShared()
        for index in 0..<state.pointee.pieces.count {
            let piece = state.pointee.pieces[index]
            let content = (base + Int(piece.offset)).assumingMemoryBound(to: UInt64.self)
            var at = 0
            while at < piece.used {
                let (home, count) = (content[at], Int(content[at + 1]))
                (base + Int(home)).copyMemory(from: content + at + 2, byteCount: count * 8)
                at += 2 + count
            }
        }
    }

    // MARK: Ends of halves

    /// Makes all homes durable and goes on in the other half. The commit word that says so becomes
    /// durable with the next block.
    private func beginOtherHalf() {
        settle()
        let slot = storeCommitWord(state.pointee.generation &- 1, state.pointee.access.base)
        state.pointee.access.flush(slot, 8)
        state.pointee.half ^= 1
        state.pointee.journalled = 0
    }

    /// Makes every store durable; blocks in the heap are needed no more.
    func settle() {
        state.pointee.access.settle()
        state.pointee.spans?.pointee.count = 0
        for index in 0..<state.pointee.farBlocks.count {
            state.pointee.releaseBlock(state.pointee.farBlocks[index])
        }
        state.pointee.farBlocks.count = 0
    }

    /// Starts the write-back of span words that no block has named yet.
    public func flushSpans() {
        guard let spans = state.pointee.spans else { return }
        for index in 0..<spans.pointee.count {
            state.pointee.access.flush(spans.pointee[index], 8)
        }
        spans.pointee.count = 0
    }
}
