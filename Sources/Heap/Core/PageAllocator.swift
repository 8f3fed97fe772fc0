import CPersistentMemory
import PersistentMemory

/// Volatile state of one page: which cells are free, and the collector's marks.
@usableFromInline struct PageState {
    /// One bit a cell, 1 = free to give out. 512 cells at most (16 bytes in 8 KiB).
    var free: InlineArray<8, UInt64>
    var mark: InlineArray<8, UInt64>
    /// Next page in the bin's list, 0 = last.
    var next: UInt32
    var freeCount: UInt16
    /// First word of `free` that may have a bit.
    var hint: UInt8
    /// 1: described by this structure (given out or swept in this process). 2: in a bin's list.
    var flags: UInt8
    /// The collection during which the page was given out: its objects count as reachable.
    var cycle: UInt32

    static let isKnown: UInt8 = 1
    static let isListed: UInt8 = 2
}

/// Where the next cell of one type and size comes from.
@usableFromInline struct Bin {
    /// Page that cells are taken from; 0 for none.
    @usableFromInline var current: UInt32
    /// Pages with free cells.
    @usableFromInline var listed: UInt32
}

/// Gives out and takes back cells and runs of pages.
///
/// Invariants
/// 1. A page with a free span word is in no bin. A page in a bin, current or listed, is known and
///    of that bin's type.
/// 2. A span word is durable before a cell of its page is given out.
/// 3. A page that this process neither gave out nor swept is not allocated from: which of its cells
///    live is unknown.
/// 4. The head of a run becomes durable after, and is cleared before, its other pages: a head
///    always owns its pages.
///
/// Where a fence waits for a disk, 2 and 4 hold by other means. A span word becomes durable with the
/// commit that first needs it (`spans`), or a fence covers those of several pages at once. Before
/// that a crash may leave any mixture of old and new words of the pages that no committed
/// transaction uses: `dropUnfinishedRuns` gives heads that do not own their pages back.
///
/// The caller holds the heap's lock.
@usableFromInline struct PageAllocator {
    @usableFromInline let access: RegionAccess
    @usableFromInline let pages: UnsafeMutablePointer<PageState>
    @usableFromInline let bins: UnsafeMutablePointer<Bin>
    @usableFromInline let cellBytes: UnsafeMutablePointer<UInt32>
    let geometry: HeapGeometry
    let pageCapacity: Int
    /// Where the search for free pages goes on.
    var rover: UInt64 = 0
    var arenaCount: UInt64
    /// Pages of the file: the last arena may be there in part.
    var pageCount: UInt64
    /// How often the file grew in this process.
    var growths = 0
    var cycle: UInt32 = 0
    var usedPages: UInt64 = 0
    /// Types with a smaller number may have bins.
    var typeCount = 1
    /// Where fences wait for a disk: offsets of span words that the next commit has to name.
    var spans: UnsafeMutablePointer<RawList<UInt64>>?
    /// Span words become durable in the order of the stores.
    let ordersSpans: Bool

    init?(region: PersistentRegion, geometry: HeapGeometry, committedBytes: UInt64) {
        access = RegionAccess(region)
        ordersSpans = !region.journals
        self.geometry = geometry
        arenaCount = geometry.arenas(in: committedBytes)
        pageCount = committedBytes >> HeapFormat.pageShift
        pageCapacity = Int(region.reservedBytes >> HeapFormat.pageShift)
        let binCount = HeapFormat.maximumTypes * SizeClass.count
        guard let pages = pm_zeroed(pageCapacity * MemoryLayout<PageState>.stride),
            let bins = pm_zeroed(binCount * MemoryLayout<Bin>.stride)
        else { return nil }
        self.pages = pages.assumingMemoryBound(to: PageState.self)
        self.bins = bins.assumingMemoryBound(to: Bin.self)
        cellBytes = .allocate(capacity: SizeClass.count)
        for (index, bytes) in SizeClass.bytes.enumerated() { cellBytes[index] = UInt32(bytes) }
        rover = geometry.firstPage(ofArena: arenaCount - 1)
    }

    func deallocate() {
        pm_release(pages, pageCapacity * MemoryLayout<PageState>.stride)
        pm_release(bins, HeapFormat.maximumTypes * SizeClass.count * MemoryLayout<Bin>.stride)
        cellBytes.deallocate()
    }

    // MARK: Cells

    /// A free cell's offset, or 0 when the bin's page is used up (`refill` then).
    @usableFromInline @inline(__always)
    func take(type: Int, sizeClass: Int) -> UInt64 {
        let page = Int(bins[type &* SizeClass.count &+ sizeClass].current)
        if page == 0 { return 0 }
        var hint = Int(pages[page].hint)
        let free = UnsafeMutableRawPointer(pages + page).assumingMemoryBound(to: UInt64.self)
        while hint < 8 {
            let word = free[hint]
            if word != 0 {
                free[hint] = word & (word &- 1)
                pages[page].hint = UInt8(truncatingIfNeeded: hint)
                pages[page].freeCount &-= 1
                let cell = hint &* 64 &+ word.trailingZeroBitCount
                return UInt64(truncatingIfNeeded: page) << HeapFormat.pageShift
                    &+ UInt64(truncatingIfNeeded: cell &* Int(cellBytes[sizeClass]))
            }
            hint &+= 1
        }
        pages[page].hint = 8
        return 0
    }

