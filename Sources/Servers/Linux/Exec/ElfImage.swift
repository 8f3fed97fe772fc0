import ABI

/// The parts of an ELF64 file that execve(2) needs (elf(5)). Everything in the file is an
/// allegation: what does not fit together is ENOEXEC.
struct ElfImage {
    struct Segment {
        let address: UInt64
        let fileOffset: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
        let protection: Protection

        var pageStart: UInt64 { pageFloor(address) }
        /// End of the pages; checked when the image was read.
        var pageEnd: UInt64 { pageCeiling(address &+ memorySize) ?? 0 }
    }

    static let headerBytes = 64
    static let programHeaderBytes = 56
    static let maximumProgramHeaders = 128

    let entry: UInt64
    /// ET_DYN: may be loaded anywhere.
    let isRelocatable: Bool
    let segments: [Segment]
    let interpreter: Bytes?
    /// Address of the program headers in memory, before relocation.
    let headerAddress: UInt64
    let headerCount: Int
    let isStackExecutable: Bool

    init(_ contents: FileContents) throws(Errno) {
        let header = try contents.readBytes(offset: 0, count: ElfImage.headerBytes)
        guard header.count == ElfImage.headerBytes, header.load32(0) == 0x464C_457F, header[4] == 2,
            header[5] == 1,
            header.load16(18) == 62, header.load16(16) == 2 || header.load16(16) == 3,
            header.load16(54) == UInt16(ElfImage.programHeaderBytes)
        else { throw .ENOEXEC }
        entry = header.load64(24)
        isRelocatable = header.load16(16) == 3
        headerCount = Int(header.load16(56))
        guard headerCount > 0, headerCount <= ElfImage.maximumProgramHeaders else { throw .ENOEXEC }
        let tableOffset = header.load64(32)
        guard tableOffset < PMOContents.maximumSize else { throw .ENOEXEC }
        let table = try contents.readBytes(
            offset: tableOffset, count: headerCount * ElfImage.programHeaderBytes)
        guard table.count == headerCount * ElfImage.programHeaderBytes else { throw .ENOEXEC }

        var segments: [Segment] = []
        var interpreter: Bytes?
        var headers: UInt64 = 0
        var executableStack = true
        for index in 0..<headerCount {
            let at = index * ElfImage.programHeaderBytes
            switch table.load32(at) {
            case 1: segments.append(try ElfImage.segment(table, at, contents.size))
            case 3: interpreter = try ElfImage.interpreter(table, at, contents)
            case 6: headers = table.load64(at + 16)
            case 0x6474_E551: executableStack = table.load32(at + 4) & 1 != 0
            default: break
            }
        }
        try ElfImage.checkOrder(segments)
        if headers == 0,
            let first = segments.first(where: { tableOffset &- $0.fileOffset < $0.fileSize })
        {
            headers = first.address &+ (tableOffset &- first.fileOffset)
        }
        self.segments = segments
        self.interpreter = interpreter
        headerAddress = headers
        isStackExecutable = executableStack
    }

    private static func segment(_ table: Bytes, _ at: Int, _ fileSize: UInt64) throws(Errno)
        -> Segment
    {
        let flags = table.load32(at + 4)
        var protection: Protection = []
        if flags & 1 != 0 { protection.insert(.execute) }
        if flags & 2 != 0 { protection.insert(.write) }
        if flags & 4 != 0 { protection.insert(.read) }
        if protection.contains(.write) { protection.insert(.read) }
        let segment = Segment(
            address: table.load64(at + 16), fileOffset: table.load64(at + 8),
            fileSize: table.load64(at + 32),
            memorySize: table.load64(at + 40), protection: protection)
        guard segment.fileSize <= segment.memorySize, segment.memorySize < AddressSpace.top,
            segment.address < AddressSpace.top, segment.fileOffset <= fileSize,
            segment.fileSize <= fileSize - segment.fileOffset,
            segment.address % pageSize == segment.fileOffset % pageSize,
            segment.address &+ segment.memorySize < AddressSpace.top
        else { throw .ENOEXEC }
        return segment
    }

    private static func interpreter(_ table: Bytes, _ at: Int, _ contents: FileContents)
        throws(Errno) -> Bytes
    {
        let size = table.load64(at + 32)
        guard size > 1, size <= 4096 else { throw .ENOEXEC }
        var name = try contents.readBytes(offset: table.load64(at + 8), count: Int(size))
        guard name.count == Int(size), name.popLast() == 0 else { throw .ENOEXEC }
        return name
    }

    private static func checkOrder(_ segments: [Segment]) throws(Errno) {
        guard !segments.isEmpty else { throw .ENOEXEC }
        for index in 1..<max(1, segments.count)
        where segments[index].address < segments[index - 1].address
            &+ segments[index - 1].memorySize
        {
            throw .ENOEXEC
        }
    }

    /// First and last address of all segments' pages.
    var span: (start: UInt64, end: UInt64) {
        (segments.first?.pageStart ?? 0, segments.last?.pageEnd ?? 0)
    }
}
