/// A size-class allocator over one range of memory: the kernel's DRAM heap and the heap of each
/// ring-3 server.
///
/// Invariants:
/// - Every page below `frontier` is in exactly one run: free, used by one large block, or a slab of
///   one page.
/// - The first and the last page of a run say in `PageInfo` what the run is; pages between may hold
///   old values.
/// - Two free runs never touch, and no free run touches the frontier: neighbours are joined at
///   once.
/// - Pages at or above `frontier` were never written, so a range of demand-zero memory grows only
///   with use.
///
/// The header and the page table lie at the start of the range, so a persistent server's heap is
/// all in its own memory. Not synchronised: each owner has a lock of its own around everything that
/// allocates.
public struct Heap: ~Copyable {
    /// Bytes in a page of the heap.
    public static let pageBytes: UInt = 4096
    static let binCount = 32
    static let smallLimit: UInt = 2048

    let base: UInt
    let pages: UnsafeMutablePointer<PageInfo>
    let pageCount: UInt32
    var frontier: UInt32 = 0
    /// First free run of each power-of-two length.
    var runHeads = InlineArray<32, UInt32>(repeating: PageInfo.none)
    /// First slab with a free block of each size class.
    var slabHeads = InlineArray<32, UInt32>(repeating: PageInfo.none)
    let classes: SizeClasses
    /// Bytes handed out, rounded up to block sizes.
    public private(set) var usedBytes: UInt = 0

    /// Lays a heap out in a range; returns nil if the range is too small for a table and one page.
    public static func create(at start: UInt, byteCount: UInt) -> UnsafeMutablePointer<Heap>? {
        let first = (start &+ pageBytes - 1) / pageBytes * pageBytes
        guard first >= start, byteCount > first - start else { return nil }
        let total = (byteCount - (first - start)) / pageBytes
        let headerBytes = (UInt(MemoryLayout<Heap>.size) + 63) / 64 * 64
        let tableBytes = total * UInt(MemoryLayout<PageInfo>.stride)
        let reserved = (headerBytes + tableBytes + pageBytes - 1) / pageBytes
        guard total > reserved, total < UInt(PageInfo.none),
            let header = UnsafeMutablePointer<Heap>(bitPattern: first),
            let table = UnsafeMutablePointer<PageInfo>(bitPattern: first + headerBytes)
        else { return nil }
        header.initialize(
            to: Heap(
                base: first + reserved * pageBytes, pages: table, count: UInt32(total - reserved)))
        return header
    }

    private init(base: UInt, pages: UnsafeMutablePointer<PageInfo>, count: UInt32) {
        self.base = base
        self.pages = pages
        pageCount = count
        classes = SizeClasses()
    }

    /// A block of at least `size` bytes at a multiple of `alignment` (a power of two); nil when
    /// none is left.
    public mutating func allocate(size: UInt, alignment: UInt) -> UnsafeMutableRawPointer? {
        // A power-of-two block is aligned to its size; the classes themselves only promise 16.
        let wanted = alignment <= 16 ? size : max(size, alignment).roundedUpToPowerOfTwo
        if wanted <= Heap.smallLimit && alignment <= Heap.smallLimit {
            return allocateSmall(sizeClass: classes.index(size: wanted))
        }
        let (rounded, overflow) = size.addingReportingOverflow(Heap.pageBytes - 1)
        guard !overflow, rounded / Heap.pageBytes <= UInt(pageCount) else { return nil }
        let count = UInt32(rounded / Heap.pageBytes)
        let alignmentPages = max(alignment / Heap.pageBytes, 1)
        guard alignmentPages <= UInt(pageCount),
            let page = takeRun(count: max(count, 1), alignmentPages: alignmentPages)
        else { return nil }
        usedBytes += UInt(pages[Int(page)].length) * Heap.pageBytes
        return UnsafeMutableRawPointer(bitPattern: address(page))
    }

    /// Gives a block back. Returns false for an address that is no block of this heap: the caller's
    /// memory is damaged.
    public mutating func free(_ block: UnsafeMutableRawPointer) -> Bool {
        let at = UInt(bitPattern: block)
        guard at >= base, (at - base) / Heap.pageBytes < UInt(frontier) else { return false }
        let page = UInt32((at - base) / Heap.pageBytes)
        switch pages[Int(page)].state {
        case .slab:
            return freeSmall(offset: UInt32(at % Heap.pageBytes), page: page)
        case .usedHead where at % Heap.pageBytes == 0:
            usedBytes -= UInt(pages[Int(page)].length) * Heap.pageBytes
            releaseRun(page, count: pages[Int(page)].length)
            return true
        default:
            return false
        }
    }

    func address(_ page: UInt32) -> UInt { base + UInt(page) * Heap.pageBytes }

    mutating func account(allocated bytes: UInt32) { usedBytes += UInt(bytes) }
    mutating func account(freed bytes: UInt32) { usedBytes -= UInt(bytes) }
}

extension UInt {
    var roundedUpToPowerOfTwo: UInt {
        self <= 1 ? 1 : self > 1 << 62 ? UInt.max : 1 << UInt(64 - (self - 1).leadingZeroBitCount)
    }
}