    /// Gives the bin a page with free cells; false when no page is free.
    mutating func refill(type: Int, sizeClass: Int) -> Bool {
        let bin = type * SizeClass.count + sizeClass
        let listed = bins[bin].listed
        if listed != 0 {
            bins[bin].listed = pages[Int(listed)].next
            pages[Int(listed)].flags &= ~PageState.isListed
            pages[Int(listed)].hint = 0
            bins[bin].current = listed
            return true
        }
        guard let page = findFreePages(1) else { return false }
        let span = SpanWord.cells(type: type, sizeClass: sizeClass)
        let end = page + 1 + sparePages(behind: page)
        for next in page..<end { setSpan(next, span) }
        fenceSpans()
        for next in page..<end { describe(next, sizeClass: sizeClass) }
        usedPages += end - page
        bins[bin].current = UInt32(page)
        for spare in page + 1..<end { list(spare, span) }
        return true
    }

    /// How many free pages behind a page to take along: a few where the fence is a wait for a disk,
    /// so that it serves them all. In a small arena none.
    private mutating func sparePages(behind page: UInt64) -> UInt64 {
        guard access.writeBack == .indirect else { return 0 }
        let arenaEnd = endPage(ofArena: page / geometry.pagesPerArena)
        let limit = min(page + 1 + min(31, geometry.pagesPerArena / 256), arenaEnd)
        var end = page + 1
        while end < limit, span(end).isFree { end += 1 }
        rover = end < arenaEnd ? end : geometry.firstPage(ofArena: page / geometry.pagesPerArena)
        return end - page - 1
    }

    func describe(_ page: UInt64, sizeClass: Int) {
        let state = pages + Int(page)
        let cells = Int(HeapFormat.pageBytes) / Int(cellBytes[sizeClass])
        for word in 0..<8 { state.pointee.free[word] = Self.mask(cells, word) }
        state.pointee.freeCount = UInt16(cells)
        state.pointee.hint = 0
        state.pointee.flags = PageState.isKnown
        state.pointee.cycle = cycle
        state.pointee.next = 0
    }

    /// The bits of bitmap word `word` that stand for cells, when there are `cells` of them.
    static func mask(_ cells: Int, _ word: Int) -> UInt64 {
        let bits = min(64, max(0, cells - word * 64))
        return bits == 64 ? ~0 : (1 << UInt64(bits)) - 1
    }

    /// Takes back one object. It must be live, and its page known.
    mutating func free(_ offset: UInt64) {
        let page = offset >> HeapFormat.pageShift
        guard page < pageCount else { return }
        let span = self.span(page)
        guard isSound(page, span) else { return }
        if span.isRun { return freeRun(page, span.pages) }
        guard span.isCells else { return }
        let cell = Int(offset & (HeapFormat.pageBytes - 1)) / Int(cellBytes[span.sizeClass])
        let state = pages + Int(page)
        let bit = UInt64(1) << UInt64(cell & 63)
        guard state.pointee.free[cell >> 6] & bit == 0 else { return }
        state.pointee.free[cell >> 6] |= bit
        state.pointee.freeCount += 1
        state.pointee.hint = min(state.pointee.hint, UInt8(cell >> 6))
        list(page, span)
    }

    /// Puts a known page with free cells into its bin's list, unless it is there.
    func list(_ page: UInt64, _ span: SpanWord) {
        let state = pages + Int(page)
        let bin = bins + (span.type * SizeClass.count + span.sizeClass)
        guard state.pointee.flags & PageState.isListed == 0, bin.pointee.current != UInt32(page)
        else { return }
        state.pointee.flags |= PageState.isListed
        state.pointee.next = bin.pointee.listed
        bin.pointee.listed = UInt32(page)
    }

    // MARK: Spans

    /// The page behind the last of an arena that the file holds.
    func endPage(ofArena arena: UInt64) -> UInt64 {
        min((arena + 1) * geometry.pagesPerArena, pageCount)
    }

    /// Takes in pages that the file has grown by.
    mutating func grow(to committedBytes: UInt64) {
        let before = arenaCount
        rover = pageCount
        arenaCount = geometry.arenas(in: committedBytes)
        pageCount = committedBytes >> HeapFormat.pageShift
        if arenaCount > before { rover = geometry.firstPage(ofArena: before) }
        growths += 1
    }

    func span(_ page: UInt64) -> SpanWord {
        SpanWord(
            value: access.base.load(fromByteOffset: Int(geometry.spanWord(page)), as: UInt64.self))
    }

