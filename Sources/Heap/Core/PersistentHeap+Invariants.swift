import PersistentMemory

/// A figure for each type: what is reachable.
public struct TypeUsage: Sendable, Equatable {
    public var name: String
    public var objects: Int
    public var bytes: Int
}

/// How much of a heap is used, and how well.
public struct HeapStatistics: Sendable {
    public var committedBytes: UInt64 = 0
    public var pages = 0
    public var freePages = 0
    /// Neighbouring free pages in the longest such row: what the largest new object may take
    /// without growth.
    public var longestFreeRun = 0
    public var liveObjects = 0
    /// Bytes of cells and runs that hold reachable objects.
    public var liveBytes = 0
    public var types: [TypeUsage] = []
    /// Part of the used pages that holds nothing reachable, 0 to 1.
    public var fragmentation: Double {
        let used = (pages - freePages) << Int(HeapFormat.pageShift)
        return used == 0 ? 0 : 1 - Double(liveBytes) / Double(used)
    }
}

extension PersistentHeap {
    /// How the heap is used. Walks everything reachable: takes time in proportion to it.
    public func statistics() throws -> HeapStatistics { try checkInvariants() }

    /// Walks everything reachable and every span word. Throws the first broken invariant, by name.
    @discardableResult
    public func checkInvariants() throws -> HeapStatistics {
        try read { heap in
            var statistics = HeapStatistics()
            try heap.checkSpans(&statistics)
            try heap.checkReachable(&statistics)
            try heap.checkAllocator()
            _ = try heap.roots(in: heap)
            return statistics
        }
    }

    /// Runs stay inside their arenas, and every page behind a head is the rest of it.
    private func checkSpans(_ statistics: inout HeapStatistics) throws {
        statistics.committedBytes = committedBytes
        let allocator = state.pointee.allocator
        for arena in 0..<allocator.arenaCount {
            var page = geometry.firstPage(ofArena: arena)
            let end = allocator.endPage(ofArena: arena)
            var freeRun = 0
            while page < end {
                let span = allocator.span(page)
                freeRun = span.isFree ? freeRun + 1 : 0
                statistics.longestFreeRun = max(statistics.longestFreeRun, freeRun)
                statistics.pages += span.isRun ? Int(span.pages) : 1
                if span.isFree { statistics.freePages += 1 }
                guard allocator.isSound(page, span) else {
                    throw damage(
                        geometry.spanWord(page),
                        "the word of page \(page) names no type, size class or run that can be")
                }
                if span.isRun {
                    for rest in 1..<max(1, span.pages) where !allocator.span(page + rest).isRest {
                        throw PersistentMemoryError.invariant(
                            "page \(page + rest) is not the rest of its run")
                    }
                    page += span.pages
                    continue
                }
                page += 1
            }
        }
    }

    /// Every reference in a reachable object leads to the start of an object of a known type.
    private func checkReachable(_ statistics: inout HeapStatistics) throws {
        var seen: Set<UInt64> = []
        var work: [(word: UInt64, from: UInt64, isSure: Bool)] = (0..<HeapFormat.anchorWords).map {
            (region.load(geometry.anchor + UInt64($0 * 8)), 0, true)
        }
        var usage: [Int: TypeUsage] = [:]
        while let (word, from, isSure) = work.popLast() {
            guard word != 0, !seen.contains(word) else { continue }
            guard let object = object(at: word) else {
                if !isSure { continue }
                throw damage(from, "refers to 0x\(String(word, radix: 16)), where no object starts")
            }
            let type = state.pointee.types[object.span.type]
            guard type.stride > 0 else {
                throw PersistentMemoryError.invariant(
                    "object 0x\(String(word, radix: 16)) has an unknown type")
            }
            if try isFreeCell(word, object) {
                if !isSure { continue }
                throw PersistentMemoryError.invariant(
                    "object 0x\(String(from, radix: 16)) refers to the free cell 0x\(String(word, radix: 16))"
                )
            }
            seen.insert(word)
            statistics.liveObjects += 1
            statistics.liveBytes += object.bytes
            usage[object.span.type, default: TypeUsage(name: "", objects: 0, bytes: 0)].objects += 1
            usage[object.span.type]?.bytes += object.bytes
            queue(word, object, type, &work)
        }
        statistics.types = usage.map { number, usage in
            TypeUsage(name: typeName(number), objects: usage.objects, bytes: usage.bytes)
        }.sorted { $0.bytes > $1.bytes }
    }

    private func queue(
        _ offset: UInt64, _ object: (span: SpanWord, cell: Int, bytes: Int), _ type: TypeState,
        _ work: inout [(word: UInt64, from: UInt64, isSure: Bool)]
    ) {
        guard let slots = type.slots else { return }
        let values = type.isArray ? object.bytes / Int(type.stride) : 1
        for value in 0..<values {
            for index in 0..<type.slotCount {
                let isSure = slots[index] & UInt32(TypeLayout.conservative) == 0
                let slot = UInt64(slots[index] & ~UInt32(TypeLayout.conservative))
                let word = region.load(offset + UInt64(value) * UInt64(type.stride) + slot)
                work.append(
                    (
                        type.isNative
                            ? self.offset(ofAddress: word) : self.offset(ofReference: word), offset,
                        isSure
                    ))
            }
        }
    }

    private func isFreeCell(_ offset: UInt64, _ object: (span: SpanWord, cell: Int, bytes: Int))
        throws -> Bool
    {
        let state = state.pointee.allocator.pages + Int(offset >> HeapFormat.pageShift)
        guard object.span.isCells, state.pointee.flags & PageState.isKnown != 0 else {
            return false
        }
        return state.pointee.free[object.cell >> 6] >> UInt64(object.cell & 63) & 1 == 1
    }

    func typeName(_ number: Int) -> String {
        switch number {
        case BuiltInType.bytes: return "(bytes)"
        case TypeRecord.typeNumber: return "(type record)"
        case RootRecord.typeNumber: return "(root record)"
        default:
            return registry.withLock { registry in
                registry.records[number].map { $0.isArray ? "[\($0.name)]" : $0.name }
                    ?? "type \(number)"
            }
        }
    }

    /// Bins hold known pages of their own type; counts of free cells agree with the bits.
    private func checkAllocator() throws {
        let allocator = state.pointee.allocator
        for index in 0..<(allocator.typeCount * SizeClass.count) {
            for start in [allocator.bins[index].current, allocator.bins[index].listed] {
                var page = start
                while page != 0 {
                    let span = allocator.span(UInt64(page))
                    let state = allocator.pages[Int(page)]
                    let bits = (0..<8).reduce(0) { $0 + state.free[$1].nonzeroBitCount }
                    guard
                        span
                            == .cells(
                                type: index / SizeClass.count, sizeClass: index % SizeClass.count),
                        state.flags & PageState.isKnown != 0, bits == Int(state.freeCount)
                    else {
                        throw PersistentMemoryError.invariant("page \(page) is in the wrong bin")
                    }
                    page = start == allocator.bins[index].current ? 0 : state.next
                }
            }
        }
    }

    /// Runs what has to run between recovery and first use, then the collector behind the program's
    /// back.
    func finishOpening() throws {
        recovery.migratedTypes = try migrate()
        try openNativeTier()
        if options.collectsAtOpen { startCollector() }
    }
}
