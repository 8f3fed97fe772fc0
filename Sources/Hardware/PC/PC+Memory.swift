import ABI
import CMachinePC
import Machine
import Store

// Entries that lead to watched pages of DRAM. The processor sets their dirty bits (Intel SDM vol. 3A,
// 4.8), at any time while a core is in user mode: so such an entry is never changed but by an
// exchange, and what it said goes into the page's bit.

extension PC {
    private func index(_ entry: UInt64, in pages: WatchedPages) -> Int {
        let address = Window.address(entry & Entry.addressMask)
        return pages.index(of: MemoryPage(address: UInt(address)))
    }

    func isWritten(_ page: MemoryPage) -> Bool {
        guard let watched else { return false }
        return watched.isWritten(watched.index(of: page))
    }

    /// What an entry said that is there no more.
    func note(_ last: UInt64) {
        let mask = Entry.present | Entry.memory | Entry.dirty
        guard last & mask == mask, let watched else { return }
        watched.noteWritten(index(last, in: watched))
    }

    /// Empties an entry. One that is in the list stays marked, so that it is not put there twice.
    func clear(_ entry: UnsafeMutablePointer<UInt64>) {
        if entry.pointee & Entry.memory != 0 {
            note(pc_exchange(entry, entry.pointee & Entry.listed))
        } else {
            entry.pointee &= Entry.listed
        }
    }

    /// Before an entry to memory is made or replaced. False when the list is full.
    mutating func prepare(
        _ entry: UnsafeMutablePointer<UInt64>, address: UInt64, old: UInt64, new: inout UInt64
    ) -> Bool {
        let mustBeListed = new & Entry.memory != 0 && new & Entry.writable != 0
        if mustBeListed && old & Entry.listed == 0 {
            guard memory.append(entry: entry, address: address) else { return false }
            new |= Entry.listed
        }
        new |= old & Entry.listed
        // A core may hold the old entry as a dirty one, and would not set the bit again.
        if old & Entry.present != 0 && old & Entry.memory != 0 && new & Entry.memory != 0 {
            new |= Entry.dirty
        }
        return true
    }

    mutating func collectDirty() {
        guard let watched else { return }
        let isMapped = Entry.present | Entry.memory | Entry.writable
        var kept = 0
        var cleaned = 0
        for index in 0..<memory.count {
            let entry = memory.entry(index)
            let value = entry.pointee
            guard value & isMapped == isMapped else {
                entry.pointee = value & ~Entry.listed
                continue
            }
            if value & Entry.dirty != 0 {
                entry.pointee = value & ~Entry.dirty
                watched.noteWritten(self.index(value, in: watched))
                cleaned += 1
                if cleaned <= PC_FLUSH_LIST { queueFlush(memory.address(index)) }
            }
            if kept != index { memory.move(index, to: kept) }
            kept += 1
        }
        memory.truncate(kept)
        if cleaned > PC_FLUSH_LIST {
            for core in 0..<coreCount { Cores.area(core).pointee.must_flush = 1 }
        }
    }

    private func queueFlush(_ address: UInt64) {
        for core in 0..<coreCount { Cores.queueFlush(Cores.area(core), address: address) }
    }
}
