import CPersistentMemory

/// Commits on memory whose fences wait for a disk: the lane's log is a journal.
///
/// A block holds all that the transaction changed: its words, the contents of the objects it made,
/// and the span words of the pages these lie on. So nothing has to be durable before it, and what
/// it says need not be durable at home behind it: one fence over the new end of the log commits. A
/// block too long for the log lies in the heap, and the same fence covers it. The log has two
/// halves; when one is full, all homes are made durable together and the other half begins: one
/// wait more. No commit waits more than twice.
///
/// Invariants
/// 1. The blocks of generations c + 1, c + 2, ... lie one behind the other from the start of a
///    half, where c is the newest commit word. Recovery replays them all, in order.
/// 2. The commit word that ends a half becomes durable with the first block of the other half. Until
///    then the old half is whole, and is replayed before the other.
/// 3. Between two commit words nothing but journal blocks changes memory that one of them names:
///    whatever stores without a block (unlogged stores, the heap's own records) retires first.
/// 4. A block in the heap is not given back before its half has ended.
extension LogLane {
    /// Bytes of blocks in the heap that may wait for the end of a half.
    static let mostFarBytes: UInt64 = 1 << 25

    /// Commits what the transaction changed by a journal block.
    func commitJournal() throws {
        let half = ((state.pointee.byteCount &- LaneFormat.logOffset) / 2) & ~63
        var far: UInt64 = 0
        var words = JournalWriter.count(self)
        var bytes = UInt64(truncatingIfNeeded: 16 &+ words &* 8)
        if bytes > half {
            far = try allocateFar(&words)
            bytes = 24
        }
        if state.pointee.journalled &+ bytes > half
            || far != 0 && state.pointee.farBytes > Self.mostFarBytes
        {
            beginOtherHalf()
        }
        let access = state.pointee.access
        let at =
            state.pointee.offset &+ LaneFormat.logOffset &+ state.pointee.half &* half
            &+ state.pointee.journalled
        let body = far == 0 ? at &+ 16 : far
        let content = (access.base + Int(truncatingIfNeeded: body)).assumingMemoryBound(
            to: UInt64.self)
        words = JournalWriter.write(self, to: content)
        writeHead(at, words, far)
        if far != 0 {
            access.flush(far, words &* 8)
            state.pointee.farBlocks.append(far)
            state.pointee.farBytes &+= UInt64(truncatingIfNeeded: words &* 8)
        }
        access.flush(at, far == 0 ? 16 &+ words &* 8 : 24)
        access.fence()  // COMMIT POINT
        state.pointee.spans?.pointee.count = 0
        storeHome(content, words)
        state.pointee.generation &+= 1
        state.pointee.hasUnretired = true
        state.pointee.journalled = (state.pointee.journalled &+ bytes &+ 63) & ~63
        if state.pointee.retiresEagerly { retire() }
    }

    /// Tag and descriptor, and for a block in the heap where it lies.
    private func writeHead(_ at: UInt64, _ words: Int, _ far: UInt64) {
        let base = state.pointee.access.base
        let head = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let generation = state.pointee.generation
        let mark = far == 0 ? LaneFormat.runsMark : LaneFormat.farRunsMark
        let descriptor = UInt64(truncatingIfNeeded: words) | mark &<< 48
        var crc = LaneFormat.seed(lane: state.pointee.index, generation: generation)
        crc = pm_crc32c(crc, descriptor)
        if far != 0 {
            head[2] = far
            crc = pm_crc32c(crc, far)
        }
        let body = far == 0 ? at &+ 16 : far
        let content = (base + Int(truncatingIfNeeded: body)).assumingMemoryBound(to: UInt64.self)
        for index in 0..<words { crc = pm_crc32c(crc, content[index]) }
        head[1] = descriptor
        head[0] = LaneFormat.tag(crc, generation)
    }

    /// A block of the heap for `words`, which grow by the span words of its own pages.
    private func allocateFar(_ words: inout Int) throws -> UInt64 {
        let pages = words / 1024 + 64
        let room = words &* 8 &+ pages &* 24
        guard let far = state.pointee.allocateBlock(room) else {
            let limit = state.pointee.byteCount
            abort()
            throw PersistentMemoryError.full(limit: limit)
        }
        words = JournalWriter.count(self)
        precondition(words &* 8 <= room, "a log block took more span words than pages")
        return far
    }

    /// Stores what the block says home. Its write-back can wait: the block is replayed until then.
    private func storeHome(_ content: UnsafeMutablePointer<UInt64>, _ words: Int) {
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
        var index = 0
        while index < words {
            let (offset, count) = (content[index], Int(content[index + 1]))
            (base + Int(offset)).copyMemory(from: content + index + 2, byteCount: count * 8)
            index += 2 + count
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
        state.pointee.farBytes = 0
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

/// The content of a journal block: runs of words, each its offset, its count, and the words.
/// Neighbouring words share a run.
private struct JournalWriter {
    /// Nil: only counts.
    let target: UnsafeMutablePointer<UInt64>?
    var count = 0
    private var runStart = 0
    private var runEnd: UInt64 = ~0

    static func count(_ lane: LogLane) -> Int {
        var writer = JournalWriter(target: nil)
        writer.addAll(lane)
        return writer.count
    }

    static func write(_ lane: LogLane, to target: UnsafeMutablePointer<UInt64>) -> Int {
        var writer = JournalWriter(target: target)
        writer.addAll(lane)
        return writer.count
    }

    private init(target: UnsafeMutablePointer<UInt64>?) { self.target = target }

    private mutating func addAll(_ lane: LogLane) {
        let state = lane.state
        let base = state.pointee.access.base
        // New objects first: a word stored later into one of them counts.
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            add(range.offset, base + Int(range.offset), (range.length &+ 7) / 8)
        }
        for index in 0..<state.pointee.ranges.count {
            let range = state.pointee.ranges[index]
            add(range.offset, base + Int(range.offset), range.length / 8)
        }
        for index in 0..<state.pointee.words.count {
            withUnsafeBytes(of: state.pointee.words[index].value) {
                if let value = $0.baseAddress { add(state.pointee.words[index].offset, value, 1) }
            }
        }
        guard let spans = state.pointee.spans else { return }
        for index in 0..<spans.pointee.count {
            let offset = spans.pointee[index]
            add(offset, base + Int(offset), 1)
        }
    }

    private mutating func add(_ offset: UInt64, _ source: UnsafeRawPointer, _ words: Int) {
        if offset != runEnd {
            runStart = count
            if let target {
                target[count] = offset
                target[count + 1] = 0
            }
            count += 2
            runEnd = offset
        }
        if let target {
            (UnsafeMutableRawPointer(target + count)).copyMemory(
                from: source, byteCount: words * 8)
            target[runStart + 1] += UInt64(words)
        }
        count += words
        runEnd += UInt64(words * 8)
    }
}
