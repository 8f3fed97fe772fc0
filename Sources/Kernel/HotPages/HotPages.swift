import ABI
import Machine
import Store

/// The pages whose runtime copies are in DRAM: which they are, and which were written since the last
/// version. Volatile: a crash loses it with the copies, and each page is what its newest committed
/// frame holds.
///
/// Invariants: a page in here has a pair of frames whose newest is the committed version's
/// (`Store.cleanFrame`); every mapping of it leads to its DRAM page; what differs from the newest
/// frame is marked written, by its bit or by the processor's; a place that is not used has no bits.
struct HotPages {
    struct Entry {
        /// Nil: the place is free.
        var pmo: PMOPointer?
        var page: UInt64 = 0
        /// The next in the bucket, or in the list of free places; `none` ends it.
        var next = HotPages.none
    }
    static let none: Int32 = -1

    let capacity: Int
    let pages: WatchedPages
    private let entries: UnsafeMutablePointer<Entry>
    private let buckets: UnsafeMutablePointer<Int32>
    private let bucketMask: UInt64
    /// One bit a place: used; written since the hand last passed.
    private let used: UnsafeMutablePointer<UInt64>
    private let recent: UnsafeMutablePointer<UInt64>
    private(set) var count = 0
    private var firstFree = HotPages.none
    private var hand = 0
    /// A page that a machine would not map: it leaves at the next checkpoint.
    var leaving: Int?

    var wordCount: Int { (capacity + 63) / 64 }
    var hasRoom: Bool { firstFree != HotPages.none }

    init(capacity: Int) {
        self.capacity = capacity
        let words = (capacity + 63) / 64
        let written = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        written.initialize(repeating: 0, count: words)
        pages = WatchedPages(
            base: .allocate(byteCount: capacity * Int(pageSize), alignment: Int(pageSize)),
            count: capacity, written: written)
        used = .allocate(capacity: words)
        used.initialize(repeating: 0, count: words)
        recent = .allocate(capacity: words)
        recent.initialize(repeating: 0, count: words)
        entries = .allocate(capacity: capacity)
        entries.initialize(repeating: Entry(), count: capacity)
        var size = 1
        while size < capacity { size *= 2 }
        buckets = .allocate(capacity: size)
        buckets.initialize(repeating: HotPages.none, count: size)
        bucketMask = UInt64(size - 1)
        for place in stride(from: capacity - 1, through: 0, by: -1) {
            entries[place].next = firstFree
            firstFree = Int32(place)
        }
    }

    func deallocate() {
        pages.base.deallocate()
        pages.written.deallocate()
        used.deallocate()
        recent.deallocate()
        entries.deallocate()
        buckets.deallocate()
    }

    subscript(place: Int) -> Entry { entries[place] }

    private func bucket(_ pmo: PMOPointer, _ page: UInt64) -> Int {
        let key = UInt64(UInt(bitPattern: pmo)) >> 4 &+ page
        return Int(key &* 0x9E37_79B9_7F4A_7C15 >> 32 & bucketMask)
    }

    /// The place of a page, if it is hot.
    func find(_ pmo: PMOPointer, _ page: UInt64) -> Int? {
        if count == 0 { return nil }
        var place = buckets[bucket(pmo, page)]
        while place != HotPages.none {
            let entry = entries[Int(place)]
            if entry.page == page && entry.pmo == pmo { return Int(place) }
            place = entry.next
        }
        return nil
    }

    /// Gives a page a place. The caller looked at `hasRoom`.
    mutating func add(_ pmo: PMOPointer, _ page: UInt64) -> Int {
        assert(find(pmo, page) == nil, "a page is hot twice")
        let place = Int(firstFree)
        firstFree = entries[place].next
        let bucket = bucket(pmo, page)
        entries[place] = Entry(pmo: pmo, page: page, next: buckets[bucket])
        buckets[bucket] = Int32(place)
        used[place / 64] |= 1 << UInt64(place % 64)
        recent[place / 64] |= 1 << UInt64(place % 64)
        count += 1
        return place
    }

    /// Makes a place free. No mapping leads to it any more.
    mutating func remove(_ place: Int) {
        guard let pmo = entries[place].pmo else { return }
        let bucket = bucket(pmo, entries[place].page)
        if buckets[bucket] == Int32(place) {
            buckets[bucket] = entries[place].next
        } else {
            var before = Int(buckets[bucket])
            while entries[before].next != Int32(place) { before = Int(entries[before].next) }
            entries[before].next = entries[place].next
        }
        pages.clear(place)
        used[place / 64] &= ~(1 << UInt64(place % 64))
        recent[place / 64] &= ~(1 << UInt64(place % 64))
        entries[place] = Entry(pmo: nil, page: 0, next: firstFree)
        firstFree = Int32(place)
        count -= 1
        if leaving == place { leaving = nil }
    }

    /// The places of a word of bits that were written, which count as clean from now on.
    func takeWritten(_ word: Int) -> UInt64 {
        let bits = pages.written[word]
        pages.written[word] = 0
        recent[word] |= bits
        return bits & used[word]
    }

    /// How many words of bits the hand passes in one version: it takes at least `versions` for
    /// all. The second number: it moves in one of so many versions.
    private func pace(_ versions: Int) -> (words: Int, every: Int) {
        (max(1, wordCount / versions), max(1, versions / wordCount))
    }

    /// Moves the hand on; returns the places in one word that were not written since it last passed
    /// there. `step` counts from 0 in each version; nil when the hand stands still.
    mutating func takeCold(version: UInt64, step: Int, versions: Int) -> (word: Int, bits: UInt64)? {
        let (words, every) = pace(versions)
        if step >= words || version % UInt64(every) != 0 { return nil }
        let word = hand
        hand = hand + 1 == wordCount ? 0 : hand + 1
        let bits = used[word] & ~recent[word] & ~pages.written[word]
        recent[word] = 0
        return (word, bits)
    }
}
