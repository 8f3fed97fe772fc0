import ABI

/// A regular file's bytes in a PMO, so that programs run straight from the file's pages and read(2)
/// is one copy.
///
/// Bytes that came with the store's image stay there until they are written or mapped.
///
/// Invariants: bytes of the PMO at and after `size` are zero; there is a PMO, or a place in the
/// image, or neither, and then the file is empty or all zeros.
final class PMOContents: FileContents {
    /// Larger files fail with EFBIG: 64 GiB.
    static let maximumSize: UInt64 = 1 << 36

    private var memory: MemoryObject?
    private var byteCount: UInt64 = 0
    private var image: ImagePlace?

    private struct ImagePlace {
        let memory: MemoryObject
        let firstPage: UInt64
    }

    override init() { super.init() }

    /// Contents that are in the store's image.
    init(image: MemoryObject, at extent: FileSystem.Extent) {
        if extent.size > 0 { self.image = ImagePlace(memory: image, firstPage: extent.firstPage) }
        byteCount = extent.size
        super.init()
    }

    /// Where a byte can be read; nil when the file has only zeros.
    private func place(_ offset: UInt64) -> MemoryReference? {
        if let image { return image.memory.reference(image.firstPage * pageSize + offset) }
        return memory?.reference(offset)
    }

    /// Contents that are in a PMO already (the boot bundle).
    init(memory: MemoryObject, size: UInt64) {
        self.memory = memory
        byteCount = size
        super.init()
    }

    override var size: UInt64 { byteCount }

    override func mappable(bytes: UInt64) throws(Errno) -> MemoryObject { try reserve(bytes) }

    override func readBytes(offset: UInt64, count: Int) throws(Errno) -> Bytes {
        guard let place = place(offset), offset < byteCount, count > 0 else { return [] }
        let room = Int(truncatingIfNeeded: min(byteCount - offset, UInt64(Int.max)))
        return try GuestMemory(space: place.slot).read(place.address, count: min(count, room))
    }

    override func writeBytes(_ bytes: Bytes, offset: UInt64) throws(Errno) {
        let end = try grow(offset: offset, count: UInt64(bytes.count))
        guard let memory, !bytes.isEmpty else { return }
        try GuestMemory(space: memory.slot.value).write(bytes, to: offset)
        byteCount = max(byteCount, end)
    }

    override func truncate(to size: UInt64) throws(Errno) {
        if size > PMOContents.maximumSize { throw .EFBIG }
        if size == 0 { image = nil }
        if image != nil, size != byteCount { _ = try reserve(byteCount) }
        if size < byteCount, let memory {
            try clear(memory, from: size, to: byteCount)
        } else if size > byteCount {
            _ = try reserve(size)
        }
        byteCount = size
    }

    override func append(from source: FileContents, offset: UInt64, count: UInt64) throws(Errno) {
        var done: UInt64 = 0
        while done < count {
            let end = try grow(offset: byteCount, count: min(count &- done, 1 << 20))
            guard let memory else { return }
            let part = end &- byteCount
            let moved = try source.read(
                offset: offset &+ done, count: part, to: memory.reference(byteCount))
            byteCount = byteCount &+ moved
            done = done &+ moved
            if moved == 0 { throw .EIO }
        }
    }

    override func read(offset: UInt64, count: UInt64, to target: MemoryReference) throws(Errno)
        -> UInt64
    {
        guard let place = place(offset), offset < byteCount, count > 0 else { return 0 }
        let wanted = min(count, byteCount - offset)
        let moved = Native.copy(to: target, from: place, length: wanted)
        if moved == 0 { throw .EFAULT }
        return moved
    }

    override func write(offset: UInt64, count: UInt64, from source: MemoryReference) throws(Errno)
        -> UInt64
    {
        if count == 0 { return 0 }
        _ = try grow(offset: offset, count: count)
        guard let memory else { throw .EIO }
        let moved = Native.copy(to: memory.reference(offset), from: source, length: count)
        if moved == 0 { throw .EFAULT }
        byteCount = max(byteCount, offset &+ moved)
        return moved
    }

    override func zero(from start: UInt64, to end: UInt64) throws(Errno) {
        let end = min(end, byteCount)
        guard let memory, start < end else { return }
        let last = end == byteCount ? end : pageFloor(end)
        if start < last { try clear(memory, from: start, to: last) }
        let rest = max(start, last)
        if rest < end {
            let zeros = Bytes(repeating: 0, count: Int(truncatingIfNeeded: end - rest))
            try GuestMemory(space: memory.slot.value).write(zeros, to: rest)
        }
    }

    override func collapse(from start: UInt64, to end: UInt64) throws(Errno) {
        if let memory {
            let count = byteCount - end
            let moved = Native.copy(
                to: memory.reference(start), from: memory.reference(end), length: count)
            if moved < count { throw .ENOSPC }
        }
        try truncate(to: byteCount - (end - start))
    }

    override func insert(at start: UInt64, count: UInt64) throws(Errno) {
        let old = byteCount
        let (size, overflow) = old.addingReportingOverflow(count)
        if overflow || size > PMOContents.maximumSize { throw .EFBIG }
        try truncate(to: size)
        guard let memory else { return }
        // From the end, in pieces that do not overlap where they go.
        var end = old
        while end > start {
            let piece = min(end - start, count, 1 << 18)
            let from = end - piece
            let moved = Native.copy(
                to: memory.reference(from + count), from: memory.reference(from), length: piece)
            if moved < piece { throw .ENOSPC }
            end = from
        }
        try zero(from: start, to: start + count)
    }

    override func release() {
        memory = nil
        image = nil
        byteCount = 0
    }

    /// Makes room for a write; returns its end.
    private func grow(offset: UInt64, count: UInt64) throws(Errno) -> UInt64 {
        let (end, overflow) = offset.addingReportingOverflow(count)
        if overflow || end > PMOContents.maximumSize { throw .EFBIG }
        _ = try reserve(end)
        return end
    }

    private func reserve(_ bytes: UInt64) throws(Errno) -> MemoryObject {
        if let image {
            memory = try MemoryObject(
                showing: image.memory, firstPage: image.firstPage,
                pageCount: (byteCount &+ pageSize &- 1) / pageSize)
            self.image = nil
        }
        let needed = max(1, (bytes &+ pageSize &- 1) / pageSize)
        if let memory {
            if needed > memory.pageCount {
                try memory.resize(
                    pageCount: max(needed, min(memory.pageCount * 2, memory.pageCount + 16384)))
            }
            return memory
        }
        let fresh = try MemoryObject(pageCount: needed)
        memory = fresh
        return fresh
    }

    /// Zeros a range: partial first page by writing, the rest by decommitting.
    private func clear(_ memory: MemoryObject, from start: UInt64, to end: UInt64) throws(Errno) {
        let boundary = min((start &+ pageSize &- 1) & ~(pageSize - 1), memory.pageCount * pageSize)
        if start < boundary {
            let zeros = Bytes(repeating: 0, count: Int(truncatingIfNeeded: boundary - start))
            try GuestMemory(space: memory.slot.value).write(zeros, to: start)
        }
        let first = boundary / pageSize
        let last = min((end &+ pageSize &- 1) / pageSize, memory.pageCount)
        if first < last { try memory.decommit(firstPage: first, pageCount: last - first) }
    }
}
