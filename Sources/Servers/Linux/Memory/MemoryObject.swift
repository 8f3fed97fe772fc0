import ABI

/// A PMO that the server owns: its capability goes when the last area or file that uses it goes.
final class MemoryObject {
    let slot: Slot
    private(set) var pageCount: UInt64

    /// An anonymous PMO. Pages cost nothing before they are touched.
    init(pageCount: UInt64) throws(Errno) {
        slot = try Native.slot(Native.call(.pmoCreate, pageCount))
        self.pageCount = pageCount
    }

    /// Shows pages of the store's image until they are written.
    init(showing image: MemoryObject, firstPage: UInt64, pageCount: UInt64) throws(Errno) {
        let made = Native.call(.pmoOfImage, UInt64(image.slot.value), firstPage, pageCount)
        slot = try Native.slot(made)
        self.pageCount = pageCount
    }

    /// Takes over a capability that the server was given.
    init(slot: Slot, pageCount: UInt64) {
        self.slot = slot
        self.pageCount = pageCount
    }

    deinit { Native.delete(slot) }

    func resize(pageCount: UInt64) throws(Errno) {
        try Native.check(Native.call(.pmoResize, UInt64(slot.value), pageCount))
        self.pageCount = pageCount
    }

    /// Gives whole pages back; they read as zeros afterwards.
    func decommit(firstPage: UInt64, pageCount: UInt64) throws(Errno) {
        var first = firstPage
        let end = firstPage &+ pageCount
        while first < end {
            let done = Native.call(.pmoDecommit, UInt64(slot.value), first, end &- first)
            try Native.check(done)
            if done == 0 { throw .EIO }
            first = first &+ UInt64(done)
        }
    }

    func reference(_ offset: UInt64) -> MemoryReference {
        MemoryReference(slot: slot.value, address: offset)
    }

    /// A PMO of its own with the same bytes. Pages that are absent here stay absent there.
    func copy(offset: UInt64, length: UInt64, from start: UInt64) throws(Errno) -> MemoryObject {
        let copy = try MemoryObject(pageCount: length / pageSize)
        let skipped = min(start, length)
        let moved = Native.copy(
            to: copy.reference(skipped), from: reference(offset &+ skipped),
            length: length &- skipped)
        if moved < length &- skipped { throw .ENOMEM }
        return copy
    }
}

/// A length or address rounded up to whole pages; nil when it does not fit.
func pageCeiling(_ value: UInt64) -> UInt64? {
    let (sum, overflow) = value.addingReportingOverflow(pageSize - 1)
    return overflow ? nil : sum & ~(pageSize - 1)
}

func pageFloor(_ value: UInt64) -> UInt64 { value & ~(pageSize - 1) }
