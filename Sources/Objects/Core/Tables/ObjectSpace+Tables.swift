import CObjectSpace
import CPersistentMemory
import PersistentMemory

/// Foreign object tables: insertion, look-up, reclaim.
extension ObjectSpace {
    func entryAddress(_ slot: Int, _ index: Int) -> UInt64 {
        start(slot) + ObjectLayout.entry(index, capacity: capacities[slot])
    }

    /// Where an entry holds its state, flags and count.
    func entryState(_ slot: Int, _ index: Int) -> UInt64 { entryAddress(slot, index) + 16 }

    private func word(_ address: UInt64) -> UnsafeMutablePointer<UInt64> {
        (region.base + Int(address)).assumingMemoryBound(to: UInt64.self)
    }

    private func entryWords(_ slot: Int, _ index: Int) -> (UInt64, UInt64, UInt64, UInt64) {
        let at = word(entryAddress(slot, index))
        return (at[0], at[1], os_load(at + 2), at[3])
    }

    /// Entries in use, valid or not: they end at the first one never taken.
    func countEntries(_ slot: Int) -> Int {
        var count = entriesInUse[slot]
        let most = min(
            ObjectLayout.mostEntries,
            Int((capacities[slot] - 2 * ObjectLayout.pageBytes) / ObjectLayout.entryBytes))
        while count < most, os_load(word(entryAddress(slot, count + 1)) + 2) != 0 { count += 1 }
        entriesInUse[slot] = count
        return count
    }

    /// A valid entry; nil if the place is unused or was given back.
    package func entry(_ slot: Int, _ index: Int) throws(ObjectError) -> TableEntry? {
        try TableEntry(entryWords(slot, index), at: index, of: identifiers[slot] ?? .none)
    }

    /// The index of an entry that means the same as `wanted`; adds one if there is none.
    ///
    /// Threads may add at the same time. A place is claimed by one compare-and-swap, filled, made
    /// durable, and only then published by its state: a crash leaves a claimed place that
    /// `reclaim` takes back, never half an entry.
    ///
    /// - Parameter floor: where the object's data ends: the table does not grow into it.
    package func insert(_ wanted: TableEntry, in slot: Int, above floor: UInt64) throws(ObjectError)
        -> Int
    {
        let key = EntryKey(
            slot: slot, first: wanted.first, second: wanted.second,
            flags: wanted.flags.rawValue)
        pm_lock(&mapLock)
        let known = knownEntries[key]
        pm_unlock(&mapLock)
        if let known, let entry = try entry(slot, known), isSame(entry, wanted) { return known }
        var index = 0
        while true {
            index += 1
            let address = entryAddress(slot, index)
            guard index <= ObjectLayout.mostEntries, address & ObjectLayout.slotMask >= floor else {
                throw .tableFull(id: identifiers[slot] ?? .none)
            }
            let flags = os_load(word(address) + 2)
            if let entry = try entry(slot, index), isSame(entry, wanted) {
                remember(key, index)
                return index
            }
            let state = try TableEntry.state(flags, at: index, of: identifiers[slot] ?? .none)
            if state == .unused || state == .free, publish(wanted, at: address, replacing: flags) {
                remember(key, index)
                return index
            }
        }
    }

    private func isSame(_ a: TableEntry, _ b: TableEntry) -> Bool {
        a.first == b.first && a.second == b.second && a.flags == b.flags
    }

    private func remember(_ key: EntryKey, _ index: Int) {
        pm_lock(&mapLock)
        knownEntries[key] = index
        entriesInUse[key.slot] = max(entriesInUse[key.slot], index)
        pm_unlock(&mapLock)
    }

    /// False if another thread took the place.
    private func publish(_ entry: TableEntry, at address: UInt64, replacing old: UInt64) -> Bool {
        let at = word(address)
        guard os_exchange_if(at + 2, old, entry.word(.claimed)) != 0 else { return false }
        (at[0], at[1], at[3]) = (entry.first, entry.second, entry.check)
        region.flush(address, 32)
        region.fence()
        os_store(at + 2, entry.word(.valid))  // PUBLISHED
        region.flush(address, 32)
        region.fence()
        return true
    }

