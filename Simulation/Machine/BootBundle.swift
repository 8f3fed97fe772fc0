/// The smallest boot bundle: a cpio archive with one ELF executable of one page, which is never
/// really executed: the simulation decides what its instructions do.
enum BootBundle {
    static let entry: UInt64 = 0x40_0000

    static let bytes: [UInt8] = cpio(elf)
    /// The same with so much behind it that a store of the least size has hardly a frame left.
    static let filling: [UInt8] = bytes + Array(repeating: 0x5A, count: 408 * 4_096)

    private static var elf: [UInt8] {
        var image: [UInt8] = []
        func add(_ value: UInt64, _ size: Int) {
            for byte in 0..<size {
                image.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)))
            }
        }
        // ELF header: 64-bit, little endian, executable, x86-64, one program header at 64.
        image = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + Array(repeating: 0, count: 8)
        add(2, 2)
        add(62, 2)
        add(1, 4)
        add(entry, 8)
        add(64, 8)
        add(0, 8)
        add(0, 4)
        add(64, 2)
        add(56, 2)
        add(1, 2)
        add(0, 6)
        // PT_LOAD, read and execute, all of the file's 64 + 56 + 8 bytes.
        add(1, 4)
        add(5, 4)
        add(0, 8)
        add(entry, 8)
        add(entry, 8)
        add(128, 8)
        add(128, 8)
        add(4_096, 8)
        add(0x9090_9090_9090_9090, 8)
        return image
    }

    private static func cpio(_ file: [UInt8]) -> [UInt8] {
        let name = Array(".evertree/server".utf8) + [0]
        func hex(_ value: Int) -> [UInt8] {
            let digits = String(value, radix: 16, uppercase: true)
            return Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        var archive = Array("070701".utf8)
        let fields = [1, 0o100755, 0, 0, 1, 0, file.count, 0, 0, 0, 0, name.count, 0]
        for field in fields { archive += hex(field) }
        archive += name
        while archive.count % 4 != 0 { archive.append(0) }
        archive += file
        while archive.count % 4 != 0 { archive.append(0) }
        return archive
    }
}
