import ABI

/// How hot pages are: how many versions copied each on its first write, halved as versions pass.
/// Volatile and approximate: a page's heat is forgotten when a hotter one has its place.
struct Heat {
    private struct Entry {
        var pmo: PMOPointer?
        var page: UInt64
        var version: UInt64
        var heat: UInt32
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let mask: UInt64
    /// Versions in which heat is halved.
    static let halfLife: UInt64 = 256
    /// What one copy adds.
    static let unit: UInt32 = 256

    /// `capacity` is a power of two, or 0 for none.
    init(capacity: Int) {
        let size = max(1, capacity)
        entries = .allocate(capacity: size)
        entries.initialize(
            repeating: Entry(pmo: nil, page: 0, version: 0, heat: 0), count: size)
        mask = UInt64(size - 1)
    }
    func deallocate() { entries.deallocate() }

    private func place(_ pmo: PMOPointer, _ page: UInt64) -> Int {
        let key = UInt64(UInt(bitPattern: pmo)) >> 4 &+ page
        return Int(key &* 0x9E37_79B9_7F4A_7C15 >> 32 & mask)
    }

    private static func decayed(_ entry: Entry, _ version: UInt64) -> UInt32 {
        let halvings = (version &- entry.version) / halfLife
        return halvings > 31 ? 0 : entry.heat >> UInt32(halvings)
    }

    /// A first write copied the page in this version.
    func add(_ pmo: PMOPointer, _ page: UInt64, version: UInt64) {
        let place = place(pmo, page)
        let old = Self.decayed(entries[place], version)
        if entries[place].pmo == pmo && entries[place].page == page {
            entries[place].heat = min(old &+ Self.unit, Self.unit &* 64)
            // Whole half-lives only, so that frequent additions do not stop the decay.
            let halvings = (version &- entries[place].version) / Self.halfLife
            entries[place].version &+= halvings &* Self.halfLife
        } else if old < Self.unit {
            entries[place] = Entry(pmo: pmo, page: page, version: version, heat: Self.unit)
        }
    }

    /// Copies in recent versions, the one that is due now not among them.
    func copies(_ pmo: PMOPointer, _ page: UInt64, version: UInt64) -> UInt32 {
        let entry = entries[place(pmo, page)]
        if entry.pmo != pmo || entry.page != page { return 0 }
        return Self.decayed(entry, version) / Self.unit
    }
}
