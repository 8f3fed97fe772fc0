import PersistentMemory

/// Dictionaries of more than one buffer: buckets of a page under a tree of directories, which is
/// indexed by the bits of a mixed hash from the top: 10 in the topmost directory, 6 in each below.
///
/// A bucket of b bits stands in the 2^(n-b) neighbouring words of its directory, of n bits, that
/// begin with its own. It is a row of slots with linear probing. When a row of used slots gets long
/// the bucket's pairs are counted: if it is half full it is split by its next bit, else written anew
/// without removed slots. So a growth moves the pairs of one bucket.
///
/// Pairs whose mixed hashes agree in 40 bits share a bucket that doubles: the tag of its first slot
/// says how many slots follow.
///
/// A slot's number is the 40 bits of its bucket's first hash, then 22 for its place in the bucket.
@usableFromInline struct BucketPlace {
    /// The directory, the hash bits above it and its own.
    @usableFromInline var node: UInt64
    @usableFromInline var above: Int
    @usableFromInline var bits = BucketPlace.topBits
    /// The hash's word in the directory and what it holds.
    @usableFromInline var index = 0
    @usableFromInline var entry: UInt64 = 0

    @inlinable static var topBits: Int { 10 }
    @inlinable static var lowerBits: Int { 6 }
    @inlinable static var mostBits: Int { 40 }
    @inlinable static var slotBits: Int { 22 }

    @inlinable init(top: UInt64) {
        node = top
        above = 0
    }

    @inlinable func word(_ index: Int) -> UInt64 {
        node &+ UInt64(truncatingIfNeeded: index &* 8)
    }

    /// Goes down to the entry that is no directory.
    @inlinable @inline(__always)
    mutating func descend<Reader: HeapReading & ~Copyable>(
        _ mixed: UInt64, in reader: borrowing Reader
    ) {
        while true {
            let shift = UInt64(truncatingIfNeeded: 64 &- above &- bits)
            index = Int(truncatingIfNeeded: mixed &>> shift) & (1 &<< bits &- 1)
            entry = reader.load(word(index))
            guard PieceReference.isDirectory(entry), above < BucketPlace.mostBits else { return }
            above &+= bits
            bits = BucketPlace.lowerBits
            node = PieceReference.offset(entry)
        }
    }

    /// The words that hold the same entry as this one's: how many bits of them agree.
    @inlinable func ownBits<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) -> Int {
        var own = bits
        while own > 0 {
            let size = 1 << (bits - own)
            let other = (index / size * size) ^ size
            for word in other..<(other + size) {
                let found: UInt64 = reader.load(self.word(word))
                if found != entry { return own }
            }
            own -= 1
        }
        return 0
    }
}

extension PDictionary {
    /// A larger table is made of buckets.
    @inlinable static var mostBufferBytes: Int { 16384 }
    @inlinable static var bucketSlots: Int { Swift.max(8, 8192 / MemoryLayout<Slot>.stride) }
    /// So many used slots in a row make a bucket grow.
    @inlinable static var longRow: Int { Swift.max(8, bucketSlots / 8) }

    @inlinable var isInBuckets: Bool { PieceReference.isDirectory(table) }
    @inlinable var top: BucketPlace { BucketPlace(top: PieceReference.offset(table)) }

    @inlinable @inline(__always) static func mixed(_ tag: UInt64) -> UInt64 {
        PersistentHash.mix(tag)
    }

    /// Where a pair's search starts in a bucket.
    @inlinable @inline(__always) static func first(_ mixed: UInt64, _ slots: Int) -> Int {
        Int(truncatingIfNeeded: ((mixed & 0xFFFF_FFFF) &* UInt64(slots)) &>> 32)
    }

    /// The slots of a bucket; none for entry 0.
    @inlinable @inline(__always)
    static func slots<Reader: HeapReading & ~Copyable>(
        of entry: UInt64, in reader: borrowing Reader
    ) -> (base: UInt64, count: Int) {
        if entry & PieceReference.bits != 0 { return largeBucket(entry, in: reader) }
        if entry == 0 { return (0, 0) }
        if !reader.holds(entry, bucketSlots &* MemoryLayout<Slot>.stride) {
            reader.stop(damagedAt: entry, "a dictionary's bucket leaves the heap")
        }
        return (entry, bucketSlots)
    }

