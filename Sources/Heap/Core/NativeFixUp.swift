import PersistentMemory

/// Makes native objects fit this process: class metadata where it is now, references by where the
/// heap is mapped now.
///
/// The header names the address that all references are relative to (`nativeBases[0]`), and during
/// a move a second one.
///
/// Invariants
/// 1. Outside a move every native reference lies in [base, base + committed bytes), or is nil.
/// 2. During a move from a to b the two ranges do not overlap, so a reference's own value says
///    whether it has been moved. Any step may be repeated, in this process or after a crash in
///    another: there is no log, and no fence for a single object. Two fenced header updates
///    surround the pass.
/// 3. A page is made right in a buffer and written where it differs, an aligned word at a time or
///    more: after a crash each word of it is the old one or the new one.
/// 4. Metadata and counts are made new by every open and trusted by none.
/// 5. A log never holds words of two bases: recovery ends before the pass begins.
extension PersistentHeap {
    /// No program maps anything here: the stopover for a move between overlapping ranges.
    private static let stopover: UInt64 = 1 << 60

    private var mappedAt: UInt64 { UInt64(UInt(bitPattern: base)) }

    /// After a crash in a move: ends it, towards the address it was going to, which need not be
    /// mapped.
    func finishInterruptedMove() {
        let bases = header.withLock { $0.nativeBases }
        if bases[1] != 0 { pass(from: bases[0], to: bases[1], metadata: [:]) }
        if bases[1] != 0 { setNativeBases(bases[1], 0) }
        state.pointee.nativeBase = header.withLock { $0.nativeBases[0] }
    }

    /// Moves all references to this mapping, and gives the objects this process's classes.
    func moveNativeObjects(metadata: [Int: UInt64]) {
        let old = state.pointee.nativeBase
        let distance = old > mappedAt ? old - mappedAt : mappedAt - old
        if old == mappedAt || old == 0 {
            if old == 0 { setNativeBases(mappedAt, 0) }
            pass(from: mappedAt, to: mappedAt, metadata: metadata)
        } else if distance < committedBytes {
            move(from: old, to: Self.stopover, metadata: [:])
            move(from: Self.stopover, to: mappedAt, metadata: metadata)
        } else {
            move(from: old, to: mappedAt, metadata: metadata)
        }
        state.pointee.nativeBase = mappedAt
    }

    private func move(from old: UInt64, to new: UInt64, metadata: [Int: UInt64]) {
        setNativeBases(old, new)
        pass(from: old, to: new, metadata: metadata)
        setNativeBases(new, 0)
    }

    private func setNativeBases(_ base: UInt64, _ next: UInt64) {
        var new = header.withLock { $0 }
        new.nativeBases = [base, next, 0, 0]
        HeapOpener.write(&new, region)
        let written = new
        header.withLock { $0 = written }
    }

    /// One walk over all pages of native objects. Durable when it returns.
    private func pass(from old: UInt64, to new: UInt64, metadata: [Int: UInt64]) {
        let allocator = state.pointee.allocator
        let image = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(HeapFormat.pageBytes), alignment: 64)
        defer { image.deallocate() }
        for arena in 0..<allocator.arenaCount {
            var page = geometry.firstPage(ofArena: arena)
            var ready: UInt64 = 0
            while page < allocator.endPage(ofArena: arena) {
                let span = allocator.span(page)
                if span.isCells, state.pointee.types[span.type].isNative {
                    if page >= ready {
                        ready = prepare(page, willMove: old != new, metadata[span.type])
                    }
                    let at = page << HeapFormat.pageShift
                    image.copyMemory(
                        from: UnsafeRawBufferPointer(start: base + Int(at), count: image.count))
                    fixUp(image, span, metadata[span.type], from: old, to: new)
                    region.write(UnsafeRawBufferPointer(image), at: at)
                }
                page += span.isRun ? max(1, span.pages) : 1
            }
        }
        region.fence()
    }

    /// Maps a row of native pages at once: a page fault for each would cost more than the pass.
    /// Returns its end.
    private func prepare(_ page: UInt64, willMove: Bool, _ metadata: UInt64?) -> UInt64 {
        let allocator = state.pointee.allocator
        let end = min(page + 512, allocator.endPage(ofArena: page / geometry.pagesPerArena))
        var next = page + 1
        while next < end, state.pointee.allocator.span(next).isCells,
            state.pointee.types[state.pointee.allocator.span(next).type].isNative
        { next += 1 }
        let first = region.load(page << HeapFormat.pageShift)
        region.prefault(
            page << HeapFormat.pageShift, Int((next - page) << HeapFormat.pageShift),
            forWriting: willMove || metadata.map { $0 != first } ?? false)
        return next
    }

    /// All cells of a page, live or not: no one knows yet which are.
    private func fixUp(
        _ image: UnsafeMutableRawBufferPointer, _ span: SpanWord, _ metadata: UInt64?,
        from old: UInt64, to new: UInt64
    ) {
        guard var words = image.baseAddress?.assumingMemoryBound(to: UInt64.self) else { return }
        let type = state.pointee.types[span.type]
        let cellWords = SizeClass.bytes[span.sizeClass] / 8
        let slots = UnsafeBufferPointer(
            start: type.slots, count: old == new || type.slots == nil ? 0 : type.slotCount)
        let (bytes, shift) = (committedBytesUnlocked, new &- old)
        for _ in 0..<(image.count / 8 / cellWords) {
            if let metadata {
                words[0] = metadata
                words[1] = NativeObject.immortal
            }
            for slot in slots {
                let index = Int(slot >> 3)
                if words[index] &- old < bytes { words[index] &+= shift }
            }
            words += cellWords
        }
    }

    private var committedBytesUnlocked: UInt64 {
        state.pointee.limit
    }
}
