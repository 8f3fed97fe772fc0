import CPersistentMemory

/// Redo: gather words in volatile memory; at the end log them under one checksum, fence, write them
/// home.
extension LogLane {
    @inlinable @inline(__always)
    public func putWord(_ value: UInt64, at offset: UInt64) {
        if state.pointee.fresh.count > 0, isFresh(offset, 8) {
            state.pointee.access.base.storeBytes(
                of: value, toByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
            return
        }
        let found = find(offset)
        if found >= 0 {
            state.pointee.words[found].value = value
        } else {
            addWord(value, at: offset)
        }
    }

    /// Index of a gathered word, or -1.
    @inlinable @inline(__always)
    func find(_ offset: UInt64) -> Int {
        let count = state.pointee.words.count
        if count > 8 { return findInTable(offset) }
        var index = 0
        while index < count {
            if state.pointee.words[index].offset == offset { return index }
            index &+= 1
        }
        return -1
    }

    @inlinable @inline(__always)
    func addWord(_ value: UInt64, at offset: UInt64) {
        state.pointee.words.append(LoggedWord(offset: offset, value: value))
        if state.pointee.words.count > 8 { indexLastWord() }
    }

    @usableFromInline @inline(never)
    func indexLastWord() { index(state.pointee.words.count) }

    private static func hash(_ offset: UInt64) -> Int {
        Int(truncatingIfNeeded: (offset >> 3) &* 0x9E37_79B9_7F4A_7C15 >> 32)
    }

    @usableFromInline func findInTable(_ offset: UInt64) -> Int {
        let mask = state.pointee.tableMask
        var slot = Self.hash(offset) & mask
        while true {
            let entry = Int(state.pointee.table[slot])
            if entry == 0 { return -1 }
            if state.pointee.words[entry - 1].offset == offset { return entry - 1 }
            slot = (slot + 1) & mask
        }
    }

    /// Adds the last word to the table, which is at most half full.
    private func index(_ count: Int) {
        if count == LaneState.linearWords + 1 || count * 2 > state.pointee.tableMask + 1 {
            let size = max(64, (count * 4).nextPowerOfTwo)
            state.pointee.table.deallocate()
            state.pointee.table = .allocate(capacity: size)
            state.pointee.table.initialize(repeating: 0, count: size)
            state.pointee.tableMask = size - 1
            for index in 0..<count { insert(index) }
        } else {
            insert(count - 1)
        }
    }

    private func insert(_ index: Int) {
        let mask = state.pointee.tableMask
        var slot = Self.hash(state.pointee.words[index].offset) & mask
        while state.pointee.table[slot] != 0 { slot = (slot + 1) & mask }
        state.pointee.table[slot] = UInt32(truncatingIfNeeded: index + 1)
    }

    /// Replaces the bytes of a copy that this transaction has written.
    @usableFromInline func overlay(_ copy: UnsafeMutableRawPointer, _ offset: UInt64, _ length: Int)
    {
        let end = offset + UInt64(length)
        if length / 8 > state.pointee.words.count {
            for index in 0..<state.pointee.words.count {
                let word = state.pointee.words[index]
                if word.offset + 8 > offset, word.offset < end { place(word, copy, offset, end) }
            }
            return
        }
        var at = offset & ~7
        while at < end {
            let found = find(at)
            if found >= 0 { place(state.pointee.words[found], copy, offset, end) }
            at += 8
        }
    }

    /// Puts the part of a gathered word that lies in a range into a copy of the range.
    private func place(
        _ word: LoggedWord, _ copy: UnsafeMutableRawPointer, _ offset: UInt64, _ end: UInt64
    ) {
        withUnsafeBytes(of: word.value) { bytes in
            let from = max(word.offset, offset)
            let to = min(word.offset + 8, end)
            guard let source = bytes.baseAddress else { return }
            (copy + Int(from - offset)).copyMemory(
                from: source + Int(from - word.offset), byteCount: Int(to - from))
        }
    }

    func putBytes(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        forEachWord(of: bytes, at: offset) { putWord($1, at: $0) }
    }

    /// Calls `body` with the offset and the new value of each aligned word that the bytes change.
    func forEachWord(
        of bytes: UnsafeRawBufferPointer, at offset: UInt64, _ body: (UInt64, UInt64) -> Void
    ) {
        var word = offset & ~7
        let end = offset + UInt64(bytes.count)
        while word < end {
            let from = max(word, offset)
            let to = min(word + 8, end)
            var value = to - from == 8 ? 0 : load(word, as: UInt64.self)
            withUnsafeMutableBytes(of: &value) {
                let piece = UnsafeRawBufferPointer(
                    rebasing: bytes[Int(from - offset)..<Int(to - offset)])
                UnsafeMutableRawBufferPointer(rebasing: $0[Int(from - word)...]).copyMemory(
                    from: piece)
            }
            body(word, value)
            word += 8
        }
    }

    @inline(__always)
    func commitRedo() throws -> Bool {
        let count = state.pointee.words.count
        guard count > 0 else { return false }
        // The common case: a short block, no collector listens, no journal is written.
        if count <= LaneFormat.shortBlockWords, !state.pointee.isObserved {
            if state.pointee.fresh.count > 0 { makeFreshDurable() }
            commitShort(count)
        } else {
            try commitLong(count)
        }
        return true
    }

    /// The block may become durable before anything flushed beside it: what it refers to goes
    /// first.
    private func makeFreshDurable() {
        flushFresh()
        state.pointee.access.fence()
    }

    @inline(never)
    private func commitLong(_ count: Int) throws {
        if state.pointee.journals { return try commitJournal() }
        if state.pointee.fresh.count > 0 { makeFreshDurable() }
        let access = state.pointee.access
        let bytes = UInt64(truncatingIfNeeded: 16 &+ count &* 16)
        let isFar =
            LaneFormat.start(of: state.pointee.generation) &+ bytes > state.pointee.byteCount
        let isLong = isFar || bytes > LaneFormat.startBytes
        // A long block may overwrite the block before it, which recovery may still need; so that
        // one is made final.
        if isLong { retire() }
        if isFar { try writeFarBlock(count) } else { writeBlock(count, bytes) }
        access.fence()  // COMMIT POINT: the block is valid from here on, whatever happens
        writeHome(count, access)
        state.pointee.generation &+= 1
        state.pointee.hasUnretired = true
        // The next block overwrites part of a long one. Without a commit word recovery would then
        // take an older block for the last and bring old words back.
        if isLong || state.pointee.retiresEagerly { retire() }
    }

    /// Writes the block into the lane and starts its write-back.
    private func writeBlock(_ count: Int, _ bytes: UInt64) {
        let generation = state.pointee.generation
        let access = state.pointee.access
        let at = state.pointee.offset &+ LaneFormat.start(of: generation)
        let block = (access.base + Int(truncatingIfNeeded: at)).assumingMemoryBound(to: UInt64.self)
        let descriptor = UInt64(truncatingIfNeeded: count) | LaneFormat.redoMark &<< 48
        var crc = LaneFormat.seed(lane: state.pointee.index, generation: generation)
        crc = pm_crc32c(crc, descriptor)
        copyWords(count, to: block + 2, &crc)
        block[1] = descriptor
        block[0] = LaneFormat.tag(crc, generation)
        access.flush(at, Int(truncatingIfNeeded: bytes))
    }

    @inline(__always)
    private func copyWords(
        _ count: Int, to target: UnsafeMutablePointer<UInt64>, _ crc: inout UInt64
    ) {
        let words = state.pointee.words.base
        var target = target
        var index = 0
        while index < count {
            let word = words[index]
            target[0] = word.offset
            target[1] = word.value
            crc = pm_crc32c(pm_crc32c(crc, word.offset), word.value)
            target += 2
            index &+= 1
        }
    }

    /// The same for a transaction too long for the lane: its words go into a block of the heap.
    private func writeFarBlock(_ count: Int) throws {
        guard let far = state.pointee.allocateBlock(count * 16) else {
            let limit = state.pointee.byteCount
            abort()
            throw PersistentMemoryError.full(limit: limit)
        }
        let generation = state.pointee.generation
        let access = state.pointee.access
        let at = state.pointee.offset + LaneFormat.start(of: generation)
        let block = (access.base + Int(at)).assumingMemoryBound(to: UInt64.self)
        let descriptor = UInt64(count) | LaneFormat.farRedoMark << 48
        var crc = LaneFormat.seed(lane: state.pointee.index, generation: generation)
        crc = pm_crc32c(pm_crc32c(crc, descriptor), far)
        copyWords(count, to: (access.base + Int(far)).assumingMemoryBound(to: UInt64.self), &crc)
        block[2] = far
        block[1] = descriptor
        block[0] = LaneFormat.tag(crc, generation)
        access.flush(far, count * 16)
        access.flush(at, 24)
    }

    /// Writes the words home. Their write-back is ordered by the fence of the next commit.
    private func writeHome(_ count: Int, _ access: RegionAccess) {
        let words = state.pointee.words.base
        if let barrier = state.pointee.overwriteBarrier {
            for index in 0..<count { barrier(words[index].offset, 8) }
        }
        var index = 0
        while index < count {
            let word = words[index]
            access.base.storeBytes(
                of: word.value, toByteOffset: Int(truncatingIfNeeded: word.offset), as: UInt64.self)
            index &+= 1
            // Neighbouring words of one line share a write-back.
            if index == count || words[index].offset ^ word.offset > 63 {
                access.flush(word.offset, 8)
            }
        }
    }
}

extension Int {
    var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
