import CPersistentMemory
import PersistentMemory

/// Allocation: cells from bins, runs of pages, growth; and what becomes of freed cells.
extension PersistentHeap {
    /// A cell for one value of a type, noted as new in the transaction.
    @inlinable
    func allocate(type: Int, size: Int, in lane: LogLane) throws -> UInt64 {
        let sizeClass = Int(state.pointee.types[type].sizeClass)
        if state.pointee.isSerial, sizeClass < 255 {
            let offset = state.pointee.allocator.take(type: type, sizeClass: sizeClass)
            if offset != 0 {
                lane.addFresh(offset, Int(state.pointee.allocator.cellBytes[sizeClass]))
                return offset
            }
        }
        return try allocateSlowly(type: type, bytes: size, in: lane)
    }

    @usableFromInline @inline(never)
    func allocateSlowly(type: Int, bytes: Int, in lane: LogLane) throws -> UInt64 {
        let offset = try allocateCell(type: type, bytes: bytes)
        lane.addFresh(offset, usableBytes(offset))
        return offset
    }

    /// A cell or run outside any transaction's care: unreachable until something refers to it.
    func allocateCell(type: Int, bytes: Int) throws -> UInt64 {
        pm_lock(&state.pointee.allocatorLock)
        defer { pm_unlock(&state.pointee.allocatorLock) }
        if let sizeClass = SizeClass.holding(max(1, bytes)) {
            while true {
                let offset = state.pointee.allocator.take(type: type, sizeClass: sizeClass)
                if offset != 0 { return offset }
                try makeRoom {
                    state.pointee.allocator.refill(type: type, sizeClass: sizeClass) ? 1 : nil
                }
            }
        }
        let pages = UInt64(bytes + Int(HeapFormat.pageBytes) - 1) >> HeapFormat.pageShift
        guard pages <= geometry.largestRun, bytes < 1 << 40 else {
            throw HeapError.objectTooLarge(
                bytes: bytes, limit: Int(geometry.largestRun << HeapFormat.pageShift))
        }
        return try makeRoom(pages: pages) {
            state.pointee.allocator.takeRun(type: type, pages: pages)
        }
    }

    /// Tries, then tries with empty pages of other types, then with a larger file.
    @discardableResult
    private func makeRoom(pages: UInt64 = 1, _ attempt: () -> UInt64?) throws -> UInt64 {
        if let found = attempt() { return found }
        if !state.pointee.isCollecting, state.pointee.allocator.reclaimEmptyPages() > 0,
            let found = attempt()
        {
            return found
        }
        // The end of an arena may be too short: then the next one has room.
        while true {
            try grow(pages: pages)
            if let found = attempt() { return found }
        }
    }

    /// Bytes for a string or a log block, without references.
    func allocateBytes(_ bytes: Int) throws -> UInt64 {
        try allocateCell(type: BuiltInType.bytes, bytes: bytes)
    }

    /// A block for a log that outgrew its lane; given back like an object freed by the transaction,
    /// or, where the log is a journal, when the lane says so.
    func allocateLogBlock(_ bytes: Int) -> UInt64? {
        guard let offset = try? allocateBytes(bytes) else { return nil }
        if state.pointee.isSerial, !region.journals { state.pointee.freed.append(offset) }
        return offset
    }

    /// In locking isolation the collector finds it.
    func takeBackLogBlock(_ offset: UInt64) {
        guard state.pointee.isSerial else { return }
        pm_lock(&state.pointee.allocatorLock)
        giveBack(offset)
        pm_unlock(&state.pointee.allocatorLock)
    }

    /// Bytes of the cell or run that starts at an offset.
    @usableFromInline func usableBytes(_ offset: UInt64) -> Int {
        let page = offset >> HeapFormat.pageShift
        let span = state.pointee.allocator.span(page)
        guard state.pointee.allocator.isSound(page, span), span.isRun || span.isCells else {
            damaged(offset, "an object lies on a page that holds none")
        }
        return span.isRun
            ? Int(span.pages << HeapFormat.pageShift) : SizeClass.bytes[span.sizeClass]
    }

