import CPersistentMemory
import Glibc
import PersistentMemory
import Synchronization

/// What the collector tells while it works.
public struct CollectorProgress: Sendable, Equatable {
    public enum Phase: Sendable { case marking, sweeping, finished }
    public var phase = Phase.marking
    public var markedObjects: UInt64 = 0
    public var liveBytes: UInt64 = 0
    public var sweptPages: UInt64 = 0
    /// Pages that became free for any type.
    public var freedPages: UInt64 = 0
    public init() {}
}

struct CollectorState {
    var thread: pthread_t?
    var last: CollectorProgress?
}

/// Finds what can be reached from the roots and makes the rest available again.
///
/// Marking runs beside transactions: it sees the graph as it was when it began (snapshot at the
/// beginning). A transaction that overwrites a word first hands the old word over
/// (`overwriteBarrier`), so nothing of the snapshot is lost; what is allocated meanwhile counts as
/// reachable. Nothing is written to persistent memory but the span words of pages that turn out
/// empty, each with one 8-byte store: a crash at any point needs no repair.
struct CollectionPass {
    let heap: PersistentHeap
    var progress = CollectorProgress()
    private var work: [UInt64] = []
    private let cycle: UInt32

    init(_ heap: PersistentHeap) {
        self.heap = heap
        cycle = heap.state.pointee.allocator.cycle &+ 1
    }

    mutating func run() {
        heap.stopTransactions { begin() }
        mark()
        heap.stopTransactions {
            // Old words handed over since; with transactions stopped this ends.
            repeat {
                takeBarrier()
                mark()
            } while heap.barrier.withLock({ !$0.isEmpty })
            for lane in heap.lanes { lane.state.pointee.overwriteBarrier = nil }
        }
        sweep()
        heap.stopTransactions { end() }
        report(.finished)
    }

    private mutating func begin() {
        let state = heap.state
        for lane in heap.lanes { lane.retire() }
        heap.giveBackWaiting()
        state.pointee.allocator.detachAll(cycle: cycle)
        state.pointee.isCollecting = true
        for lane in heap.lanes {
            let heap = Unmanaged.passUnretained(heap)
            lane.state.pointee.overwriteBarrier = { offset, length in
                heap._withUnsafeGuaranteedRef { $0.rememberOverwritten(offset, length) }
            }
        }
        for word in 0..<HeapFormat.anchorWords {
            reach(heap.region.load(heap.geometry.anchor + UInt64(word * 8)))
        }
        heap.pins.withLock { $0.keys.sorted() }.forEach { reach($0) }
    }

    // MARK: Mark

    private mutating func mark() {
        while let offset = work.popLast() {
            progress.markedObjects += 1
            if progress.markedObjects % 1_000_000 == 0 { report(.marking) }
            trace(offset)
        }
    }

    private mutating func takeBarrier() {
        let words = heap.barrier.withLock { words in
            defer { words.removeAll(keepingCapacity: true) }
            return words
        }
        for word in words { reach(word) }
    }

    /// Marks the object a word refers to, if it refers to one, and queues it.
    private mutating func reach(_ reference: UInt64) {
        let word = heap.offset(ofReference: reference)
        guard let object = heap.object(at: word) else { return }
        let page = Int(word >> HeapFormat.pageShift)
        let state = heap.state.pointee.allocator.pages + page
        if state.pointee.flags & PageState.isKnown != 0, state.pointee.cycle == cycle { return }
        let bit = UInt64(1) << UInt64(object.cell & 63)
        guard state.pointee.mark[object.cell >> 6] & bit == 0 else { return }
        state.pointee.mark[object.cell >> 6] |= bit
        progress.liveBytes += UInt64(object.bytes)
        if heap.state.pointee.types[object.span.type].slotCount > 0 {
            work.append(word)
        } else {
            progress.markedObjects += 1
        }
    }

