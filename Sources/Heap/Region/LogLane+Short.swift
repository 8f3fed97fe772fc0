import CPersistentMemory

/// The ways that most transactions take: a few words, no collector listening. Each is written once
/// for any `LineWriter`; where lines are written back by CLWB there is no call in it.
extension LogLane {
    // MARK: Two words

    /// Exchanges two aligned words, if there is a short way to do it. In undo mode one fence covers
    /// both.
    @inlinable @inline(__always)
    public func exchangeWords(_ first: UInt64, _ second: UInt64) -> Bool {
        if state.pointee.mode == .undo {
            exchangeLogged(first, second)
            return true
        }
        return exchangeFirstWords(first, second)
    }

    /// Whether the two words are the first that the transaction writes: nothing to look up then.
    @inlinable @inline(__always)
    func areFirst(_ first: UInt64, _ second: UInt64) -> Bool {
        state.pointee.words.count | state.pointee.ranges.count | state.pointee.fresh.count == 0
            && first != second
    }

    @inlinable @inline(__always)
    func exchangeFirstWords(_ first: UInt64, _ second: UInt64) -> Bool {
        guard state.pointee.mode == .redo, areFirst(first, second) else { return false }
        let base = state.pointee.access.base
        let words = state.pointee.words.base
        words[0] = LoggedWord(
            offset: first,
            value: base.load(fromByteOffset: Int(truncatingIfNeeded: second), as: UInt64.self))
        words[1] = LoggedWord(
            offset: second,
            value: base.load(fromByteOffset: Int(truncatingIfNeeded: first), as: UInt64.self))
        state.pointee.words.count = 2
        return true
    }

    @usableFromInline func exchangeLogged(_ first: UInt64, _ second: UInt64) {
        guard areFirst(first, second), !state.pointee.isObserved else {
            return exchangeAnnounced(first, second)
        }
        if state.pointee.access.writeBack == .clwb {
            exchangeFirstLogged(first, second, CacheLineWriter(base: state.pointee.access.base))
        } else {
            exchangeFirstLoggedOtherwise(first, second)
        }
    }

    @inline(never)
    private func exchangeFirstLoggedOtherwise(_ first: UInt64, _ second: UInt64) {
        exchangeFirstLogged(first, second, state.pointee.access)
    }

    @inline(never)
    private func exchangeAnnounced(_ first: UInt64, _ second: UInt64) {
        if state.pointee.journals {
            let (x, y): (UInt64, UInt64) = (load(first), load(second))
            storeWord(y, at: first)
            return storeWord(x, at: second)
        }
        announce(first, 8)
        announce(second, 8)
        seal()
        guard state.pointee.failure == nil else { return }
        let base = state.pointee.access.base
        let a = (base + Int(truncatingIfNeeded: first)).assumingMemoryBound(to: UInt64.self)
        let b = (base + Int(truncatingIfNeeded: second)).assumingMemoryBound(to: UInt64.self)
        (a.pointee, b.pointee) = (b.pointee, a.pointee)
    }

    /// The log is empty: both records fit its first line.
    @inline(__always)
    private func exchangeFirstLogged(
        _ first: UInt64, _ second: UInt64, _ writer: some LineWriter
    ) {
        let base = writer.base
        let at = state.pointee.cursor
        let a = (base + Int(truncatingIfNeeded: first)).assumingMemoryBound(to: UInt64.self)
        let b = (base + Int(truncatingIfNeeded: second)).assumingMemoryBound(to: UInt64.self)
        let (x, y) = (a.pointee, b.pointee)
        let record = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        writeRecord(record, first, x)
        writeRecord(record + 3, second, y)
        let ranges = state.pointee.ranges.base
        ranges[0] = LoggedRange(offset: first, length: 8, logged: at &+ 16)
        ranges[1] = LoggedRange(offset: second, length: 8, logged: at &+ 40)
        state.pointee.ranges.count = 2
        state.pointee.cursor = at &+ 48
        state.pointee.sealed = at &+ 48
        writer.flushLine(at)
        writer.fence()
        a.pointee = y
        b.pointee = x
    }

