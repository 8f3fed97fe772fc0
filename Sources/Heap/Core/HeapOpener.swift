import CPersistentMemory
import Glibc
import PersistentMemory
import Synchronization

/// The first steps of opening: from raw memory to a header that can be trusted and lanes that are
/// clean.
struct HeapOpener {
    let region: PersistentRegion
    let options: HeapOptions
    let path: String

    // MARK: Header

    func headerOrNewHeap() throws -> HeapHeader {
        if region.committedBytes == 0, region.foundBytes == 0 { return try makeHeap() }
        guard region.committedBytes >= HeapFormat.tableOffset else {
            throw HeapError.notAHeap(path: path)
        }
        let copies = HeapFormat.headerCopies.map { HeapHeader.decode(words($0)) }
        var best: HeapHeader?
        var isEmpty = true
        for copy in copies {
            switch copy {
            case .newer(let version):
                throw HeapError.newerFormat(found: version, supported: HeapFormat.version)
            case .valid(let header) where header.generation >= best?.generation ?? 0: best = header
            case .valid: break
            case .foreign where best == nil: isEmpty = false
            case .damaged: isEmpty = false
            case .empty, .foreign: break
            }
        }
        if let best { return try accept(best) }
        if isEmpty || isUnfinished { return try makeHeap() }
        if copies.contains(where: { if case .damaged = $0 { true } else { false } }) {
            throw HeapError.damagedHeader(detail: "checksums")
        }
        throw HeapError.notAHeap(path: path)
    }

    /// A crash while the heap was made leaves no magic number (it is stored last) and nothing
    /// behind the headers.
    private var isUnfinished: Bool {
        let table = stride(from: HeapFormat.tableOffset, to: HeapFormat.tableOffset + 64, by: 8)
        let afterHeader = stride(from: UInt64(HeapHeader.words * 8), to: 4096, by: 8)
        return HeapFormat.headerCopies.allSatisfy { region.load($0) == 0 }
            && (Array(table) + Array(afterHeader)).allSatisfy { region.load($0) == 0 }
    }

