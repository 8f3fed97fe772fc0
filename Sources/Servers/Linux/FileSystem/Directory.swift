/// The names of one directory: found by hash, read in order of insertion.
///
/// Each entry has a cookie that never changes and never comes again, so a reader that stopped at a
/// cookie goes on at the right place whatever was removed or added meanwhile: an entry that stays
/// is seen exactly once. A rename inside one directory keeps the entry's place, so that a loop
/// "read a name, rename it" ends.
///
/// Invariants: cookies rise along `entries`; `liveCount` entries have an inode, the others are dead
/// and are squeezed out when they outnumber the live; each live entry is reached from the bucket of
/// its hash by linear probing; fewer than half of the buckets are used.
final class Directory {
    struct Entry {
        var name: Bytes
        /// nil: dead.
        var inode: Inode?
        let cookie: UInt64
        var hash: UInt32
    }

    /// Cookies 0 and 1 are "." and "..".
    static let firstCookie: UInt64 = 2
    /// Up to here a scan is as quick as a table, and needs no memory.
    private static let scanLimit = 8

    private(set) var entries: [Entry] = []
    private(set) var liveCount = 0
    /// Position in `entries` + 1; 0 = unused. Empty while a scan does.
    private var buckets: [UInt32] = []
    private var usedBuckets = 0
    private var nextCookie = Directory.firstCookie

    var isEmpty: Bool { liveCount == 0 }

    /// The inode under a name.
    func inode(named name: ArraySlice<UInt8>) -> Inode? {
        position(of: name).flatMap { entries[$0].inode }
    }

    /// Adds a name that is not there.
    func insert(_ name: Bytes, _ inode: Inode) {
        let hash = Directory.hash(name[...])
        entries.append(Entry(name: name, inode: inode, cookie: nextCookie, hash: hash))
        nextCookie &+= 1
        liveCount += 1
        index(entries.count - 1, hash)
    }

    /// Puts another inode under a name; answers the one that was there.
    func replace(_ name: Bytes, with inode: Inode) -> Inode? {
        guard let place = position(of: name[...]) else { return nil }
        let old = entries[place].inode
        entries[place].inode = inode
        return old
    }

    /// Takes a name away; answers its inode.
    func remove(_ name: Bytes) -> Inode? {
        guard let place = position(of: name[...]) else { return nil }
        let old = entries[place].inode
        entries[place].inode = nil
        entries[place].name = []
        liveCount -= 1
        if entries.count > 2 * liveCount + Directory.scanLimit { rebuild() }
        return old
    }

    /// Gives the entry `old` a name that is not there, in its place.
    func rename(_ old: Bytes, to new: Bytes) {
        guard let place = position(of: old[...]) else { return }
        let hash = Directory.hash(new[...])
        entries[place].name = new
        entries[place].hash = hash
        index(place, hash)
    }

    /// Position of the first entry, dead or live, at or behind a cookie.
    func position(from cookie: UInt64) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].cookie < cookie { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Directory {
    /// FNV-1a, folded to 32 bits.
    private static func hash(_ name: ArraySlice<UInt8>) -> UInt32 {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return UInt32(truncatingIfNeeded: value ^ value >> 32)
    }

    private func position(of name: ArraySlice<UInt8>) -> Int? {
        let hash = Directory.hash(name)
        if buckets.isEmpty {
            return entries.firstIndex { $0.hash == hash && $0.inode != nil && $0.name[...] == name }
        }
        let mask = buckets.count - 1
        var bucket = Int(hash) & mask
        while buckets[bucket] != 0 {
            let place = Int(buckets[bucket]) - 1
            if entries[place].hash == hash, entries[place].inode != nil,
                entries[place].name[...] == name
            {
                return place
            }
            bucket = (bucket + 1) & mask
        }
        return nil
    }

    /// Makes an entry findable.
    private func index(_ place: Int, _ hash: UInt32) {
        if buckets.isEmpty && entries.count <= Directory.scanLimit { return }
        if 2 * (usedBuckets + 1) >= buckets.count { return rebuild() }
        occupy(place, hash)
    }

    private func occupy(_ place: Int, _ hash: UInt32) {
        let mask = buckets.count - 1
        var bucket = Int(hash) & mask
        while buckets[bucket] != 0 { bucket = (bucket + 1) & mask }
        buckets[bucket] = UInt32(truncatingIfNeeded: place + 1)
        usedBuckets += 1
    }

    /// Squeezes dead entries out and makes a table with room for as many again.
    private func rebuild() {
        entries = entries.filter { $0.inode != nil }
        usedBuckets = 0
        guard entries.count > Directory.scanLimit else {
            buckets = []
            return
        }
        var size = 32
        while size < 4 * entries.count { size *= 2 }
        buckets = [UInt32](repeating: 0, count: size)
        for place in entries.indices { occupy(place, entries[place].hash) }
    }

    /// What is wrong with the structure; nil when nothing is.
    func fault() -> StaticString? {
        var live = 0
        var last: UInt64 = 0
        for (place, entry) in entries.enumerated() {
            if entry.cookie <= last { return "cookies do not rise" }
            last = entry.cookie
            guard entry.inode != nil else { continue }
            live += 1
            if position(of: entry.name[...]) != place {
                return "a name is not found, or twice there"
            }
        }
        if live != liveCount { return "count of live entries is wrong" }
        if !buckets.isEmpty && 2 * usedBuckets >= buckets.count { return "table is too full" }
        return nil
    }
}