    /// Stores a span word and starts its write-back, or leaves that to the next commit.
    func setSpan(_ page: UInt64, _ span: SpanWord) {
        let at = geometry.spanWord(page)
        access.base.storeBytes(of: span.value, toByteOffset: Int(at), as: UInt64.self)
        guard let spans else { return access.flush(at, 8) }
        // Pages given back are found again by the collector: they need not be durable.
        if !span.isFree { spans.pointee.append(at) }
        if spans.pointee.count >= 1 << 16, spans.pointee.count.nonzeroBitCount == 1 { thinSpans() }
    }

    /// Transactions that fail leave the same words behind again and again.
    private func thinSpans() {
        guard let spans else { return }
        let different = Set((0..<spans.pointee.count).map { spans.pointee[$0] }).sorted()
        spans.pointee.count = 0
        for offset in different { spans.pointee.append(offset) }
    }

    /// Makes span words durable, unless the next commit does.
    private func fenceSpans() {
        if spans == nil { access.fence() }
    }

    /// The first of `count` neighbouring free pages.
    mutating func findFreePages(_ count: UInt64) -> UInt64? {
        let firstArena = rover >> (geometry.arenaShift - HeapFormat.pageShift)
        for step in 0...arenaCount {
            let arena = (firstArena + step) % arenaCount
            let end = endPage(ofArena: arena)
            let begin = step == 0 ? rover : geometry.firstPage(ofArena: arena)
            if let page = findRun(count, from: begin, to: end) {
                rover = page + count < end ? page + count : geometry.firstPage(ofArena: arena)
                return page
            }
        }
        return nil
    }

    private func findRun(_ count: UInt64, from: UInt64, to: UInt64) -> UInt64? {
        var run: UInt64 = 0
        var page = from
        while page < to {
            run = span(page).isFree ? run + 1 : 0
            if run == count { return page + 1 - count }
            page += 1
        }
        return nil
    }

    // MARK: Runs

    /// Whole pages for one object; nil when no run is long enough.
    mutating func takeRun(type: Int, pages count: UInt64) -> UInt64? {
        guard let page = findFreePages(count) else { return nil }
        if count > 1 {
            for rest in 1..<count { setSpan(page + rest, .rest) }
            if ordersSpans { access.fence() }
        }
        setSpan(page, .run(type: type, pages: count))
        fenceSpans()
        pages[Int(page)].flags = PageState.isKnown
        pages[Int(page)].cycle = cycle
        usedPages += count
        return page << HeapFormat.pageShift
    }

    mutating func freeRun(_ page: UInt64, _ count: UInt64) {
        setSpan(page, .free)
        pages[Int(page)].flags = 0
        usedPages -= min(usedPages, count)
        guard count > 1 else { return }
        if ordersSpans { access.fence() }
        for rest in 1..<count { setSpan(page + rest, .free) }
    }

    /// Gives back what a crash left of runs: heads that do not own all their pages. Their transaction
    /// did not commit, or they had been freed; else a commit would have named all their words.
    func dropUnfinishedRuns() {
        for arena in 0..<arenaCount {
            var page = geometry.firstPage(ofArena: arena)
            let end = endPage(ofArena: arena)
            while page < end {
                let span = self.span(page)
                guard span.isRun else {
                    page += 1
                    continue
                }
                let owned = ownedPages(page, end)
                if owned == span.pages, owned > 0 {
                    page += owned
                    continue
                }
                for next in page..<(page + owned) { setSpan(next, .free) }
                page += owned
            }
        }
        access.fence()
    }

    /// The head of a run and the pages behind it that are the rest of one, as far as it claims.
    private func ownedPages(_ page: UInt64, _ end: UInt64) -> UInt64 {
        let claimed = min(max(1, span(page).pages), end - page)
        var owned: UInt64 = 1
        while owned < claimed, span(page + owned).isRest { owned += 1 }
        return owned
    }

    /// Gives empty pages back to all types. Called before the heap grows.
    mutating func reclaimEmptyPages() -> Int {
        var reclaimed = 0
        for index in 0..<(typeCount * SizeClass.count) where bins[index].listed != 0 {
            let cells = Int(HeapFormat.pageBytes) / Int(cellBytes[index % SizeClass.count])
            var page = bins[index].listed
            bins[index].listed = 0
            while page != 0 {
                let next = pages[Int(page)].next
                pages[Int(page)].flags &= ~PageState.isListed
                if pages[Int(page)].freeCount == cells {
                    release(UInt64(page))
                    reclaimed += 1
                } else {
                    list(UInt64(page), span(UInt64(page)))
                }
                page = next
            }
        }
        return reclaimed
    }

    mutating func release(_ page: UInt64) {
        setSpan(page, .free)
        pages[Int(page)].flags = 0
        usedPages -= min(usedPages, 1)
    }

    /// Makes every bin forget its pages: from here on cells come from pages of the new cycle only.
    mutating func detachAll(cycle: UInt32) {
        self.cycle = cycle
        for index in 0..<(typeCount * SizeClass.count)
        where bins[index].current != 0 || bins[index].listed != 0 {
            var page = bins[index].listed
            while page != 0 {
                let next = pages[Int(page)].next
                pages[Int(page)].flags &= ~PageState.isListed
                page = next
            }
            bins[index] = Bin(current: 0, listed: 0)
        }
    }
}
