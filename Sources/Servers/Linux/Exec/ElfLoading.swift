import ABI

/// Where an image was put.
struct LoadedImage {
    let bias: UInt64
    let entry: UInt64
    let headerAddress: UInt64
    let headerCount: Int
    /// End of the last segment: the heap begins behind it.
    let end: UInt64
}

extension AddressSpace {
    /// Maps an image's segments. Read-only ones show the file's own pages; writable ones are
    /// copies.
    func load(_ image: ElfImage, _ file: FileMapping, base: UInt64) throws(Errno) -> LoadedImage {
        let span = image.span
        let bias = image.isRelocatable ? base &- span.start : 0
        let (end, overflow) = span.end.addingReportingOverflow(bias)
        guard !overflow, span.start &+ bias >= AddressSpace.lowest, end <= AddressSpace.mapTop,
            image.isRelocatable || span.end < AddressSpace.mapTop
        else { throw .ENOEXEC }
        for segment in image.segments where segment.memorySize > 0 {
            try load(segment, file, bias: bias)
        }
        return LoadedImage(
            bias: bias, entry: image.entry &+ bias, headerAddress: image.headerAddress &+ bias,
            headerCount: image.headerCount, end: end)
    }

    private func load(_ segment: ElfImage.Segment, _ file: FileMapping, bias: UInt64) throws(Errno)
    {
        guard let contents = file.inode.contents else { throw .ENOEXEC }
        let skew = segment.address % pageSize
        let start = segment.pageStart &+ bias
        var area = MemoryArea(
            start: start, end: segment.pageEnd &+ bias, protection: segment.protection, file: file)
        area.fileOffset = pageFloor(segment.fileOffset)
        let fileEnd = pageCeiling(segment.address &+ segment.fileSize) ?? 0
        if !segment.protection.contains(.write), segment.fileSize > 0, fileEnd == segment.pageEnd {
            area.memory = try contents.mappable(bytes: segment.fileOffset &+ segment.fileSize)
            area.offset = area.fileOffset
            area.isFileView = true
        } else {
            let memory = try MemoryObject(pageCount: area.length / pageSize)
            let wanted = segment.fileSize &+ skew
            if segment.fileSize > 0 {
                let moved = try contents.read(
                    offset: area.fileOffset, count: wanted, to: memory.reference(0))
                if moved < wanted { throw .ENOEXEC }
            }
            area.memory = memory
        }
        try insert(area)
    }
}
