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
/// 3. Metadata and counts are made new by every open and trusted by none.
/// 4. A log never holds words of two bases: recovery ends before the pass begins.
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
        for arena in 0..<allocator.arenaCount {
            var page = geometry.firstPage(ofArena: arena)
            var ready: UInt64 = 0
            while page < (arena + 1) * geometry.pagesPerArena {
                let span = allocator.span(page)
                if span.isCells, state.pointee.types[span.type].isNative {
                    if page >= ready {
                        ready = prepare(page, willMove: old != new, metadata[span.type])
                    }
                    fixUp(page, span, metadata[span.type], from: old, to: new)
                }
                page += span.isRun ? max(1, span.pages) : 1
            }
        }
        region.fence()
    }

    /// Maps a row of native pages at once: a page fault for each would cost more than the pass.
    /// Returns its end.
    private func prepare(_ page: UInt64, willMove: Bool, _ metadata: UInt64?) -> UInt64 {
        let end = min(page + 512, (page / geometry.pagesPerArena + 1) * geometry.pagesPerArena)
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

    /// All cells of a page, live or not: no one knows yet which are. Words that are right already
    /// are not written.
    private func fixUp(
        _ page: UInt64, _ span: SpanWord, _ metadata: UInt64?, from old: UInt64, to new: UInt64
    ) {
        let type = state.pointee.types[span.type]
        let cellWords = SizeClass.bytes[span.sizeClass] / 8
        let bytes = committedBytesUnlocked
        var words = (base + Int(page << HeapFormat.pageShift)).assumingMemoryBound(to: UInt64.self)
        var changed: UInt64 = 0
        for _ in 0..<(Int(HeapFormat.pageBytes) / 8 / cellWords) {
            if let metadata {
                changed |= (words[0] ^ metadata) | (words[1] ^ NativeObject.immortal)
                if words[0] != metadata { words[0] = metadata }
                if words[1] != NativeObject.immortal { words[1] = NativeObject.immortal }
            }
            if old != new, let slots = type.slots {
                for index in 0..<type.slotCount {
                    let slot = Int(slots[index] >> 3)
                    let distance = words[slot] &- old
                    if distance < bytes {
                        words[slot] = new &+ distance
                        changed = 1
                    }
                }
            }
            words += cellWords
        }
        if changed != 0 { region.flush(page << HeapFormat.pageShift, Int(HeapFormat.pageBytes)) }
    }

    private var committedBytesUnlocked: UInt64 {
        state.pointee.allocator.arenaCount << geometry.arenaShift
    }
}
