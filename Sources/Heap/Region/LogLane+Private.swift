import CPersistentMemory

/// Undo on memory whose fences wait for a disk: stores in place, on pages that are private to the
/// process until the transaction commits.
///
/// A page cache writes a page back when it likes, so a store in place would have to wait until the
/// old words are durable. Here the page is first made private (copy on write): the program sees the
/// store at once, the file does not. The commit writes one journal block (`LogLane+Journal`), makes
/// the pages shared again and stores the block's words home. An abort only makes the pages shared:
/// the old words are still there. Neither waits for the disk but for the block.
///
/// Invariants
/// 1. A word is stored in place only if its unit is private or the word is new memory.
/// 2. A unit that was made private stays so until the transaction ends; one that could not be made
///    private is not tried again. So a word is either always stored in place or always gathered.
/// 3. Nobody but the running transaction stores to a private unit: what lies below `privateFloor`
///    (headers, span tables, roots, logs) is never private, and a page of objects has one type.
extension LogLane {
    /// 8 KiB: a page of the heap, so that no unit holds what another writer stores to.
    @usableFromInline static let unitShift: UInt64 = 13

    /// Lanes whose undo transactions store to private pages.
    var storesPrivately: Bool { state.pointee.journals && state.pointee.mode == .undo }

    /// Undo: one aligned word that was neither announced nor is new.
    @usableFromInline @inline(never)
    func storeWordPrivately(_ word: UInt64, at offset: UInt64) {
        guard keepPrivate(offset, 8) else { return putWord(word, at: offset) }
        state.pointee.access.base.storeBytes(
            of: word, toByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
    }

    /// Undo: bytes at any offset.
    func storePrivately(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let source = bytes.baseAddress else { return }
        if isLogged(offset, bytes.count) || keepPrivate(offset, bytes.count) {
            (state.pointee.access.base + Int(offset)).copyMemory(
                from: source, byteCount: bytes.count)
        } else {
            forEachWord(of: bytes, at: offset) { storeWord($1, at: $0) }
        }
    }

    /// Makes the units of a range private and notes the range; false if one of them has to stay as
    /// it is. The words of such a unit are gathered.
    func keepPrivate(_ offset: UInt64, _ length: Int) -> Bool {
        let start = offset & ~7
        let end = (offset &+ UInt64(truncatingIfNeeded: length) &+ 7) & ~7
        var unit = start >> Self.unitShift
        let last = (end - 1) >> Self.unitShift
        guard start >= state.pointee.privateFloor, last < UInt64(state.pointee.unitBitBytes) * 8
        else { return false }
        while unit <= last {
            if isPrivate(unit) {
                unit += 1
                continue
            }
            var stop = unit + 1
            while stop <= last, !isPrivate(stop) { stop += 1 }
            guard makePrivate(unit..<stop) else { return false }
            unit = stop
        }
        if let barrier = state.pointee.overwriteBarrier { barrier(start, Int(end - start)) }
        state.pointee.ranges.append(LoggedRange(offset: start, length: Int(end - start)))
        return true
    }

    private func isPrivate(_ unit: UInt64) -> Bool {
        guard let bits = state.pointee.privateBits else { return false }
        return bits[Int(unit >> 6)] >> (unit & 63) & 1 == 1
    }

    /// Whether a unit of a range is private.
    func hasPrivateUnit(_ range: LoggedRange) -> Bool {
        let last = (range.offset + UInt64(range.length) - 1) >> Self.unitShift
        return (range.offset >> Self.unitShift...last).contains { isPrivate($0) }
    }

    private func makePrivate(_ units: Range<UInt64>) -> Bool {
        guard state.pointee.privateRuns < state.pointee.mostPrivateRuns else { return false }
        let region = state.pointee.access.region
        if state.pointee.privateBits == nil {
            state.pointee.privateBits = pm_zeroed(state.pointee.unitBitBytes)?
                .assumingMemoryBound(to: UInt64.self)
        }
        guard let bits = state.pointee.privateBits,
            region._withUnsafeGuaranteedRef({
                $0.makePrivate(
                    units.lowerBound << Self.unitShift, UInt64(units.count) << Self.unitShift)
            })
        else {
            // Not tried again in this transaction: invariant 2.
            state.pointee.privateRuns = Int.max
            return false
        }
        state.pointee.privateRuns += 1
        for unit in units {
            bits[Int(unit >> 6)] |= 1 << (unit & 63)
            state.pointee.privateUnits.append(unit)
        }
        return true
    }

    /// Makes all private pages shared again: they hold what the file holds.
    func makeShared() {
        state.pointee.privateRuns = 0
        let count = state.pointee.privateUnits.count
        guard count > 0, let bits = state.pointee.privateBits else { return }
        var units = UnsafeMutableBufferPointer(
            start: state.pointee.privateUnits.base, count: count)
        units.sort()
        let region = state.pointee.access.region
        var index = 0
        while index < count {
            var end = index + 1
            while end < count, units[end] == units[end - 1] + 1 { end += 1 }
            let start = units[index] << Self.unitShift
            region._withUnsafeGuaranteedRef {
                $0.makeShared(start, UInt64(end - index) << Self.unitShift)
            }
            index = end
        }
        for unit in units { bits[Int(unit >> 6)] &= ~(1 << (unit & 63)) }
        state.pointee.privateUnits.count = 0
    }
}