    @inlinable @inline(never)
    static func largeBucket<Reader: HeapReading & ~Copyable>(
        _ entry: UInt64, in reader: borrowing Reader
    ) -> (base: UInt64, count: Int) {
        let stride = MemoryLayout<Slot>.stride
        let base = PieceReference.offset(entry)
        let count: Int = reader.load(base)
        if entry & PieceReference.bits != PieceReference.largeBucket || count <= 0
            || count >= 1 << BucketPlace.slotBits || !reader.holds(base, (count + 1) * stride)
        {
            reader.stop(damagedAt: base, "a dictionary's bucket claims \(count) slots")
        }
        return (base &+ UInt64(stride), count)
    }

    @inlinable
    func findInBuckets<Reader: HeapReading & ~Copyable>(
        _ hash: UInt64, in reader: borrowing Reader, matches: (Key) -> Bool
    ) -> UInt64 {
        let mixed = Self.mixed(hash | 2)
        var place = top
        place.descend(mixed, in: reader)
        let (base, count) = Self.slots(of: place.entry, in: reader)
        var index = Self.first(mixed, count)
        for _ in 0..<count {
            let slot = base &+ UInt64(truncatingIfNeeded: index &* MemoryLayout<Slot>.stride)
            let tag: UInt64 = reader.loadUnchecked(slot)
            if tag == 0 { return 0 }
            if tag == hash | 2, matches(reader.loadUnchecked(slot &+ UInt64(Slot.keyOffset))) {
                return slot
            }
            index = index &+ 1 == count ? 0 : index &+ 1
        }
        return 0
    }

    @inlinable @inline(never) func checkBuckets<Reader: HeapReading & ~Copyable>(
        in reader: borrowing Reader
    ) {
        // Every pair takes a slot of the heap.
        let isSound =
            storedCount >= 0 && storedCount < 1 << 40
            && reader.holds(0, storedCount * MemoryLayout<Slot>.stride)
            && reader.holds(PieceReference.offset(table), 8 << BucketPlace.topBits)
        if !isSound {
            reader.stop(damagedAt: table, "a dictionary claims \(storedCount) pairs in buckets")
        }
    }

    // MARK: Slots by number

    @inlinable func bucket<Reader: HeapReading & ~Copyable>(
        ofSlot number: Int, in reader: borrowing Reader
    ) -> BucketPlace {
        var place = top
        place.descend(UInt64(number >> BucketPlace.slotBits) << 24, in: reader)
        return place
    }

    @inlinable func slotOffsetInBuckets<Reader: HeapReading & ~Copyable>(
        _ number: Int, in reader: borrowing Reader
    ) -> UInt64 {
        let (base, count) = Self.slots(of: bucket(ofSlot: number, in: reader).entry, in: reader)
        let index = number & (1 << BucketPlace.slotBits - 1)
        precondition(index < count, "the dictionary has changed since the index was made")
        return base &+ UInt64(index * MemoryLayout<Slot>.stride)
    }

    @inlinable @inline(never) func filledSlotInBuckets<Reader: HeapReading & ~Copyable>(
        from number: Int, in reader: borrowing Reader
    ) -> Int {
        var number = number
        while number < endSlot {
            let place = bucket(ofSlot: number, in: reader)
            let (base, count) = Self.slots(of: place.entry, in: reader)
            var index = number & (1 << BucketPlace.slotBits - 1)
            let prefix = number >> BucketPlace.slotBits
            while index < count {
                let tag: UInt64 = reader.loadUnchecked(
                    base &+ UInt64(index &* MemoryLayout<Slot>.stride))
                if tag > 1 { return prefix << BucketPlace.slotBits | index }
                index &+= 1
            }
            let rest = BucketPlace.mostBits - place.above - place.ownBits(in: reader)
            number = (prefix >> rest + 1) << (rest + BucketPlace.slotBits)
        }
        return endSlot
    }

    /// Verifies that every pair is found where its key leads and that they are as many as counted.
    package func checkTable<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) throws {
        var found = 0
        var slot = filledSlot(from: 0, in: reader)
        while slot < endSlot {
            let key = pair(at: PDictionaryIndex(slot: slot), in: reader).key
            let place = find(key.persistentHash(in: reader), in: reader) {
                $0.isEqual(to: key, in: reader)
            }
            guard place == slotOffset(slot, in: reader) else {
                throw PersistentMemoryError.invariant("a dictionary does not find a key it holds")
            }
            found += 1
            slot = filledSlot(from: slot + 1, in: reader)
        }
        guard found == storedCount else {
            throw PersistentMemoryError.invariant(
                "a dictionary counts \(storedCount) pairs and has \(found)")
        }
    }
}
