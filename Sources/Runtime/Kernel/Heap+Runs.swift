// Runs of pages: bins of free runs by power-of-two length, joined with their neighbours when freed.

extension Heap {
    /// Takes `count` pages whose address is a multiple of `alignmentPages` pages, and marks them as
    /// one used run.
    mutating func takeRun(count: UInt32, alignmentPages: UInt) -> UInt32? {
        let slack = UInt32(alignmentPages - 1)
        let (wanted, overflow) = count.addingReportingOverflow(slack)
        guard !overflow, let found = findFreeRun(atLeast: wanted) ?? extend(by: wanted) else {
            return nil
        }
        let run = found.page
        let misalignment = address(run) / Heap.pageBytes % alignmentPages
        let skip = misalignment == 0 ? 0 : UInt32(alignmentPages - misalignment)
        let start = run + skip
        markUsed(start, count: count)
        // Both rests become free runs; the used run between keeps them apart.
        let end = run + found.length
        if start + count < end { releaseRun(start + count, count: end - start - count) }
        if skip > 0 { releaseRun(run, count: skip) }
        return start
    }

    /// Makes a run free: joins it with free neighbours, or lowers the frontier if it is the last
    /// one.
    mutating func releaseRun(_ page: UInt32, count: UInt32) {
        var start = page
        var end = page + count
        if end < frontier, pages[Int(end)].state == .freeHead {
            let length = pages[Int(end)].length
            unlinkRun(end)
            end += length
        }
        if start > 0 {
            let neighbour = pages[Int(start - 1)]
            if neighbour.state == .freeTail || neighbour.state == .freeHead {
                start -= neighbour.length
                unlinkRun(start)
            }
        }
        if end == frontier {
            frontier = start
        } else {
            linkFreeRun(start, count: end - start)
        }
    }

    private mutating func markUsed(_ page: UInt32, count: UInt32) {
        pages[Int(page + count - 1)] = PageInfo(length: count, state: .usedTail)
        pages[Int(page)] = PageInfo(length: count, state: .usedHead)
    }

    private mutating func extend(by count: UInt32) -> (page: UInt32, length: UInt32)? {
        guard count <= pageCount - frontier else { return nil }
        let page = frontier
        frontier += count
        return (page, count)
    }

    /// Unlinks a free run of at least `count` pages: first fit in the bin of its own size, any in a
    /// larger bin.
    private mutating func findFreeRun(atLeast count: UInt32) -> (page: UInt32, length: UInt32)? {
        for bin in Heap.bin(of: count)..<Heap.binCount {
            var page = runHeads[bin]
            while page != PageInfo.none {
                let info = pages[Int(page)]
                if info.length >= count {
                    unlinkRun(page)
                    return (page, info.length)
                }
                page = info.next
            }
        }
        return nil
    }

    static func bin(of count: UInt32) -> Int { 31 - count.leadingZeroBitCount }

    private mutating func linkFreeRun(_ page: UInt32, count: UInt32) {
        let bin = Heap.bin(of: count)
        let next = runHeads[bin]
        pages[Int(page + count - 1)] = PageInfo(length: count, state: .freeTail)
        pages[Int(page)] = PageInfo(length: count, next: next, state: .freeHead)
        if next != PageInfo.none { pages[Int(next)].previous = page }
        runHeads[bin] = page
    }

    private mutating func unlinkRun(_ page: UInt32) {
        let info = pages[Int(page)]
        if info.previous == PageInfo.none {
            runHeads[Heap.bin(of: info.length)] = info.next
        } else {
            pages[Int(info.previous)].next = info.next
        }
        if info.next != PageInfo.none { pages[Int(info.next)].previous = info.previous }
    }
}