    // MARK: Following

    /// The object that a place lies in.
    public func identifier(of place: Ref<some Any>) throws -> ObjectID {
        guard let id = identifiers[place.slot] else { throw ObjectError.closed }
        return id
    }

    /// Where a pointer leads that is held at `address`.
    func target(of word: UInt64, heldAt address: UInt64) throws -> UInt64 {
        let holder = Int(address >> ObjectLayout.slotShift)
        let offset = word & CheckedWord.mask
        guard word != 0 else {
            throw ObjectError.nullPointer(
                holder: identifiers[holder] ?? .none, offset: address & ObjectLayout.slotMask)
        }
        let slot = word >> 48 == 0 ? holder : try target(holder, Int(word >> 48))
        try checkRange(slot, offset, 1)
        return start(slot) + offset
    }

    /// A range lies between the object's base and its metadata.
    func checkRange(_ slot: Int, _ offset: UInt64, _ bytes: Int) throws(ObjectError) {
        let end = capacities[slot] &- ObjectLayout.pageBytes
        guard capacities[slot] != 0, bytes >= 0, offset >= ObjectLayout.base, offset <= end,
            UInt64(bytes) <= end - offset
        else { throw .outside(id: identifiers[slot] ?? .none, offset: offset, bytes: bytes) }
    }

    /// The slot that entry `index` of the object in a slot leads to; keeps the translation, unless
    /// it is of a name, which may mean something else next time.
    func target(_ holder: Int, _ index: Int) throws -> Int {
        let place = region.base + Int(start(holder) + ObjectLayout.translationDistance)
        let known = place.assumingMemoryBound(to: UInt64.self) + index
        if os_load(known) != 0 {
            return Int((os_load(known) - UInt64(UInt(bitPattern: region.base))) >> 30)
        }
        let holderID = identifiers[holder] ?? .none
        guard index <= countEntries(holder), let entry = try entry(holder, index) else {
            throw ObjectError.noEntry(holder: holderID, index: index)
        }
        if entry.flags.contains(.name) { return try slot(of: try resolve(entry, in: holder)) }
        let slot = try openSlot(entry.id)
        os_store(known, UInt64(UInt(bitPattern: region.base)) + start(slot))
        return slot
    }

    /// The ID that a name in a table means now.
    func resolve(_ entry: TableEntry, in holder: Int) throws -> ObjectID {
        let name = try tableName(entry, in: holder)
        if entry.second == 0 { return try id(named: name) }
        guard let resolver = resolvers[entry.second] else {
            throw ObjectError.noResolver(number: entry.second, name: name)
        }
        guard let id = try resolver(self, name) else { throw ObjectError.noName(name) }
        return id
    }

