/// One member of a cpio archive.
struct CpioMember {
    /// Where its header starts in the archive.
    var offset: UInt64 = 0
    /// Path without leading "/" or "./"; empty for the root directory itself.
    var name: Bytes = []
    var mode: UInt32 = 0
    var owner: UInt32 = 0
    var group: UInt32 = 0
    var linkCount: UInt32 = 0
    var modifiedSeconds: UInt32 = 0
    var deviceNumber: UInt64 = 0
    /// What two names of one inode have in common: inode and device fields, as they are in the
    /// header.
    var identity: Bytes = []
    var dataOffset: UInt64 = 0
    var size: UInt64 = 0
}

/// Reads a cpio archive of format "newc": per member a header of 110 bytes (magic, thirteen numbers
/// of eight hexadecimal digits), the name, the data, each padded to four bytes; the last is named
/// "TRAILER!!!".
///
/// The archive is not trusted: every number is checked before it is used, and each call goes on by
/// at least a header, so reading ends.
struct CpioReader {
    private let archive: FileContents
    private var offset: UInt64 = 0

    static let headerSize: UInt64 = 110
    private static let longestName = UInt32(PathLimit.path)

    init(_ archive: FileContents) { self.archive = archive }

    /// The next member; nil at the trailer.
    mutating func next() throws(ArchiveError) -> CpioMember? {
        let header = CpioHeader(bytes: try read(offset, CpioReader.headerSize), offset: offset)
        try header.checkMagic()
        var member = try header.member()
        let nameSize = try header.field(11)
        guard nameSize > 1, nameSize <= CpioReader.longestName else {
            throw ArchiveError(.badName, offset: offset)
        }
        // No sum below can overflow: offset <= archive size + 3, and the sizes are below 2^32.
        let nameOffset = offset + CpioReader.headerSize
        let raw = try read(nameOffset, UInt64(nameSize))
        guard raw.last == 0, raw.firstIndex(of: 0) == raw.count - 1 else {
            throw ArchiveError(.badName, offset: offset)
        }
        if raw.dropLast().elementsEqual(Bytes.text("TRAILER!!!")) { return nil }
        member.name = CpioReader.normalized(raw.dropLast())
        member.dataOffset = CpioReader.padded(nameOffset + UInt64(nameSize))
        let end = member.dataOffset + member.size
        guard end <= archive.size else { throw ArchiveError(.truncated, offset: offset) }
        offset = CpioReader.padded(end)
        return member
    }

    private func read(_ place: UInt64, _ count: UInt64) throws(ArchiveError) -> Bytes {
        do throws(Errno) {
            let bytes = try archive.readBytes(offset: place, count: Int(count))
            guard bytes.count == Int(count) else { throw .EIO }
            return bytes
        } catch {
            throw ArchiveError(error == .EIO ? .truncated : .refused(error), offset: offset)
        }
    }

    private static func padded(_ place: UInt64) -> UInt64 { (place + 3) & ~3 }

    /// Without leading "/" and "./", so that "./a", "/a" and "a" are one name.
    private static func normalized(_ name: ArraySlice<UInt8>) -> Bytes {
        var rest = name
        while let first = rest.first {
            if first == .slash || (first == .dot && rest.count == 1) {
                rest = rest.dropFirst()
            } else if first == .dot, rest[rest.startIndex + 1] == .slash {
                rest = rest.dropFirst(2)
            } else {
                break
            }
        }
        return Bytes(rest)
    }
}

/// The 110 bytes in front of a member.
private struct CpioHeader {
    let bytes: Bytes
    let offset: UInt64

    func checkMagic() throws(ArchiveError) {
        guard bytes.hasPrefix("070701") else { throw ArchiveError(.notNewc, offset: offset) }
    }

    /// The numbered field, 0...12, behind the magic number.
    func field(_ index: Int) throws(ArchiveError) -> UInt32 {
        var value: UInt32 = 0
        for byte in bytes[6 + 8 * index..<14 + 8 * index] {
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x37
            case 0x61...0x66: digit = byte - 0x57
            default: throw ArchiveError(.badNumber, offset: offset)
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// Everything but the name and the place of the data.
    func member() throws(ArchiveError) -> CpioMember {
        var member = CpioMember()
        member.offset = offset
        member.mode = try field(1)
        member.owner = try field(2)
        member.group = try field(3)
        member.linkCount = try field(4)
        member.modifiedSeconds = try field(5)
        member.size = UInt64(try field(6))
        member.deviceNumber = DeviceNumber.make(try field(9), try field(10))
        member.identity = Bytes(bytes[6..<14]) + bytes[62..<78]
        return member
    }
}
