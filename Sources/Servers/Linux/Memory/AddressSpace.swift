import ABI

/// A guest process's addresses: the list of its areas, kept beside the kernel's regions.
///
/// Invariants: areas are sorted, do not overlap, are page aligned and lie in [`lowest`, `top`);
/// each with memory has one or more kernel regions that show exactly that memory with that
/// protection; one without has none.
final class AddressSpace {
    static let lowest = UserAddress.lowest.value
    /// End of the stack; nothing is mapped above.
    static let top: UInt64 = 0x3FFF_F000_0000
    static let stackBytes: UInt64 = 8 << 20
    /// mmap(2) without a wish looks for room downward from here.
    static let mapTop: UInt64 = 0x3FFF_E000_0000
    static let executableBase: UInt64 = 0x2555_5555_4000
    static let maximumAreas = 16384
    /// Private memory in areas of at least `largeBytes`; more is ENOMEM. fork(2) goes through all
    /// of it, touched or not, with the server's lock held.
    static let maximumPrivateBytes: UInt64 = 1 << 36
    static let largeBytes: UInt64 = 1 << 20

    let slot: Slot
    var areas: [MemoryArea] = []
    var breakStart: UInt64 = 0
    var breakEnd: UInt64 = 0

    init() throws(Errno) {
        slot = try Native.slot(Native.call(.vmSpaceCreate))
    }

    deinit { Native.delete(slot) }

    var memory: GuestMemory { GuestMemory(space: slot.value) }

    /// Index of the first area that ends behind `address`.
    func firstIndex(endingAfter address: UInt64) -> Int {
        var low = 0
        var high = areas.count
        while low < high {
            let middle = (low + high) / 2
            if areas[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func area(at address: UInt64) -> MemoryArea? {
        let index = firstIndex(endingAfter: address)
        return index < areas.count && areas[index].start <= address ? areas[index] : nil
    }

    /// Checks an allegation of a page-aligned start and any length; returns the end.
    static func checkRange(_ start: UInt64, _ length: UInt64) throws(Errno) -> UInt64 {
        guard start % pageSize == 0, length > 0, let size = pageCeiling(length) else {
            throw .EINVAL
        }
        let (end, overflow) = start.addingReportingOverflow(size)
        if overflow || start < lowest || end > top { throw .ENOMEM }
        return end
    }

    private var largePrivateBytes: UInt64 {
        let bytes = areas.reduce(UInt64(0)) { $0 + ($1.isLarge ? $1.length : 0) }
        return min(bytes, AddressSpace.maximumPrivateBytes)
    }

    /// Puts an area in place of whatever is there.
    func insert(_ area: MemoryArea) throws(Errno) {
        if areas.count >= AddressSpace.maximumAreas { throw .ENOMEM }
        if area.isLarge, area.length > AddressSpace.maximumPrivateBytes - largePrivateBytes {
            throw .ENOMEM
        }
        if let memory = area.memory {
            try Native.map(
                space: slot, address: area.start, length: area.length, pmo: memory.slot,
                offset: area.offset,
                protection: area.protection)
        } else {
            try unmapNative(area.start, area.length)
        }
        carve(area.start, area.end)
        areas.insert(area, at: firstIndex(endingAfter: area.start))
    }

    /// munmap(2).
    func remove(_ start: UInt64, _ end: UInt64) throws(Errno) {
        try unmapNative(start, end - start)
        carve(start, end)
    }

    private func unmapNative(_ start: UInt64, _ length: UInt64) throws(Errno) {
        try Native.check(Native.call(.unmap, UInt64(slot.value), start, length))
    }

    /// Removes a range from the list only.
    private func carve(_ start: UInt64, _ end: UInt64) {
        var index = firstIndex(endingAfter: start)
        while index < areas.count, areas[index].start < end {
            let old = areas.remove(at: index)
            if old.start < start {
                areas.insert(old.part(old.start, start), at: index)
                index += 1
            }
            if old.end > end {
                areas.insert(old.part(end, old.end), at: index)
                index += 1
            }
        }
    }

    /// True when every page of the range belongs to an area.
    func isCovered(_ start: UInt64, _ end: UInt64) -> Bool {
        var next = start
        var index = firstIndex(endingAfter: start)
        while next < end {
            guard index < areas.count, areas[index].start <= next else { return false }
            next = areas[index].end
            index += 1
        }
        return true
    }

    func isFree(_ start: UInt64, _ end: UInt64) -> Bool {
        let index = firstIndex(endingAfter: start)
        return index >= areas.count || areas[index].start >= end
    }

    /// Room for `length` bytes: at `hint` if it is free there, otherwise as high as possible below
    /// `mapTop`.
    func findRoom(_ length: UInt64, hint: UInt64) throws(Errno) -> UInt64 {
        let wish = pageFloor(hint)
        if wish != 0, let end = try? AddressSpace.checkRange(wish, length),
            end <= AddressSpace.mapTop,
            isFree(wish, end)
        {
            return wish
        }
        var ceiling = AddressSpace.mapTop
        var index = firstIndex(endingAfter: ceiling)
        while true {
            if index > 0 {
                let below = areas[index - 1]
                if ceiling >= below.end, ceiling - below.end >= length { return ceiling - length }
                ceiling = min(ceiling, below.start)
                index -= 1
            } else {
                if ceiling > AddressSpace.lowest, ceiling - AddressSpace.lowest >= length {
                    return ceiling - length
                }
                throw .ENOMEM
            }
        }
    }
}
