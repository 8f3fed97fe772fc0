import PersistentMemory

/// How a dictionary in buckets grows (`PDictionary+Buckets`): each step moves the pairs of one
/// bucket, most of them to new memory, which needs no log.
extension PDictionaryEditor {
    @usableFromInline typealias Stored = PDictionary<Key, Value>

    /// The small table's pairs move to buckets. A table of an older heap may be large.
    @inlinable @inline(never) func beginBuckets() throws {
        let old = value
        let lane = place.location.lane
        let top = try place.heap.makeDirectory(1 << BucketPlace.topBits, in: lane)
        var new = Stored()
        new.table = top | PieceReference.directory
        new.capacity = 1
        place.set(0, new)
        for index in 0..<old.capacity {
            let slot: Slot = lane.load(old.table + UInt64(index * MemoryLayout<Slot>.stride))
            guard slot.tag > 1 else { continue }
            if count >= old.storedCount {
                throw place.heap.damage(old.table, "a dictionary holds more pairs than it counts")
            }
            try insertInBuckets(slot.key, slot.value, slot.tag)
        }
        if old.table != 0 { place.heap.freeLater(old.table) }
    }

    /// A key that is not there.
    @inlinable func insertInBuckets(_ key: Key, _ value: Value, _ hash: UInt64) throws {
        let lane = place.location.lane
        let reader = self.reader
        let mixed = Stored.mixed(hash | 2)
        var hasMadeRoom = false
        while true {
            var at = self.value.top
            at.descend(mixed, in: reader)
            let (base, slots) = Stored.slots(of: at.entry, in: reader)
            var (index, row, free) = (Stored.first(mixed, slots), 0, UInt64(0))
            while row < slots {
                let slot = base &+ UInt64(truncatingIfNeeded: index &* MemoryLayout<Slot>.stride)
                let tag: UInt64 = lane.load(slot)
                if tag <= 1, free == 0 { free = slot }
                if tag == 0 { break }
                row &+= 1
                index = index &+ 1 == slots ? 0 : index &+ 1
            }
            if free != 0, row < Stored.longRow || hasMadeRoom {
                return fill(free, key, value, hash)
            }
            try makeRoom(at, base, slots, mustGrow: free == 0)
            hasMadeRoom = true
        }
    }

    /// A bucket where there is none, or a bucket without removed slots, or two, or a larger one.
    @inlinable @inline(never)
    func makeRoom(_ at: BucketPlace, _ base: UInt64, _ slots: Int, mustGrow: Bool) throws {
        if at.entry == 0 { return try replace(at, at.ownBits(in: reader), [], Stored.bucketSlots) }
        let pairs = pairs(base, slots)
        let isSmall = at.entry & PieceReference.largeBucket == 0
        let own = at.ownBits(in: reader)
        if pairs.count * 2 < slots, !mustGrow || pairs.count < slots {
            return try replace(at, own, pairs, isSmall ? Stored.bucketSlots : slots)
        }
        guard isSmall, at.above + own < BucketPlace.mostBits else {
            return try replace(at, own, pairs, slots * 2)
        }
        if own < at.bits { return try split(at, own, pairs) }
        try addDirectory(at)
    }

    @inlinable func pairs(_ base: UInt64, _ slots: Int) -> [Slot] {
        var pairs: [Slot] = []
        pairs.reserveCapacity(slots)
        for index in 0..<slots {
            let slot: Slot = place.location.lane.load(
                base &+ UInt64(index &* MemoryLayout<Slot>.stride))
            if slot.tag > 1 { pairs.append(slot) }
        }
        return pairs
    }

    /// Puts a directory above a bucket that has all bits of its own; the next attempt splits it.
    @inlinable func addDirectory(_ at: BucketPlace) throws {
        let lane = place.location.lane
        let words = 1 << BucketPlace.lowerBits
        let node = try place.heap.makeDirectory(words, in: lane)
        for word in 0..<words { lane.store(at.entry, at: node + UInt64(word * 8)) }
        lane.store(node | PieceReference.directory, at: at.word(at.index))
    }

