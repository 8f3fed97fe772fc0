import ABI

/// Boot bundles: a cpio archive whose first file is a static ELF.
enum BootFile {
    static let programAddress: UInt64 = 0x40_0000

    /// A program of one page.
    static let plain = archive(of: program)

    static let program: [UInt8] = {
        var elf = [UInt8](repeating: 0, count: 256)
        func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
            for byte in 0..<MemoryLayout<T>.size {
                elf[offset + byte] = UInt8(truncatingIfNeeded: value >> T(byte * 8))
            }
        }
        put(UInt32(0x464C_457F), 0)
        elf[4] = 2
        put(UInt16(2), 16)
        put(UInt16(62), 18)
        put(programAddress, 24)
        put(UInt64(64), 32)
        put(UInt16(56), 54)
        put(UInt16(1), 56)
        put(UInt32(1), 64)
        put(UInt32(7), 68)
        put(programAddress, 80)
        put(UInt64(256), 96)
        put(UInt64(4096), 104)
        return elf
    }()

    static func archive(of file: some Collection<UInt8>) -> [UInt8] {
        let name = Array((Bundle.serverPath + "\0").utf8)
        let fields = [0, 0o100755, 0, 0, 1, 0, file.count, 0, 0, 0, 0, name.count, 0]
        var archive = Array("070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16)
            archive += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        archive += name
        while archive.count % 4 != 0 { archive.append(0) }
        return archive + file
    }
}
