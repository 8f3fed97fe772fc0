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
        } else if watched != nil {
            let table = Window.table(physical)
            for index in 0..<512 where table[index] & Entry.memory != 0 { clear(table + index) }
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
        var new = encode(target, protection, tracked: tracked)
        if (new | old) & Entry.memory != 0 || old & Entry.listed != 0 {
            guard prepare(entry, address: address.value, old: old, new: &new) else { return false }
        }
        let isListed = old & (Entry.writable | Entry.tracked) == Entry.writable | Entry.tracked
        if new & Entry.writable != 0, tracked, !isListed {
            guard writable.append(entry: entry, address: address.value) else { return false }
        }
        if old & Entry.memory != 0 {
            note(pc_exchange(entry, new))
        } else {
            entry.pointee = new
        }
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
        case .memory(let page):
            if !isWritten(page) { entry &= ~Entry.dirty }
            return entry | Entry.memory | Window.physical(UInt64(page.address))
        case .device(let physical):
            return entry | Entry.uncached | Entry.writeThrough | physical.value & Entry.addressMask
        }
    }

    /// The page table for an address, with the tables above it. Nil when the pool is empty; tables
    /// made on the way stay.
    private mutating func makePageTable(_ translation: Translation, address: UInt64)
        -> UnsafeMutablePointer<UInt64>?
    {
        guard
            let third = makeTable(Window.table(translation.value) + Int(address >> 39 & 511)),
            let second = makeTable(third + Int(address >> 30 & 511))
        else { return nil }
        return makeTable(second + Int(address >> 21 & 511))
    }

    /// The table behind an entry, made if there is none.
    @inline(__always) private mutating func makeTable(_ entry: UnsafeMutablePointer<UInt64>)
        -> UnsafeMutablePointer<UInt64>?
    {
        if entry.pointee & Entry.present == 0 {
            guard let page = pages.take() else { return nil }
            entry.pointee = page | Entry.present | Entry.writable | Entry.user | Entry.accessed
        }
        return Window.table(entry.pointee & Entry.addressMask)
    }

    func lookUp(_ translation: Translation, address: UserAddress) -> (
        frame: PageFrame, writable: Bool
    )? {
        guard address < UserAddress.limit else { return nil }
        let top = Window.table(translation.value)[Int(address.value >> 39)]
        guard top & Entry.present != 0 else { return nil }
        let third = Self.next(top, address.value >> 30)
        guard third & Entry.present != 0 else { return nil }
        let second = Self.next(third, address.value >> 21)
        guard second & Entry.present != 0 else { return nil }
        let entry = Self.next(second, address.value >> 12)
        guard entry & Entry.present != 0, entry & (Entry.frame | Entry.memory) != 0 else {
            return nil
        }
        let isWritable = entry & Entry.writable != 0
        if entry & Entry.memory != 0 {
            let page = Window.address(entry & Entry.addressMask)
            return (PageFrame(MemoryPage(address: UInt(page))), isWritable)
        }
        let offset = entry & Entry.addressMask &- nvm.physicalBase
        return (PageFrame(FrameNumber(UInt32(truncatingIfNeeded: offset / pageSize))), isWritable)
    }

    /// The entry that an entry's table has for an address, shifted to that table's index.
    @inline(__always) private static func next(_ entry: UInt64, _ shifted: UInt64) -> UInt64 {
        Window.table(entry & Entry.addressMask)[Int(shifted & 511)]
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
        for page in at >> 12..<step.next >> 12
        where entries[Int(page & 511)] & Entry.present != 0 {
            clear(entries + Int(page & 511))
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
