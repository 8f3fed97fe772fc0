import CPersistentMemory
import PersistentMemory

/// Where things lie in a heap file (`Docs/heap-format.md`).
///
/// ```
/// arena 0                                   arena n > 0
/// +0       file header, copy A              +0       reserved (8 KiB)
/// +4096    file header, copy B
/// +8192    arena header, copy A             +8192    arena header, copy A
/// +12288   arena header, copy B             +12288   arena header, copy B
/// +16384   span table: 8 bytes a page       +16384   span table
/// then     anchor (64 bytes), lanes
/// then     pages of 8 KiB                   then     pages of 8 KiB
/// ```
enum HeapFormat {
    /// "EVTHEAP1", little endian.
    static let magic: UInt64 = 0x3150_4145_4854_5645
    static let arenaMagic: UInt64 = 0x3141_4E45_5241_5645
    /// 2: logs may hold journal blocks. 3: they may hold blocks of runs, in two halves, span words
    /// may be behind them, references have a tag, and the last arena may be there in part. 4:
    /// containers may be in pieces. A heap of an older format becomes one of format 4 when opened.
    static let version: UInt32 = 4
    static let pageShift: UInt64 = 13
    static let pageBytes: UInt64 = 1 << pageShift
    static let headerCopies: [UInt64] = [0, 4096]
    static let arenaHeaderCopies: [UInt64] = [8192, 12288]
    static let tableOffset: UInt64 = 16384
    static let anchorBytes: UInt64 = 64
    static let maximumTypes = 4096
    /// The file's size is a multiple of this.
    static let growthUnit: UInt64 = 1 << 16
    /// A file grows by a quarter, but by no less and no more than these.
    static let leastGrowth: UInt64 = 1 << 18
    static let mostGrowth: UInt64 = 1 << 26

    /// Word numbers in the anchor: the roots of the whole heap. Every word is a reference or 0.
    static let rootListWord: UInt64 = 0
    static let typeListWord: UInt64 = 1
    static let anchorWords = 8
}

/// The file header: what the whole heap is. Two copies; an update overwrites the older one, so that
/// one valid copy is there at any instant. Invariant: of the valid copies, the one with the larger
/// generation counts.
struct HeapHeader: Equatable {
    var version = HeapFormat.version
    var domain = PersistenceDomain.processCrash
    var identifier: (UInt64, UInt64) = (0, 0)
    var generation: UInt64 = 0
    var arenaShift: UInt64 = 26
    var committedBytes: UInt64 = 0
    var laneCount: UInt64 = 0
    var laneBytes: UInt64 = 0
    /// How often the heap was opened.
    var openCount: UInt64 = 0
    /// Addresses at which native references may have been stored and not yet fixed up; 0 for none.
    /// The last complete pass leaves one.
    var nativeBases = [UInt64](repeating: 0, count: 4)
    /// Opened where span words become durable in no order, and not closed since: runs that no
    /// transaction committed may be half there (`PageAllocator.dropUnfinishedRuns`).
    var hasLooseSpans = false
    /// The same when it was found at this open. Not stored.
    var foundLooseSpans = false
    /// References carry the heap's tag. Heaps made by older versions go on without.
    var tagsReferences = false
    /// The upper 16 bits of references of this heap: drawn with the identifier, never 0.
    var referenceTag: UInt64 { tagsReferences ? (identifier.0 | 1) << 48 : 0 }

    static let words = 20

    static func == (a: Self, b: Self) -> Bool { a.encoded() == b.encoded() }

    func encoded() -> [UInt64] {
        var words: [UInt64] = [
            HeapFormat.magic, UInt64(version) | UInt64(domain.rawValue) << 32, identifier.0,
            identifier.1, generation,
            arenaShift, committedBytes, laneCount, laneBytes, openCount,
        ]
        words += nativeBases
        words.append((hasLooseSpans ? 1 : 0) | (tagsReferences ? 2 : 0))
        words += [UInt64](repeating: 0, count: Self.words - 1 - words.count)
        words.append(Self.checksum(words))
        return words
    }

    static func checksum(_ words: [UInt64]) -> UInt64 {
        words.reduce(0xFFFF_FFFF) { pm_crc32c($0, $1) }
    }

    /// What one copy holds; nil if it was never written.
    enum Copy {
        case empty, foreign, damaged
        case newer(UInt32)
        case valid(HeapHeader)
    }

