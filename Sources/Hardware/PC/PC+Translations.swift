import ABI
import CMachinePC
import Machine
import Store

// Translations: four-level page tables in DRAM. PML4 entries 0–127 are the user's, entry 128 is the
// window.

extension PC {
    mutating func makeTranslation() -> Translation? {
        guard let root = pages.take() else { return nil }
        Window.table(root)[Window.pml4Index] = Window.table(kernelRoot)[Window.pml4Index]
        return Translation(root)
    }

    mutating func dropTranslation(_ translation: Translation) {
        leave(translation)
        let root = Window.table(translation.value)
        for index in 0..<Window.pml4Index { giveBack(root[index], level: 3) }
        pages.giveBack(translation.value)
    }

    /// Gives back the table behind an entry and the tables below it. `level` 3: a pointer table; 1:
    /// a page table.
    private mutating func giveBack(_ entry: UInt64, level: Int) {
        guard entry & Entry.present != 0 else { return }
        let physical = entry & Entry.addressMask
        if level > 1 {
            let table = Window.table(physical)
            for index in 0..<512 { giveBack(table[index], level: level - 1) }
        }
        pages.giveBack(physical)
    }

    mutating func install(
        _ translation: Translation, address: UserAddress, target: MappingTarget,
        protection: Protection, tracked: Bool
    ) -> Bool {
        guard address < UserAddress.limit,
            let table = makePageTable(translation, address: address.value)
        else {
            return false
        }
        let entry = table + Int(address.value >> 12 & 511)
        let old = entry.pointee
        let new = encode(target, protection, tracked: tracked)
        let isListed = old & (Entry.writable | Entry.tracked) == Entry.writable | Entry.tracked
        if new & Entry.writable != 0, tracked, !isListed {
            guard writable.append(entry: entry, address: address.value) else { return false }
        }
        entry.pointee = new
        if old & Entry.present != 0 && old != new {
            flush(
                translation, address: address.value,
                everywhere: !Self.isWidening(from: old, to: new))
        }
        return true
    }

    /// The same page with at least the rights it had: a core that still holds the old entry only
    /// faults once more.
    private static func isWidening(from old: UInt64, to new: UInt64) -> Bool {
        (old ^ new) & Entry.addressMask == 0 && old & Entry.writable & ~new == 0
            && new & Entry.noExecute & ~old == 0
    }

    private func encode(_ target: MappingTarget, _ protection: Protection, tracked: Bool) -> UInt64
    {
        var entry = Entry.present | Entry.user | Entry.accessed | Entry.dirty
        if protection.contains(.write) { entry |= Entry.writable }
        if !protection.contains(.execute) { entry |= Entry.noExecute }
        if tracked { entry |= Entry.tracked }
        switch target {
        case .frame(let frame):
            return entry | Entry.frame | (nvm.physicalBase + frame.offset)
        case .device(let physical):
            return entry | Entry.uncached | Entry.writeThrough | physical.value & Entry.addressMask
        }
    }

    /// The page table for an address, with the tables above it. Nil when the pool is empty; tables
    /// made on the way stay.
    private mutating func makePageTable(_ translation: Translation, address: UInt64)
        -> UnsafeMutablePointer<UInt64>?
    {
        var table = Window.table(translation.value)
        for shift in stride(from: 39, through: 21, by: -9) {
            let index = Int(address >> shift & 511)
            if table[index] & Entry.present == 0 {
                guard let page = pages.take() else { return nil }
                table[index] = page | Entry.present | Entry.writable | Entry.user | Entry.accessed
            }
            table = Window.table(table[index] & Entry.addressMask)
        }
        return table
    }

    func lookUp(_ translation: Translation, address: UserAddress) -> (
        frame: FrameNumber, writable: Bool
    )? {
        guard address < UserAddress.limit else { return nil }
        var entry = translation.value | Entry.present
        for shift in stride(from: 39, through: 12, by: -9) {
            guard entry & Entry.present != 0 else { return nil }
            entry = Window.table(entry & Entry.addressMask)[Int(address.value >> shift & 511)]
        }
        guard entry & (Entry.present | Entry.frame) == Entry.present | Entry.frame else {
            return nil
        }
        let offset = entry & Entry.addressMask &- nvm.physicalBase
        return (
            FrameNumber(UInt32(truncatingIfNeeded: offset / pageSize)), entry & Entry.writable != 0
        )
    }

    mutating func remove(
        _ translation: Translation, from address: UserAddress, pages count: UInt64, core: Int
    ) {
        let end = min(
            UserAddress.limit.value,
            address.value &+ min(count, UserAddress.limit.pageNumber) &* pageSize)
        var at = address.value
        var removed: UInt64 = 0
        var droppedTable = false
        while at < end {
            let step = removeStep(translation, at: at, end: end)
            removed += step.removed
            droppedTable = droppedTable || step.droppedTable
            at = step.next
        }
        guard removed > 0 || droppedTable else { return }
        if droppedTable || count > UInt64(PC_FLUSH_LIST) {
            flushAll(translation)
        } else {
            for page in 0..<count {
                flush(translation, address: address.value + page * pageSize, everywhere: true)
            }
        }
    }

    private struct RemoveStep {
        var next: UInt64
        var removed: UInt64 = 0
        var droppedTable = false
    }

    /// Clears the entries from `at` to the end of the range or of the page table, and goes over
    /// what is absent.
    private mutating func removeStep(_ translation: Translation, at: UInt64, end: UInt64)
        -> RemoveStep
    {
        var table = Window.table(translation.value)
        for shift in stride(from: 39, through: 30, by: -9) {
            let entry = table[Int(at >> shift & 511)]
            if entry & Entry.present == 0 { return RemoveStep(next: (at >> shift + 1) << shift) }
            table = Window.table(entry & Entry.addressMask)
        }
        let index = Int(at >> 21 & 511)
        let next = (at >> 21 + 1) << 21
        guard table[index] & Entry.present != 0 else { return RemoveStep(next: next) }
        if at & (1 << 21 - 1) == 0 && next <= end {
            giveBack(table[index], level: 1)
            table[index] = 0
            return RemoveStep(next: next, droppedTable: true)
        }
        let entries = Window.table(table[index] & Entry.addressMask)
        var step = RemoveStep(next: min(next, end))
        for page in at >> 12..<step.next >> 12 where entries[Int(page & 511)] != 0 {
            entries[Int(page & 511)] = 0
            step.removed += 1
        }
        return step
    }

    mutating func revokeWrites() {
        let mask = Entry.present | Entry.writable | Entry.tracked
        let few = writable.count <= PC_FLUSH_LIST
        for index in 0..<writable.count {
            let entry = writable.entry(index)
            guard entry.pointee & mask == mask else { continue }
            entry.pointee &= ~Entry.writable
            if few {
                for core in 0..<coreCount {
                    Cores.queueFlush(Cores.area(core), address: writable.address(index))
                }
            }
        }
        if !few { for core in 0..<coreCount { Cores.area(core).pointee.must_flush = 1 } }
        writable.removeAll()
        pages.releasePending()
    }
}
