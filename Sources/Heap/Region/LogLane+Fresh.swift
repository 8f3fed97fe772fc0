import CPersistentMemory

/// Pages that a transaction took whole are found by a bit each: a container that grows stores to
/// hundreds of new pages, in no order, and none of it needs a log.
extension LogLane {
    private static func wholePages(_ offset: UInt64, _ length: Int) -> Range<UInt64> {
        let end = (offset + UInt64(length)) >> unitShift
        let start = (offset + (1 << unitShift) - 1) >> unitShift
        return start..<max(start, end)
    }

    @usableFromInline @inline(never)
    func noteFreshPages(_ offset: UInt64, _ length: Int) {
        if state.pointee.freshBits == nil {
            state.pointee.freshBits = pm_zeroed(state.pointee.unitBitBytes)?
                .assumingMemoryBound(to: UInt64.self)
        }
        guard let bits = state.pointee.freshBits else { return }
        let pages = Self.wholePages(offset, length)
        for page in pages { bits[Int(page >> 6)] |= 1 << (page & 63) }
        state.pointee.freshPages += pages.count
    }

    @usableFromInline @inline(never)
    func isOnFreshPages(_ offset: UInt64, _ length: Int) -> Bool {
        guard let bits = state.pointee.freshBits, length > 0 else { return false }
        var page = offset >> Self.unitShift
        let last = (offset &+ UInt64(length) &- 1) >> Self.unitShift
        guard last >= page, last < UInt64(state.pointee.unitBitBytes) * 8 else { return false }
        while page <= last {
            if bits[Int(page >> 6)] >> (page & 63) & 1 == 0 { return false }
            page += 1
        }
        return true
    }

    @usableFromInline @inline(never)
    func forgetFreshPages() {
        state.pointee.freshPages = 0
        guard let bits = state.pointee.freshBits else { return }
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            guard range.length >= 1 << Int(Self.unitShift) else { continue }
            for page in Self.wholePages(range.offset, range.length) {
                bits[Int(page >> 6)] &= ~(1 << (page & 63))
            }
        }
    }
}