    /// The bytes of a name: a count word, then UTF-8.
    package func tableName(_ entry: TableEntry, in holder: Int) throws -> String {
        try checkRange(holder, entry.first, 8)
        let at = start(holder) + entry.first
        let count = region.load(at)
        guard count <= 4096 else {
            throw ObjectError.outside(
                id: identifiers[holder] ?? .none, offset: entry.first, bytes: Int(clamping: count))
        }
        try checkRange(holder, entry.first + 8, Int(count))
        let bytes = UnsafeRawBufferPointer(start: region.base + Int(at + 8), count: Int(count))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The slot of an object that exists and is whole.
    func openSlot(_ id: ObjectID) throws -> Int {
        let slot = try slot(of: id)
        if verified[slot] { return slot }
        _ = try header(slot, id)
        switch try state(slot) {
        case .live, .deleting: verified[slot] = true
        // Only its own transaction knows of it.
        case .provisional where created.contains(id) && isOwner: break
        case .provisional: throw ObjectError.noObject(id: id)
        case .deleted: throw ObjectError.deleted(id: id)
        }
        return slot
    }

    /// Gives a slot memory for its translations, none of them known.
    func clearTranslations(_ slot: Int) throws(ObjectError) {
        let at = region.base + Int(start(slot) + ObjectLayout.translationDistance)
        let code = os_map_memory(at, UInt64(ObjectLayout.mostEntries + 1) * 8)
        guard code == 0 else {
            throw .system(call: "mmap", path: "translations", code: code)
        }
    }

    // MARK: Reclaim

    /// Counts the pointers of an object that use each entry of its table, and gives the entries that
    /// nothing uses back. Every word of the data that could be a pointer counts as one, so no entry
    /// in use is taken; what is tied stays. Runs alone.
    ///
    /// - Returns: entries given back.
    func reclaim(_ slot: Int, dataEnd: UInt64) throws -> Int {
        let count = countEntries(slot)
        guard count > 0, !readOnly.contains(slot) else { return 0 }
        var uses = [UInt32](repeating: 0, count: count + 1)
        var at = ObjectLayout.base
        while at < dataEnd {
            let index = Int(region.load(start(slot) + at) >> 48)
            if index <= count, uses[index] < .max { uses[index] += 1 }
            at += 8
        }
        var freed = 0
        for index in 1...count {
            let address = entryAddress(slot, index)
            let at = word(address)
            guard var entry = try entry(slot, index) else {
                let state = UInt8(truncatingIfNeeded: at[2])
                if state == TableEntry.State.claimed.rawValue { freed += giveBack(address) }
                continue
            }
            if uses[index] == 0, !entry.isTied {
                freed += giveBack(address)
            } else if entry.flags.contains(.tie) {
                continue
            } else if entry.references != uses[index] {
                entry.references = uses[index]
                os_store(at + 2, entry.word(.valid))
                region.flush(address, 32)
            }
        }
        region.fence()
        try forgetTranslations(slot)
        return freed
    }

    private func giveBack(_ address: UInt64) -> Int {
        os_store(word(address) + 2, UInt64(TableEntry.State.free.rawValue))
        region.flush(address, 32)
        return 1
    }

    /// An index may mean another object from now on. The other processes notice it by themselves
    /// (`noticeReclaims`).
    func forgetTranslations(_ slot: Int) throws(ObjectError) {
        pm_lock(&mapLock)
        defer { pm_unlock(&mapLock) }
        knownEntries = knownEntries.filter { $0.key.slot != slot }
        try clearTranslations(slot)
    }
    /// Forgets where indexes led if a process has given entries back since this was last asked.
    /// Called when a reader or a writer enters; nothing is given back while one is in.
    func noticeReclaims() throws(ObjectError) {
        guard let members else { return }
        let now = members[.reclaims]
        guard os_load(reclaimsSeen) != now else { return }
        pm_lock(&mapLock)
        defer { pm_unlock(&mapLock) }
        for slot in 1..<Int(layout.slots) where capacities[slot] != 0 {
            try clearTranslations(slot)
        }
        knownEntries = [:]
        os_store(reclaimsSeen, now)
    }

    /// The words of a table without the counts, which are not part of what an object holds.
    func tableContents(_ slot: Int) -> [UInt64] {
        (0..<countEntries(slot)).reversed().flatMap { index -> [UInt64] in
            let words = entryWords(slot, index + 1)
            return [words.0, words.1, words.2 & 0xFFFF_FFFF, words.3]
        }
    }

    /// A copy's pointers are not counted yet, and it ties nothing.
    func clearCounts(_ slot: Int) {
        for index in stride(from: 1, through: countEntries(slot), by: 1) {
            let at = word(entryState(slot, index))
            os_store(at, os_load(at) & 0xFFFF_FFFF)
            region.flush(entryState(slot, index), 8)
        }
    }
}
