import ABI

/// Reads the first entry of a cpio archive in newc form (cpio(5)): 110 bytes of header in
/// hexadecimal, the name, the data, each padded to 4 bytes. Checks every length against the
/// archive.
struct BundleReader {
    private let bytes: UnsafeRawBufferPointer
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private func hex(at offset: Int) throws(NativeError) -> Int {
        var value = 0
        for index in offset..<(offset + 8) {
            switch bytes[index] {
            case let digit where digit >= 48 && digit <= 57: value = value << 4 | Int(digit - 48)
            case let digit where digit >= 65 && digit <= 70: value = value << 4 | Int(digit - 55)
            case let digit where digit >= 97 && digit <= 102: value = value << 4 | Int(digit - 87)
            default: throw .badArgument
            }
        }
        return value
    }

    func firstFile() throws(NativeError) -> UnsafeRawBufferPointer {
        let header = 110
        guard bytes.count >= header, bytes[0] == 0x30, bytes[1] == 0x37, bytes[5] == 0x31 else {
            throw .badArgument
        }
        let size = try hex(at: 54)
        let nameSize = try hex(at: 94)
        let start = (header + nameSize + 3) / 4 * 4
        guard start <= bytes.count, size <= bytes.count - start else { throw .badArgument }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<(start + size)])
    }
}

/// A static ELF64 executable for x86-64, checked field by field.
struct ProgramImage {
    struct Segment {
        var address: UserAddress
        var memorySize: UInt64
        var content: UnsafeRawBufferPointer
        var protection: Protection
    }
    private let bytes: UnsafeRawBufferPointer
    let entry: UInt64
    let segmentCount: Int
    private let table: Int

    init(_ bytes: UnsafeRawBufferPointer) throws(NativeError) {
        self.bytes = bytes
        guard bytes.count >= 64, bytes.loadUnaligned(as: UInt32.self) == 0x464C_457F, bytes[4] == 2,
            bytes.loadUnaligned(fromByteOffset: 16, as: UInt16.self) == 2,
            bytes.loadUnaligned(fromByteOffset: 18, as: UInt16.self) == 62
        else { throw .badArgument }
        entry = bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        let offset = bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        segmentCount = Int(bytes.loadUnaligned(fromByteOffset: 56, as: UInt16.self))
        guard bytes.loadUnaligned(fromByteOffset: 54, as: UInt16.self) == 56,
            entry < UserAddress.limit.value,
            offset <= UInt64(bytes.count), segmentCount * 56 <= bytes.count - Int(offset)
        else { throw .badArgument }
        table = Int(offset)
    }

    /// A loadable segment, or nil for another kind.
    func segment(_ index: Int) throws(NativeError) -> Segment? {
        let header = table + index * 56
        guard bytes.loadUnaligned(fromByteOffset: header, as: UInt32.self) == 1 else { return nil }
        let flags = bytes.loadUnaligned(fromByteOffset: header + 4, as: UInt32.self)
        let offset = bytes.loadUnaligned(fromByteOffset: header + 8, as: UInt64.self)
        let address = bytes.loadUnaligned(fromByteOffset: header + 16, as: UInt64.self)
        let fileSize = bytes.loadUnaligned(fromByteOffset: header + 32, as: UInt64.self)
        let memorySize = bytes.loadUnaligned(fromByteOffset: header + 40, as: UInt64.self)
        let count = UInt64(bytes.count)
        guard offset <= count, fileSize <= count - offset, fileSize <= memorySize, memorySize > 0,
            memorySize <= 1 << 32, address >= UserAddress.lowest.value, address < 1 << 40
        else { throw .badArgument }
        var protection: Protection = []
        if flags & 4 != 0 { protection.insert(.read) }
        if flags & 2 != 0 { protection.insert(.write) }
        if flags & 1 != 0 { protection.insert(.execute) }
        return Segment(
            address: UserAddress(address), memorySize: memorySize,
            content: UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<Int(offset + fileSize)]),
            protection: protection)
    }
}
