import ABI

/// What a new program finds on its stack (System V x86-64 ABI 3.4.1; getauxval(3)).
struct ProgramStack {
    /// Bytes of arguments and environment together: a quarter of the stack (execve(2)).
    static let argumentLimit = 2 << 20

    var arguments: [Bytes]
    var environment: [Bytes]
    var executableName: Bytes
    var random: Bytes
    var identity: Identity
    var image: LoadedImage
    var interpreterBase: UInt64
    var isSecure = false

    struct Result {
        let stackPointer: UInt64
        let arguments: (start: UInt64, end: UInt64)
        let environment: (start: UInt64, end: UInt64)
    }

    /// Lays everything out below `top` and writes it.
    func write(to memory: GuestMemory, top: UInt64) throws(Errno) -> Result {
        var strings = Bytes()
        let argumentOffsets = ProgramStack.append(arguments, to: &strings)
        let argumentBytes = UInt64(strings.count)
        let environmentOffsets = ProgramStack.append(environment, to: &strings)
        let environmentEnd = UInt64(strings.count)
        let nameOffset = UInt64(strings.count)
        strings.append(contentsOf: executableName + [0])
        let platformOffset = UInt64(strings.count)
        strings.append(contentsOf: Bytes("x86_64") + [0])
        let randomOffset = UInt64(strings.count)
        strings.append(contentsOf: random)
        guard strings.count <= ProgramStack.argumentLimit else { throw .E2BIG }

        let base = (top &- 8 &- UInt64(strings.count)) & ~15
        let auxiliary = auxiliaryVector(
            name: base &+ nameOffset, platform: base &+ platformOffset, random: base &+ randomOffset
        )
        let words = 1 + arguments.count + 1 + environment.count + 1 + auxiliary.count * 2
        let pointer = (base &- UInt64(words * 8)) & ~15
        var table = ByteWriter(capacity: words * 8)
        table.put64(UInt64(arguments.count))
        for offset in argumentOffsets { table.put64(base &+ offset) }
        table.put64(UInt64(0))
        for offset in environmentOffsets { table.put64(base &+ offset) }
        table.put64(UInt64(0))
        for (key, value) in auxiliary {
            table.put64(key)
            table.put64(value)
        }
        try memory.write(strings, to: base)
        try memory.write(table.bytes, to: pointer)
        return Result(
            stackPointer: pointer, arguments: (base, base &+ argumentBytes),
            environment: (base &+ argumentBytes, base &+ environmentEnd))
    }

    private static func append(_ list: [Bytes], to strings: inout Bytes) -> [UInt64] {
        var offsets: [UInt64] = []
        for text in list {
            offsets.append(UInt64(strings.count))
            strings.append(contentsOf: text)
            strings.append(0)
        }
        return offsets
    }

    /// AT_* pairs. No AT_SYSINFO_EHDR: there is no vDSO yet.
    private func auxiliaryVector(name: UInt64, platform: UInt64, random: UInt64) -> [(
        UInt64, UInt64
    )] {
        [
            (16, 0x178B_FBFF),  // AT_HWCAP: CPUID leaf 1 edx of any x86-64 processor
            (6, pageSize),  // AT_PAGESZ
            (17, 100),  // AT_CLKTCK
            (3, image.headerAddress),  // AT_PHDR
            (4, UInt64(ElfImage.programHeaderBytes)),  // AT_PHENT
            (5, UInt64(image.headerCount)),  // AT_PHNUM
            (7, interpreterBase),  // AT_BASE
            (8, 0),  // AT_FLAGS
            (9, image.entry),  // AT_ENTRY
            (11, UInt64(identity.realUser)), (12, UInt64(identity.effectiveUser)),
            (13, UInt64(identity.realGroup)), (14, UInt64(identity.effectiveGroup)),
            (23, isSecure ? 1 : 0),  // AT_SECURE
            (25, random),  // AT_RANDOM
            (26, 0),  // AT_HWCAP2
            (31, name),  // AT_EXECFN
            (15, platform),  // AT_PLATFORM
            (0, 0),
        ]
    }
}