    @inlinable func split(_ at: BucketPlace, _ own: Int, _ pairs: [Slot]) throws {
        let bit = UInt64(63 - at.above - own)
        let ones = pairs.filter { Stored.mixed($0.tag) >> bit & 1 == 1 }
        let zeros = pairs.filter { Stored.mixed($0.tag) >> bit & 1 == 0 }
        let half = 1 << (at.bits - own - 1)
        let first = at.index / (half * 2) * (half * 2)
        var low = at
        var high = at
        (low.index, high.index) = (first, first + half)
        // A bucket that this transaction made is written again in place.
        let isFresh = isNew(at.entry)
        try replace(high, own + 1, ones, Stored.bucketSlots, isOnly: true)
        if isFresh, !zeros.isEmpty {
            write(zeros, to: at.entry, Stored.bucketSlots)
        } else {
            try replace(low, own + 1, zeros, Stored.bucketSlots, isOnly: true)
            place.heap.freeLater(at.entry)
        }
    }

    @inlinable func isNew(_ entry: UInt64) -> Bool {
        let bytes = Stored.bucketSlots * MemoryLayout<Slot>.stride
        return place.location.lane.isFresh(PieceReference.offset(entry), bytes)
    }

    /// Writes a bucket to new memory and its reference to the words of a directory; no bucket for no
    /// pairs of a split.
    ///
    /// - Parameter isOnly: the old bucket is still in use, or given back by the caller.
    @inlinable
    func replace(
        _ at: BucketPlace, _ own: Int, _ pairs: [Slot], _ slots: Int, isOnly: Bool = false
    ) throws {
        let (lane, heap) = (place.location.lane, place.heap)
        let isLarge = slots > Stored.bucketSlots
        var entry: UInt64 = 0
        if !isOnly || !pairs.isEmpty {
            guard slots < 1 << BucketPlace.slotBits else {
                throw HeapError.objectTooLarge(bytes: slots, limit: 1 << BucketPlace.slotBits)
            }
            let stride = MemoryLayout<Slot>.stride
            entry = try heap.allocateBuffer(
                Slot.persistentLayout, bytes: (slots + (isLarge ? 1 : 0)) * stride, in: lane)
            if isLarge { heap.region.store(UInt64(slots), at: entry) }
            write(pairs, to: entry + UInt64(isLarge ? stride : 0), slots)
        }
        let count = 1 << (at.bits - own)
        let first = at.index / count * count
        lane.announce(at.word(first), count * 8)
        lane.seal()
        for word in first..<(first + count) {
            lane.store(entry | (isLarge ? PieceReference.largeBucket : 0), at: at.word(word))
        }
        if !isOnly, at.entry != 0 { heap.freeLater(PieceReference.offset(at.entry)) }
    }

    /// Fills slots of memory that this transaction made.
    @inlinable func write(_ pairs: [Slot], to base: UInt64, _ slots: Int) {
        let stride = MemoryLayout<Slot>.stride
        let memory = place.heap.base + Int(base)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: slots * stride)
        for pair in pairs {
            var index = Stored.first(Stored.mixed(pair.tag), slots)
            while memory.load(fromByteOffset: index * stride, as: UInt64.self) != 0 {
                index = index + 1 == slots ? 0 : index + 1
            }
            memory.storeBytes(of: pair, toByteOffset: index * stride, as: Slot.self)
        }
    }

    /// Gives all memory of the table back when the transaction has committed.
    @inlinable func freeAll() {
        let table = value.table
        if !value.isInBuckets {
            if table != 0 { place.heap.freeLater(table) }
            return
        }
        freeNode(PieceReference.offset(table), BucketPlace.topBits, 0)
    }

    @inlinable func freeNode(_ node: UInt64, _ bits: Int, _ above: Int) {
        let lane = place.location.lane
        var last: UInt64 = 0
        for word in 0..<(1 << bits) {
            let entry: UInt64 = lane.load(lane.checked(node + UInt64(word * 8), 8))
            defer { last = entry }
            guard entry != 0, entry != last else { continue }
            if PieceReference.isDirectory(entry), above < BucketPlace.mostBits {
                freeNode(PieceReference.offset(entry), BucketPlace.lowerBits, above + bits)
            } else {
                place.heap.freeLater(PieceReference.offset(entry))
            }
        }
        place.heap.freeLater(node)
    }
}