    /// Where the heap in a file was mapped when native objects were last stored to it; nil if it
    /// has none.
    static func lastNativeBase(_ path: String) -> UInt? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = Glibc.close(descriptor) }
        var best: HeapHeader?
        for copy in HeapFormat.headerCopies {
            var words = [UInt64](repeating: 0, count: HeapHeader.words)
            guard pread(descriptor, &words, words.count * 8, off_t(copy)) == words.count * 8 else {
                continue
            }
            if case .valid(let header) = HeapHeader.decode(words),
                header.generation >= best?.generation ?? 0
            {
                best = header
            }
        }
        guard let base = best?.nativeBases[0], base != 0, base < 1 << 47 else { return nil }
        return UInt(base)
    }

    private func words(_ offset: UInt64) -> [UInt64] {
        (0..<HeapHeader.words).map { region.load(offset + UInt64($0 * 8)) }
    }

    private func accept(_ stored: HeapHeader) throws -> HeapHeader {
        guard stored.committedBytes <= region.committedBytes else {
            throw HeapError.truncated(expected: stored.committedBytes, found: region.committedBytes)
        }
        guard stored.committedBytes <= region.reservedBytes else {
            throw HeapError.full(limit: region.reservedBytes)
        }
        for arena in 0..<HeapGeometry(stored).arenas(in: stored.committedBytes) {
            try checkArena(arena, stored)
        }
        var header = stored
        header.openCount += 1
        header.version = HeapFormat.version
        header.domain = region.domain
        header.foundLooseSpans = stored.hasLooseSpans
        header.hasLooseSpans = region.journals || stored.hasLooseSpans
        HeapOpener.write(&header, region)
        return header
    }

    private func checkArena(_ arena: UInt64, _ header: HeapHeader) throws {
        let expected = HeapOpener.arenaWords(arena, header)
        let isGood = HeapFormat.arenaHeaderCopies.contains { copy in
            let at = arena << header.arenaShift + copy
            return expected.indices.allSatisfy { region.load(at + UInt64($0 * 8)) == expected[$0] }
        }
        guard isGood else { throw HeapError.damagedHeader(detail: "arena \(arena)") }
    }

    /// Magic, number, heap identifier, size, checksum.
    static func arenaWords(_ arena: UInt64, _ header: HeapHeader) -> [UInt64] {
        let words = [
            HeapFormat.arenaMagic, arena, header.identifier.0, header.identifier.1,
            header.arenaShift,
        ]
        return words + [HeapHeader.checksum(words)]
    }

    /// Overwrites the older copy. The newer stays valid until the new one is durable.
    static func write(
        _ header: inout HeapHeader, _ region: PersistentRegion, hidesMagic: Bool = false
    ) {
        header.generation += 1
        let at = HeapFormat.headerCopies[Int(header.generation % 2)]
        var words = header.encoded()
        if hidesMagic { words[0] = 0 }
        for (index, word) in words.enumerated() { region.store(word, at: at + UInt64(index * 8)) }
        region.flush(at, HeapHeader.words * 8)
        region.fence()
    }

    static func writeArena(_ arena: UInt64, _ header: HeapHeader, _ region: PersistentRegion) {
        for copy in HeapFormat.arenaHeaderCopies {
            let at = arena << header.arenaShift + copy
            let words = arenaWords(arena, header)
            for (index, word) in words.enumerated() {
                region.store(word, at: at + UInt64(index * 8))
            }
            region.flush(at, words.count * 8)
        }
        region.fence()
    }

    // MARK: New heap

    /// The header is written last: until it is durable there is no heap, and the next open makes
    /// one.
    private func makeHeap() throws -> HeapHeader {
        var header = HeapHeader()
        var random = SystemRandomNumberGenerator()
        header.identifier = (random.next(), random.next())
        header.domain = region.domain
        header.hasLooseSpans = region.journals
        header.tagsReferences = true
        header.arenaShift = UInt64(options.arenaShift)
        header.laneCount = UInt64(options.laneCount)
        header.laneBytes = UInt64(options.laneBytes)
        let geometry = HeapGeometry(header)
        let least = geometry.firstPage(ofArena: 0) << HeapFormat.pageShift + HeapFormat.growthUnit
        header.committedBytes = min(
            max(least, options.initialSize) / HeapFormat.growthUnit * HeapFormat.growthUnit,
            geometry.arenaBytes)
        header.openCount = 1
        try region.grow(to: header.committedBytes)
        HeapOpener.writeArena(0, header, region)
        let magic = HeapFormat.headerCopies[Int((header.generation + 1) % 2)]
        HeapOpener.write(&header, region, hidesMagic: true)
        region.storeDurably(HeapFormat.magic, at: magic)
        return header
    }

    // MARK: Lanes

    func recoverLanes(_ header: HeapHeader, _ summary: inout RecoverySummary) throws -> [LogLane] {
        let geometry = HeapGeometry(header)
        var lanes: [LogLane] = []
        do {
            for index in 0..<header.laneCount {
                let recovery = LaneRecovery(
                    region: region, offset: geometry.lane(index), byteCount: header.laneBytes,
                    index: Int(index),
                    validBytes: header.committedBytes)
                let outcome = try recovery.recover()
                summary.replayedTransactions += outcome.replayedTransactions
                summary.undoneRanges += outcome.undoneRanges
                let lane = LogLane(
                    region: region, offset: geometry.lane(index), byteCount: header.laneBytes,
                    index: Int(index))
                lane.state.pointee.generation = outcome.nextGeneration
                lanes.append(lane)
            }
        } catch {
            lanes.forEach { $0.deallocate() }
            throw error
        }
        return lanes
    }

    func makeState(_ header: HeapHeader, _ lanes: [LogLane]) -> UnsafeMutablePointer<HeapState>? {
        let geometry = HeapGeometry(header)
        guard
            let allocator = PageAllocator(
                region: region, geometry: geometry, committedBytes: header.committedBytes),
            let types = pm_zeroed(HeapFormat.maximumTypes * MemoryLayout<TypeState>.stride),
            let numbers = pm_zeroed(HeapFormat.maximumTypes * 2),
            let arrayNumbers = pm_zeroed(HeapFormat.maximumTypes * 2)
        else { return nil }
        let state = UnsafeMutablePointer<HeapState>.allocate(capacity: 1)
        state.initialize(
            to: HeapState(
                access: RegionAccess(region), allocator: allocator,
                types: types.assumingMemoryBound(to: TypeState.self),
                nativeBase: UInt64(UInt(bitPattern: region.base)),
                numbers: numbers.assumingMemoryBound(to: UInt16.self),
                arrayNumbers: arrayNumbers.assumingMemoryBound(to: UInt16.self),
                serialLane: lanes[1],
                isSerial: options.isolation == .serial, limit: header.committedBytes))
        for number in 0..<BuiltInType.first {
            state.pointee.types[number] = BuiltInType.state(number) ?? TypeState()
        }
        state.pointee.allocator.typeCount = BuiltInType.first
        if header.foundLooseSpans { state.pointee.allocator.dropUnfinishedRuns() }
        if region.journals, options.isolation == .serial {
            let spans = UnsafeMutablePointer<RawList<UInt64>>.allocate(capacity: 1)
            spans.initialize(to: RawList(capacity: 64))
            state.pointee.allocator.spans = spans
        }
        return state
    }
}