    private mutating func trace(_ offset: UInt64) {
        guard let object = heap.object(at: offset) else { return }
        let type = heap.state.pointee.types[object.span.type]
        guard let slots = type.slots, type.stride > 0 else { return }
        let values = type.isArray ? object.bytes / Int(type.stride) : 1
        for value in 0..<values {
            let at = offset + UInt64(value) * UInt64(type.stride)
            for index in 0..<type.slotCount {
                let slot = UInt64(slots[index] & ~UInt32(TypeLayout.conservative))
                let word = pm_load(
                    (heap.base + Int(at + slot)).assumingMemoryBound(to: UInt64.self))
                if word != 0 { reach(type.isNative ? heap.offset(ofAddress: word) : word) }
            }
        }
    }

    // MARK: Sweep

    private mutating func sweep() {
        let geometry = heap.geometry
        let pagesPerSlice: UInt64 = 1024
        var arena: UInt64 = 0
        var page = geometry.firstPage(ofArena: 0)
        while arena < heap.state.pointee.allocator.arenaCount {
            let arenaEnd = heap.state.pointee.allocator.endPage(ofArena: arena)
            let end = min(page + pagesPerSlice, arenaEnd)
            heap.stopTransactions { while page < end { page += sweepPage(page) } }
            report(.sweeping)
            if page >= arenaEnd {
                arena += 1
                page = geometry.firstPage(ofArena: arena)
            }
        }
    }

    /// Sweeps one page or run; returns its length in pages.
    private mutating func sweepPage(_ page: UInt64) -> UInt64 {
        let span = heap.state.pointee.allocator.span(page)
        let state = heap.state.pointee.allocator.pages + Int(page)
        // A damaged word is left alone, and nothing is given out from its page.
        guard heap.state.pointee.allocator.isSound(page, span) else {
            progress.sweptPages += 1
            return 1
        }
        let length = span.isRun ? max(1, span.pages) : 1
        progress.sweptPages += length
        let isNew = state.pointee.flags & PageState.isKnown != 0 && state.pointee.cycle == cycle
        if span.isFree || isNew { return length }
        if span.isRest {
            // No head owned it (its head would have been skipped over): left by a crash.
            heap.state.pointee.allocator.release(page)
            return 1
        }
        let isEmpty = (0..<8).allSatisfy { state.pointee.mark[$0] == 0 }
        if state.pointee.flags & PageState.isKnown == 0, !isEmpty {
            heap.state.pointee.allocator.usedPages += length
        }
        if span.isRun {
            if isEmpty {
                heap.state.pointee.allocator.freeRun(page, length)
            } else {
                state.pointee.flags = PageState.isKnown
            }
            progress.freedPages += isEmpty ? length : 0
        } else if isEmpty {
            heap.state.pointee.allocator.release(page)
            progress.freedPages += 1
        } else {
            adopt(page, span)
        }
        for word in 0..<8 { state.pointee.mark[word] = 0 }
        return length
    }

    /// Free cells are those without a mark.
    private func adopt(_ page: UInt64, _ span: SpanWord) {
        let state = heap.state.pointee.allocator.pages + Int(page)
        let cells = Int(HeapFormat.pageBytes) / SizeClass.bytes[span.sizeClass]
        var count = 0
        for word in 0..<8 {
            let free = ~state.pointee.mark[word] & PageAllocator.mask(cells, word)
            state.pointee.free[word] = free
            count += free.nonzeroBitCount
        }
        state.pointee.freeCount = UInt16(count)
        state.pointee.hint = 0
        state.pointee.flags = PageState.isKnown
        if count > 0 { heap.state.pointee.allocator.list(page, span) }
    }

    private func end() {
        let state = heap.state
        state.pointee.isCollecting = false
        for index in 0..<state.pointee.deferredByCollector.count {
            heap.giveBack(state.pointee.deferredByCollector[index])
        }
        state.pointee.deferredByCollector.count = 0
        heap.region.fence()
    }

    private mutating func report(_ phase: CollectorProgress.Phase) {
        progress.phase = phase
        heap.options.onProgress?(progress)
    }
}