    /// The undo record of one word.
    @inline(__always)
    func writeRecord(_ record: UnsafeMutablePointer<UInt64>, _ offset: UInt64, _ word: UInt64) {
        let descriptor = offset | 1 &<< 48
        let crc = pm_crc32c(pm_crc32c(state.pointee.undoSeed, descriptor), word)
        record[0] = LaneFormat.tag(crc, state.pointee.generation)
        record[1] = descriptor
        record[2] = word
    }

    // MARK: Commits

    @inline(__always)
    func commitShort(_ count: Int) {
        if state.pointee.access.writeBack == .clwb {
            commitShort(count, CacheLineWriter(base: state.pointee.access.base))
        } else {
            commitShortOtherwise(count)
        }
    }

    @inline(never)
    private func commitShortOtherwise(_ count: Int) { commitShort(count, state.pointee.access) }

    /// Redo: a block that fits one start of the lane.
    @inline(__always)
    private func commitShort(_ count: Int, _ writer: some LineWriter) {
        let generation = state.pointee.generation
        let words = state.pointee.words.base
        let end = words + count
        var line = state.pointee.offset &+ LaneFormat.start(of: generation)
        let block = (writer.base + Int(truncatingIfNeeded: line)).assumingMemoryBound(
            to: UInt64.self)
        let descriptor = UInt64(truncatingIfNeeded: count) | LaneFormat.redoMark &<< 48
        var crc = pm_crc32c(
            LaneFormat.seed(lane: state.pointee.index, generation: generation), descriptor)
        var target = block + 2
        var word = words
        repeat {
            let (offset, value) = (word.pointee.offset, word.pointee.value)
            target[0] = offset
            target[1] = value
            crc = pm_crc32c(pm_crc32c(crc, offset), value)
            target += 2
            word += 1
        } while word < end
        block[1] = descriptor
        block[0] = LaneFormat.tag(crc, generation)
        let stop = line &+ UInt64(truncatingIfNeeded: 16 &+ count &* 16)
        repeat {
            writer.flushLine(line)
            line &+= 64
        } while line < stop
        writer.fence()  // COMMIT POINT: the block is valid from here on, whatever happens
        word = words
        repeat {
            let home = word.pointee.offset
            writer.base.storeBytes(
                of: word.pointee.value, toByteOffset: Int(truncatingIfNeeded: home), as: UInt64.self
            )
            writer.flushLine(home)
            word += 1
        } while word < end
        state.pointee.generation = generation &+ 1
        state.pointee.hasUnretired = true
    }

    @inline(__always)
    func commitUndo() throws -> Bool {
        // Objects that nothing was made to refer to need no durability.
        guard state.pointee.ranges.count > 0 || state.pointee.words.count > 0 else { return false }
        if state.pointee.access.writeBack == .clwb {
            commitUndo(CacheLineWriter(base: state.pointee.access.base))
        } else {
            try commitUndoOtherwise()
        }
        return true
    }

    @inline(never)
    private func commitUndoOtherwise() throws {
        if state.pointee.journals { try commitJournal() } else { commitUndo(state.pointee.access) }
    }

    @inline(__always)
    private func commitUndo(_ writer: some LineWriter) {
        let generation = state.pointee.generation
        var last = (~UInt64(0), ~UInt64(0))
        flushLines(state.pointee.ranges, writer, &last)
        flushLines(state.pointee.fresh, writer, &last)
        writer.fence()
        writer.flushLine(storeCommitWord(generation, writer.base))
        writer.fence()  // COMMIT POINT
        state.pointee.generation = generation &+ 1
    }

    /// Writes ranges back, but not a line again that was one of the last two: on processors whose
    /// CLWB drops the line that costs a miss.
    @inline(__always)
    private func flushLines(
        _ ranges: RawList<LoggedRange>, _ writer: some LineWriter, _ last: inout (UInt64, UInt64)
    ) {
        var range = ranges.base
        let stop = range + ranges.count
        while range < stop {
            let end = range.pointee.offset &+ UInt64(truncatingIfNeeded: range.pointee.length)
            var line = range.pointee.offset & ~63
            if line != last.0, line != last.1 {
                writer.flushLine(line)
                last = (line, last.0)
            }
            line &+= 64
            while line < end {
                writer.flushLine(line)
                last = (line, last.0)
                line &+= 64
            }
            range += 1
        }
    }
}