    /// Makes the file longer, by a quarter or by what `pages` need, within one arena. The header says
    /// so last: until then what is new does not exist.
    private func grow(pages: UInt64) throws {
        var new = header.withLock { $0 }
        let old = new.committedBytes
        let unit = HeapFormat.growthUnit
        let share = min(max(old / 4, HeapFormat.leastGrowth), HeapFormat.mostGrowth)
        let wanted = (max(share, pages << HeapFormat.pageShift) + unit - 1) / unit * unit
        let inArena = old & (geometry.arenaBytes - 1)
        let arena = old >> geometry.arenaShift
        if inArena == 0 {
            let tables = geometry.firstPage(ofArena: arena) << HeapFormat.pageShift - old
            new.committedBytes += min(
                (tables + wanted + unit - 1) / unit * unit, geometry.arenaBytes)
        } else {
            new.committedBytes += min(wanted, geometry.arenaBytes - inArena)
        }
        let most = region.reservedBytes / unit * unit
        if inArena != 0 || geometry.firstPage(ofArena: arena) << HeapFormat.pageShift < most {
            new.committedBytes = min(new.committedBytes, most)
        }
        guard new.committedBytes > old, new.committedBytes <= most else {
            throw HeapError.full(limit: region.reservedBytes)
        }
        try region.grow(to: new.committedBytes)
        if inArena == 0 { HeapOpener.writeArena(arena, new, region) }
        HeapOpener.write(&new, region)
        let grown = new
        header.withLock { $0 = grown }
        state.pointee.limit = grown.committedBytes
        for lane in lanes { lane.state.pointee.heapBytes = grown.committedBytes }
        state.pointee.allocator.grow(to: grown.committedBytes)
    }

    /// For tests: how often the file grew in this process.
    package var growthsForTests: Int { state.pointee.allocator.growths }

    // MARK: Freed cells

    /// Gives the cells of a finished transaction back.
    ///
    /// A redo block may be replayed after a crash as long as it is one of the last two. So a cell
    /// freed while block g was the last one must not be reused by the transaction of block g+1:
    /// replaying g could overwrite what g+1 put there. It waits for one more commit. Blocks of a
    /// journal are replayed all, in order, with the contents of new objects: nothing has to wait.
    func publishFreed(_ lane: LogLane, advanced: Bool) {
        pm_lock(&state.pointee.allocatorLock)
        defer { pm_unlock(&state.pointee.allocatorLock) }
        if region.journals { return giveBack(&state.pointee.freed) }
        if advanced || state.pointee.waiting.count > 256 {
            if !advanced { lane.retire() }
            giveBack(&state.pointee.waiting)
        }
        if lane.state.pointee.hasUnretired {
            for index in 0..<state.pointee.freed.count {
                state.pointee.waiting.append(state.pointee.freed[index])
            }
            state.pointee.freed.count = 0
        } else {
            giveBack(&state.pointee.freed)
        }
    }

    private func giveBack(_ list: inout RawList<UInt64>) {
        for index in 0..<list.count { giveBack(list[index]) }
        list.count = 0
    }

    func giveBack(_ offset: UInt64) {
        if state.pointee.isCollecting {
            state.pointee.deferredByCollector.append(offset)
        } else if isKnown(offset) {
            state.pointee.allocator.free(offset)
        }
    }

    /// Whether the page's live cells are known; if not, the collector will find the cell by itself.
    private func isKnown(_ offset: UInt64) -> Bool {
        state.pointee.allocator.pages[Int(offset >> HeapFormat.pageShift)].flags & PageState.isKnown
            != 0
    }

    /// Gives back what an aborted transaction allocated.
    @usableFromInline func recycleFresh(_ lane: LogLane) {
        guard lane.state.pointee.fresh.count > 0 else { return }
        pm_lock(&state.pointee.allocatorLock)
        defer { pm_unlock(&state.pointee.allocatorLock) }
        for index in 0..<lane.state.pointee.fresh.count {
            let range = lane.state.pointee.fresh[index]
            var at = range.offset
            while at < range.offset + UInt64(range.length) {
                let bytes = usableBytes(at)
                giveBack(at)
                at += UInt64(bytes)
            }
        }
    }
}
