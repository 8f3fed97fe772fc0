import PersistentMemory

/// Sizes of cells: multiples of 16 up to 128, then four to each doubling.
enum ObjectSizeClass {
    static let count = 96

    static func of(_ bytes: Int) -> Int {
        if bytes <= 128 { return max(0, (bytes + 15) / 16 - 1) }
        let shift = Int.bitWidth - (bytes - 1).leadingZeroBitCount - 3
        return 8 + (shift - 5) * 4 + ((bytes - 1) >> shift) - 4
    }

    static func bytes(_ number: Int) -> Int {
        if number < 8 { return (number + 1) * 16 }
        let shift = (number - 8) / 4 + 5
        return ((number - 8) % 4 + 5) << shift
    }
}

/// Bytes that an object gives for a cell of `bytes`.
package func cellBytes(_ bytes: Int) -> Int { ObjectSizeClass.bytes(ObjectSizeClass.of(bytes)) }

/// Cells in an object: taken from lists of free ones, or from where the data ends.
///
/// All that an allocation changes is part of its transaction. A free cell's first word links to the
/// next; it is changed through the log, so that a cut or failed transaction leaves the list whole.
/// The rest of a cell that was just taken is stored to directly: nothing reads it if the
/// transaction fails.
extension ObjectTransaction {
    func checkedWord(_ slot: Int, _ place: UInt64) throws(ObjectError) -> UInt64 {
        let word: UInt64 = lane.load(space.metadata(slot) + place)
        guard let value = CheckedWord.decode(word, at: place) else {
            throw .damaged(
                id: space.identifiers[slot] ?? .none,
                "the word at \(place) of its metadata fails its check")
        }
        return value
    }

    func setChecked(_ slot: Int, _ place: UInt64, _ value: UInt64) {
        lane.store(CheckedWord.encode(value, at: place), at: space.metadata(slot) + place)
    }

    func dataEnd(_ slot: Int) throws(ObjectError) -> UInt64 {
        let end = try checkedWord(slot, ObjectLayout.Word.dataEnd)
        guard end >= ObjectLayout.base, end <= space.capacities[slot] else {
            throw .damaged(id: space.identifiers[slot] ?? .none, "its data ends at \(end)")
        }
        return end
    }

    /// A cell of at least `bytes`; its contents are whatever was there.
    func allocate(_ bytes: Int, in slot: Int) throws -> UInt64 {
        if space.readOnly.contains(slot) {
            throw ObjectError.immutable(id: space.identifiers[slot] ?? .none)
        }
        guard bytes <= Int(space.capacities[slot]) else {
            throw ObjectError.full(
                id: space.identifiers[slot] ?? .none, capacity: space.capacities[slot])
        }
        let number = ObjectSizeClass.of(bytes)
        let size = UInt64(ObjectSizeClass.bytes(number))
        let list = ObjectLayout.Word.freeLists + UInt64(number) * 8
        let head = try checkedWord(slot, list)
        if head != 0 {
            try space.checkRange(slot, head, Int(size))
            let address = space.start(slot) + head
            guard let next = CheckedWord.decode(lane.load(address), at: head) else {
                throw ObjectError.damaged(
                    id: space.identifiers[slot] ?? .none, "the free cell at \(head) fails its check")
            }
            setChecked(slot, list, next)
            lane.addFresh(address + 8, Int(size) - 8)
            return address
        }
        let end = try dataEnd(slot)
        let table = UInt64(space.countEntries(slot) + 1) * ObjectLayout.entryBytes
        guard end + size + table <= space.capacities[slot] - ObjectLayout.pageBytes else {
            throw ObjectError.full(
                id: space.identifiers[slot] ?? .none, capacity: space.capacities[slot])
        }
        try space.store.reserve(slot, upTo: end + size)
        setChecked(slot, ObjectLayout.Word.dataEnd, end + size)
        lane.addFresh(space.start(slot) + end, Int(size))
        return space.start(slot) + end
    }

    /// Gives a cell back. Nothing may refer to it any more.
    func free(_ address: UInt64, _ bytes: Int) throws {
        let slot = Int(address >> ObjectLayout.slotShift)
        let offset = address & ObjectLayout.slotMask
        try space.checkRange(slot, offset, bytes)
        let list = ObjectLayout.Word.freeLists + UInt64(ObjectSizeClass.of(bytes)) * 8
        lane.store(CheckedWord.encode(try checkedWord(slot, list), at: offset), at: address)
        setChecked(slot, list, offset)
    }

    /// Gives a value's place back, with the pointer that owned it.
    public func free<T: Persistable>(_ owner: Ref<ObjectPointer<T>?>) throws {
        let target = try follow(owner)
        set(owner, nil)
        try free(target.address, MemoryLayout<T>.size)
    }
}