extension PersistentHeap {
    /// Collects now, on this thread, beside transactions of other threads. Not inside a
    /// transaction.
    ///
    /// An object that only Swift variables refer to is collected: keep it with `pin`, or make it a
    /// root.
    @discardableResult
    public func collect() -> CollectorProgress {
        precondition(
            state.pointee.owner != pm_thread_id(),
            "collect() inside a transaction would wait for itself")
        pm_lock(collectorLock)
        defer { pm_unlock(collectorLock) }
        var collection = CollectionPass(self)
        collection.run()
        let progress = collection.progress
        collector.withLock { $0.last = progress }
        return progress
    }

    /// Keeps an object although no root reaches it, until `unpin` or the heap is closed.
    public func pin<T>(_ reference: PRef<T>) {
        pins.withLock { $0[reference.offset, default: 0] += 1 }
    }

    public func unpin<T>(_ reference: PRef<T>) {
        pins.withLock { pins in
            pins[reference.offset, default: 0] -= 1
            if pins[reference.offset, default: 0] <= 0 { pins[reference.offset] = nil }
        }
    }

    /// Starts the collection that follows opening, in the background.
    func startCollector() {
        let box = Unmanaged.passRetained(CollectorBox(self))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<CollectorBox>.fromOpaque(argument).takeRetainedValue()
                _ = box.heap.takeUnretainedValue().collect()
                return nil
            }, box.toOpaque())
        if result == 0 { collector.withLock { $0.thread = thread } } else { box.release() }
    }

    /// Waits for the background collection, if one runs.
    public func waitForCollector() {
        let thread = collector.withLock { state in
            defer { state.thread = nil }
            return state.thread
        }
        if let thread { pthread_join(thread, nil) }
    }

    func stopCollector() { waitForCollector() }

    func stopTransactions(_ body: () -> Void) {
        if state.pointee.isSerial { lockSerial() } else { locks.closeGate() }
        body()
        if state.pointee.isSerial { unlockSerial() } else { locks.openGate() }
    }

    /// Called by a transaction before it overwrites a range while the collector marks.
    func rememberOverwritten(_ offset: UInt64, _ length: Int) {
        var words: [UInt64] = []
        var at = offset & ~7
        while at < offset + UInt64(length) {
            let word = region.load(at)
            if word != 0 {
                words.append(word)
                words.append(self.offset(ofAddress: word))
            }
            at += 8
        }
        barrier.withLock { $0 += words }
    }

    func giveBackWaiting() {
        for index in 0..<state.pointee.waiting.count { giveBack(state.pointee.waiting[index]) }
        state.pointee.waiting.count = 0
    }

    /// The offset that a reference of a native object stands for; 0 for what is no reference.
    func offset(ofAddress word: UInt64) -> UInt64 {
        let distance = word &- state.pointee.nativeBase
        return distance < region.reservedBytes ? distance : 0
    }

    /// The object that starts at an offset, if one does.
    func object(at offset: UInt64) -> (span: SpanWord, cell: Int, bytes: Int)? {
        let page = offset >> HeapFormat.pageShift
        let arena = page >> (geometry.arenaShift - HeapFormat.pageShift)
        guard arena < state.pointee.allocator.arenaCount, page >= geometry.firstPage(ofArena: arena)
        else { return nil }
        let span = state.pointee.allocator.span(page)
        let inPage = Int(offset & (HeapFormat.pageBytes - 1))
        guard state.pointee.allocator.isSound(page, span) else { return nil }
        if span.isRun {
            return inPage == 0 ? (span, 0, Int(span.pages << HeapFormat.pageShift)) : nil
        }
        guard span.isCells, span.sizeClass < SizeClass.count else { return nil }
        let bytes = SizeClass.bytes[span.sizeClass]
        let cell = inPage / bytes
        return inPage % bytes == 0 && (cell + 1) * bytes <= Int(HeapFormat.pageBytes)
            ? (span, cell, bytes) : nil
    }
}

private final class CollectorBox {
    let heap: Unmanaged<PersistentHeap>
    init(_ heap: PersistentHeap) { self.heap = .passUnretained(heap) }
}
