import CPersistentMemory

/// Undo: log the old words, fence, store in place; at the end write back, fence, raise the
/// generation.
extension LogLane {
    @inlinable @inline(__always) func beginUndo() {
        if state.pointee.journals {
            // Where other lanes may store to the same page, words are gathered.
            if state.pointee.retiresEagerly { state.pointee.mode = .redo }
            return
        }
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
            if state.pointee.journals { return storeWordPrivately(word, at: offset) }
            logShort(offset, 8)
            seal()
            if state.pointee.failure != nil { return noteDroppedStore() }
        }
        state.pointee.access.base.storeBytes(
            of: word, toByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
    }

    /// Logs the old contents of a range unless this transaction already did. Durable only after
    /// `seal`.
    ///
    /// Where fences wait for a disk nothing is logged: the range's pages become private. False if
    /// one cannot: then the range may be stored to by `store` only, not in place.
    @inlinable @discardableResult
    public func announce(_ offset: UInt64, _ length: Int) -> Bool {
        guard state.pointee.mode == .undo, !isFresh(offset, length), !isLogged(offset, length)
        else { return true }
        if state.pointee.journals { return keepAnnounced(offset, length) }
        if (offset | UInt64(truncatingIfNeeded: length)) & 7 == 0, length <= 64 {
            logShort(offset, length)
        } else {
            log(offset, length)
        }
        return true
    }

    @usableFromInline @inline(never)
    func keepAnnounced(_ offset: UInt64, _ length: Int) -> Bool { keepPrivate(offset, length) }

    /// Whether a record of up to 64 bytes can be written at once: there is room for it and a link
    /// behind, and no collector listens.
    @inline(__always)
    var takesShortRecords: Bool {
        !state.pointee.isObserved && state.pointee.cursor &+ 128 <= state.pointee.limit
    }

    /// The record of one aligned word, where `takesShortRecords` holds.
    @inline(__always)
    private func recordWord(_ offset: UInt64) {
        let at = state.pointee.cursor
        let base = state.pointee.access.base
        let record = (base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let word = base.load(fromByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
        writeRecord(record, offset, word)
        state.pointee.ranges.append(LoggedRange(offset: offset, length: 8, logged: at &+ 16))
        state.pointee.cursor = at &+ 24
    }

    /// The record of a few aligned words; the common case of `log`.
    @usableFromInline func logShort(_ offset: UInt64, _ length: Int) {
        guard takesShortRecords else { return log(offset, length) }
        if length == 8 { return recordWord(offset) }
        let at = state.pointee.cursor
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
    @inlinable @inline(__always)
    public func seal() {
        if state.pointee.sealed < state.pointee.cursor { sealNow() }
    }

    @usableFromInline func sealNow() {
        let from = state.pointee.sealed
        let to = state.pointee.cursor
        state.pointee.sealed = to
        state.pointee.access.flush(from, Int(truncatingIfNeeded: to &- from))
        state.pointee.access.fence()
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

    func abortUndo() {
        if state.pointee.journals { return makeShared() }
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
