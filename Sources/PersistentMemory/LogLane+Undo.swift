import CPersistentMemory

/// Undo: log the old words, fence, store in place; at the end write back, fence, raise the
/// generation.
extension LogLane {
    @usableFromInline func beginUndo() {
        // The log may grow over redo blocks that recovery would still need.
        if state.pointee.hasUnretired { retire() }
        let generation = state.pointee.generation
        let start = state.pointee.offset &+ LaneFormat.start(of: generation)
        state.pointee.cursor = start
        state.pointee.sealed = start
        state.pointee.limit = state.pointee.offset &+ state.pointee.byteCount
        state.pointee.undoSeed = LaneFormat.seed(lane: state.pointee.index, generation: generation)
    }

    /// Undo: one aligned word, logged unless it was.
    @inlinable
    func storeWord(_ word: UInt64, at offset: UInt64) {
        if !isLogged(offset, 8), !isFresh(offset, 8) {
            logWord(offset)
            seal()
            if state.pointee.failure != nil { return noteDroppedStore() }
        }
        state.pointee.access.base.storeBytes(
            of: word, toByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
    }

    /// Undo: exchanges two aligned words under one fence.
    @usableFromInline func exchangeLogged(_ first: UInt64, _ second: UInt64) {
        if state.pointee.ranges.count | state.pointee.fresh.count == 0, first != second {
            logWord(first)
            logWord(second)
        } else {
            announce(first, 8)
            announce(second, 8)
        }
        seal()
        guard state.pointee.failure == nil else { return }
        let base = state.pointee.access.base
        let a = (base + Int(truncatingIfNeeded: first)).assumingMemoryBound(to: UInt64.self)
        let b = (base + Int(truncatingIfNeeded: second)).assumingMemoryBound(to: UInt64.self)
        (a.pointee, b.pointee) = (b.pointee, a.pointee)
    }

    /// Logs the old contents of a range unless this transaction already did. Durable only after
    /// `seal`.
    @inlinable
    public func announce(_ offset: UInt64, _ length: Int) {
        guard state.pointee.mode == .undo, !isFresh(offset, length), !isLogged(offset, length)
        else { return }
        if (offset | UInt64(truncatingIfNeeded: length)) & 7 == 0, length <= 64 {
            logShort(offset, length)
        } else {
            log(offset, length)
        }
    }

    @inlinable @inline(__always)
    func logWord(_ offset: UInt64) { logShort(offset, 8) }

    /// The record of a few aligned words; the common case of `log`.
    @usableFromInline func logShort(_ offset: UInt64, _ length: Int) {
        let at = state.pointee.cursor
        if state.pointee.isObserved || at &+ 128 > state.pointee.limit {
            return log(offset, length)
        }
        let base = state.pointee.access.base
        let record = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let source = (base + Int(truncatingIfNeeded: offset)).assumingMemoryBound(to: UInt64.self)
        let words = length &>> 3
        let descriptor = offset | UInt64(truncatingIfNeeded: words) &<< 48
        var crc = pm_crc32c(state.pointee.undoSeed, descriptor)
        var index = 0
        repeat {
            let word = source[index]
            record[2 &+ index] = word
            crc = pm_crc32c(crc, word)
            index &+= 1
        } while index < words
        record[1] = descriptor
        record[0] = LaneFormat.tag(crc, state.pointee.generation)
        state.pointee.ranges.append(LoggedRange(offset: offset, length: length, logged: at &+ 16))
        state.pointee.cursor = at &+ UInt64(truncatingIfNeeded: 16 &+ length)
    }

    @usableFromInline func log(_ offset: UInt64, _ length: Int) {
        if let barrier = state.pointee.overwriteBarrier { barrier(offset, length) }
        var at = offset & ~7
        let end = (offset &+ UInt64(truncatingIfNeeded: length) &+ 7) & ~7
        while at < end, state.pointee.failure == nil {
            let words = min(
                Int(truncatingIfNeeded: (end &- at) &>> 3), LaneFormat.maximumRecordWords)
            logRange(at, words)
            at &+= UInt64(truncatingIfNeeded: words &* 8)
        }
    }

    /// Makes all announced ranges durable: they may be stored to from now on.
    public func seal() {
        let from = state.pointee.sealed
        let to = state.pointee.cursor
        guard from < to else { return }
        let access = state.pointee.access
        access.flush(from, Int(truncatingIfNeeded: to &- from))
        access.fence()
        state.pointee.sealed = to
    }

    /// Whether one of the last ranges logged covers this one.
    @inlinable func isLogged(_ offset: UInt64, _ length: Int) -> Bool {
        var index = state.pointee.ranges.count
        let stop = index > 16 ? index &- 16 : 0
        let ranges = state.pointee.ranges.base
        let end = offset &+ UInt64(truncatingIfNeeded: length)
        while index > stop {
            index &-= 1
            let range = ranges[index]
            if offset >= range.offset,
                end <= range.offset &+ UInt64(truncatingIfNeeded: range.length)
            {
                return true
            }
        }
        return false
    }

    private func logRange(_ offset: UInt64, _ words: Int) {
        // Room for this record and for a link behind it.
        let cursor = state.pointee.cursor
        if cursor &+ UInt64(truncatingIfNeeded: words &* 8 &+ 40) > state.pointee.limit {
            guard reserve(16 + words * 8) else { return }
        }
        let at = state.pointee.cursor
        let base = state.pointee.access.base
        let generation = state.pointee.generation
        let record = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let source = (base + Int(truncatingIfNeeded: offset)).assumingMemoryBound(to: UInt64.self)
        let descriptor = offset | UInt64(truncatingIfNeeded: words) &<< 48
        var crc = pm_crc32c(
            LaneFormat.seed(lane: state.pointee.index, generation: generation), descriptor)
        var index = 0
        while index < words {
            let word = source[index]
            record[2 &+ index] = word
            crc = pm_crc32c(crc, word)
            index &+= 1
        }
        record[1] = descriptor
        record[0] = LaneFormat.tag(crc, generation)
        state.pointee.ranges.append(
            LoggedRange(offset: offset, length: words &* 8, logged: at &+ 16))
        state.pointee.cursor = at &+ UInt64(truncatingIfNeeded: 16 &+ words &* 8)
    }

    /// Makes room for a record, in a block of the heap when the lane is full.
    private func reserve(_ bytes: Int) -> Bool {
        let linkBytes = 24
        if state.pointee.cursor + UInt64(bytes + linkBytes) <= state.pointee.limit { return true }
        let size = max(1 << 16, bytes + linkBytes)
        guard let block = state.pointee.allocateBlock(size) else {
            state.pointee.failure = PersistentMemoryError.full(limit: state.pointee.limit)
            return false
        }
        let generation = state.pointee.generation
        let descriptor = block | LaneFormat.linkMark << 48
        let link = (state.pointee.access.base + Int(state.pointee.cursor)).assumingMemoryBound(
            to: UInt64.self)
        var crc = pm_crc32c(
            LaneFormat.seed(lane: state.pointee.index, generation: generation), descriptor)
        crc = pm_crc32c(crc, UInt64(size))
        link[1] = descriptor
        link[2] = UInt64(size)
        link[0] = LaneFormat.tag(crc, generation)
        state.pointee.cursor += UInt64(linkBytes)
        seal()
        state.pointee.cursor = block
        state.pointee.sealed = block
        state.pointee.limit = block + UInt64(size)
        return true
    }

    func commitUndo() {
        let count = state.pointee.ranges.count
        // Objects that nothing was made to refer to need no durability.
        guard count > 0 else { return }
        let access = state.pointee.access
        if access.writeBack == .clwb {
            var last = (~UInt64(0), ~UInt64(0))
            flushLines(state.pointee.ranges, access.base, &last)
            flushLines(state.pointee.fresh, access.base, &last)
            pm_sfence()
        } else {
            for index in 0..<count {
                let range = state.pointee.ranges[index]
                access.flush(range.offset, range.length)
            }
            flushFresh()
            access.fence()
        }
        let generation = state.pointee.generation
        writeCommitWord(generation)  // COMMIT POINT
        state.pointee.generation = generation &+ 1
        state.pointee.hasUnretired = false
    }

    /// Writes ranges back by CLWB, but not a line again that was one of the last two: on processors
    /// whose CLWB drops the line that costs a miss.
    @inline(__always)
    private func flushLines(
        _ ranges: RawList<LoggedRange>, _ base: UnsafeMutableRawPointer,
        _ last: inout (UInt64, UInt64)
    ) {
        var range = ranges.base
        let stop = range + ranges.count
        while range < stop {
            var line = range.pointee.offset & ~63
            let end = range.pointee.offset &+ UInt64(truncatingIfNeeded: range.pointee.length)
            repeat {
                if line != last.0, line != last.1 {
                    pm_clwb(base + Int(truncatingIfNeeded: line))
                    last = (line, last.0)
                }
                line &+= 64
            } while line < end
            range += 1
        }
    }

    func abortUndo() {
        var index = state.pointee.ranges.count
        guard index > 0 else { return }
        // What was announced but not sealed was not stored to; putting it back changes nothing.
        while index > 0 {
            index -= 1
            let range = state.pointee.ranges[index]
            let base = state.pointee.access.base
            (base + Int(range.offset)).copyMemory(
                from: base + Int(range.logged), byteCount: range.length)
            state.pointee.access.flush(range.offset, range.length)
        }
        state.pointee.access.fence()
        writeCommitWord(state.pointee.generation)
        state.pointee.generation &+= 1
        state.pointee.hasUnretired = false
    }
}
