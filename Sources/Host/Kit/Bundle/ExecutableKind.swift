import SystemPackage

/// What kind of program a host file is, as far as starting it in the guest goes.
enum ExecutableKind: Equatable {
    /// ELF64 for x86-64 without an interpreter: static or static-PIE.
    case staticELF
    /// ELF64 for x86-64 that names this interpreter (ld.so).
    case dynamicELF(interpreter: String)
    /// A script with this interpreter after `#!`.
    case script(interpreter: String)

    /// Looks at the first bytes of a file (elf(5)).
    static func of(_ path: FilePath) throws(HostError) -> ExecutableKind {
        let bytes = try Files.read(path, limit: 65536)
        if bytes.starts(with: Array("#!".utf8)) { return try script(bytes, path) }
        func refuse(_ reason: String) -> HostError {
            .unsupportedProgram(path: path.string, reason: reason)
        }
        guard bytes.count >= 64, bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw refuse("it is neither an ELF program nor a script with #!")
        }
        guard bytes[4] == 2, bytes[5] == 1 else {
            throw refuse("it is not a 64-bit little-endian ELF program")
        }
        guard bytes.word16(18) == 62 else { throw refuse("it is not for x86-64") }
        guard bytes.word16(16) == 2 || bytes.word16(16) == 3 else {
            throw refuse("it is not executable ELF")
        }
        guard let interpreter = try interpreter(bytes, refuse) else { return .staticELF }
        return .dynamicELF(interpreter: interpreter)
    }

    /// Whether a file is an ELF program, marked executable, that a loader starts. Anything else, a
    /// library or text, needs nothing along with it.
    static func needsLoader(_ path: FilePath) -> Bool {
        guard let status = Files.status(path), status.isRegular, status.st_mode & 0o111 != 0,
            case .dynamicELF? = try? of(path)
        else { return false }
        return true
    }

    /// The path in the PT_INTERP segment, if there is one.
    private static func interpreter(
        _ bytes: [UInt8], _ refuse: (String) -> HostError
    ) throws(HostError) -> String? {
        let table = bytes.word64(32)
        let entrySize = UInt64(bytes.word16(54))
        for index in 0..<UInt64(bytes.word16(56)) {
            let (start, overflow) = table.addingReportingOverflow(index * entrySize)
            guard !overflow, entrySize >= 56, start <= UInt64(bytes.count - 56) else {
                throw refuse("its program header table is not in its first 64 KiB")
            }
            guard bytes.word32(Int(start)) == 3 else { continue }
            let offset = bytes.word64(Int(start) + 8)
            let size = bytes.word64(Int(start) + 32)
            guard size > 1, size < 4096, offset <= UInt64(bytes.count),
                size <= UInt64(bytes.count) - offset
            else {
                throw refuse("its interpreter name is not in its first 64 KiB")
            }
            let name = bytes[Int(offset)..<Int(offset + size)].prefix { $0 != 0 }
            return String(decoding: name, as: UTF8.self)
        }
        return nil
    }

    private static func script(_ bytes: [UInt8], _ path: FilePath) throws(HostError)
        -> ExecutableKind
    {
        let line = String(decoding: bytes.dropFirst(2).prefix { $0 != 10 }, as: UTF8.self)
        guard let word = line.split(whereSeparator: \.isWhitespace).first, word.first == "/" else {
            throw .unsupportedProgram(
                path: path.string, reason: "its first line names no absolute interpreter path")
        }
        return .script(interpreter: String(word))
    }
}

extension [UInt8] {
    fileprivate func word16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
    fileprivate func word32(_ at: Int) -> UInt32 {
        UInt32(word16(at)) | UInt32(word16(at + 2)) << 16
    }
    fileprivate func word64(_ at: Int) -> UInt64 {
        UInt64(word32(at)) | UInt64(word32(at + 4)) << 32
    }
}