    static func decode(_ words: [UInt64]) -> Copy {
        if words.allSatisfy({ $0 == 0 }) { return .empty }
        // A torn update of the older copy may leave any mixture.
        if words[0] == 0 { return .damaged }
        guard words[0] == HeapFormat.magic else { return .foreign }
        guard words[Self.words - 1] == checksum(Array(words.dropLast())) else { return .damaged }
        let version = UInt32(truncatingIfNeeded: words[1])
        guard version <= HeapFormat.version else { return .newer(version) }
        var header = HeapHeader()
        header.version = version
        header.domain =
            PersistenceDomain(rawValue: UInt8(truncatingIfNeeded: words[1] >> 32)) ?? .processCrash
        header.identifier = (words[2], words[3])
        header.generation = words[4]
        header.arenaShift = words[5]
        header.committedBytes = words[6]
        header.laneCount = words[7]
        header.laneBytes = words[8]
        header.openCount = words[9]
        header.nativeBases = Array(words[10..<14])
        header.hasLooseSpans = words[14] & 1 == 1
        header.tagsReferences = words[14] & 2 == 2
        return header.isPlausible ? .valid(header) : .damaged
    }

    private var isPlausible: Bool {
        (17...36).contains(arenaShift)
            && committedBytes % HeapFormat.growthUnit == 0
            && committedBytes >= HeapGeometry(self).firstPage(ofArena: 0) << HeapFormat.pageShift
            && (2...1024).contains(laneCount)
            && laneBytes >= UInt64(LaneFormat.minimumBytes) && laneBytes % 64 == 0
            && laneCount * laneBytes < 1 << arenaShift
    }
}

/// Sums that follow from a header.
struct HeapGeometry {
    let arenaShift: UInt64
    let laneCount: UInt64
    let laneBytes: UInt64

    init(_ header: HeapHeader) {
        arenaShift = header.arenaShift
        laneCount = header.laneCount
        laneBytes = header.laneBytes
    }

    var arenaBytes: UInt64 { 1 << arenaShift }
    /// Arenas that a file of this size has; the last may be there in part.
    func arenas(in bytes: UInt64) -> UInt64 { (bytes + arenaBytes - 1) >> arenaShift }
    var pagesPerArena: UInt64 { arenaBytes >> HeapFormat.pageShift }
    var anchor: UInt64 { HeapFormat.tableOffset + pagesPerArena * 8 }
    func lane(_ index: UInt64) -> UInt64 { anchor + HeapFormat.anchorBytes + index * laneBytes }
    /// The first page of an arena that can hold objects.
    func firstPage(ofArena arena: UInt64) -> UInt64 {
        let metadata = arena == 0 ? lane(laneCount) : HeapFormat.tableOffset + pagesPerArena * 8
        let pages = (metadata + HeapFormat.pageBytes - 1) >> HeapFormat.pageShift
        return arena * pagesPerArena + pages
    }
    /// Pages an arena can give to one object.
    var largestRun: UInt64 { pagesPerArena - (firstPage(ofArena: 1) - pagesPerArena) }
    /// Where the span word of a page lies.
    func spanWord(_ page: UInt64) -> UInt64 {
        let arena = page >> (arenaShift - HeapFormat.pageShift)
        let inArena = page & (pagesPerArena - 1)
        return arena << arenaShift + HeapFormat.tableOffset + inArena * 8
    }
}

/// What one page of 8 KiB is used for: the only thing the allocator keeps in persistent memory.
/// Which cells of a page are in use is derived by the collector; so a crash cannot leak a cell.
///
/// bits 0-1 state (0 free, 1 cells, 2 head of a run, 3 rest of a run) · 2-9 size class · 16-31 type
/// · 32-63 pages of the run. A page holds objects of one type only, so that any object's type is
/// known from its address.
struct SpanWord: Equatable {
    var value: UInt64
    static let free = SpanWord(value: 0)
    static let rest = SpanWord(value: 3)
    static func cells(type: Int, sizeClass: Int) -> SpanWord {
        SpanWord(value: 1 | UInt64(sizeClass) << 2 | UInt64(type) << 16)
    }
    static func run(type: Int, pages: UInt64) -> SpanWord {
        SpanWord(value: 2 | UInt64(type) << 16 | pages << 32)
    }
    var state: UInt64 { value & 3 }
    var isFree: Bool { state == 0 }
    var isCells: Bool { state == 1 }
    var isRun: Bool { state == 2 }
    var isRest: Bool { state == 3 }
    var sizeClass: Int { Int(value >> 2 & 0xFF) }
    var type: Int { Int(value >> 16 & 0xFFFF) }
    var pages: UInt64 { value >> 32 }
}

/// Cell sizes: multiples of 16, at most about an eighth apart above 128.
enum SizeClass {
    static let bytes: [Int] = [
        16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024,
        1360, 1632, 2048,
        2720, 4096,
    ]
    static let count = 24
    static let largest = 4096

    /// The smallest class that holds `size`; nil for sizes that take whole pages.
    static func holding(_ size: Int) -> Int? { bytes.firstIndex { $0 >= size } }
}
