import Glibc

/// One member of a tar archive.
struct TarMember {
    enum Kind: Equatable {
        case regular, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
    }
    var kind = Kind.regular
    var name: [UInt8] = []
    /// Target of a symbolic link, name of the member that a hard link is another name of.
    var linkName: [UInt8] = []
    var permissions: UInt32 = 0
    var owner: UInt32 = 0
    var group: UInt32 = 0
    var size: UInt64 = 0
    var modifiedSeconds: Int64 = 0
    var modifiedNanoseconds: UInt32 = 0
    var device: UInt64 = 0
}

/// Reads a tar archive: ustar, GNU's long names and binary numbers, and pax headers (tar(5)). The
/// archive is not trusted: each number is checked, and each call goes on by at least a block.
struct TarReader {
    private static let block = 512
    /// Longest extended header or name.
    private static let longestText: UInt64 = 1 << 20
    private let stream: ArchiveStream
    private let path: String
    /// What the last member still has in the stream, its padding included.
    private var left: UInt64 = 0
    private var padding: UInt64 = 0

    init(_ stream: ArchiveStream, path: String) {
        self.stream = stream
        self.path = path
    }

    private func refuse(_ reason: String) -> HostError { .cannotRead(path: path, reason: reason) }

    /// The next member; nil at the end. What was not read of the last one is passed over.
    mutating func next() throws(HostError) -> TarMember? {
        var name: [UInt8]?
        var linkName: [UInt8]?
        var extended: [String: [UInt8]] = [:]
        while true {
            try skip(left + padding)
            guard let header = try headerBlock() else { return nil }
            var member = try decode(header)
            let type = header[156]
            left = member.size
            padding = (512 - left % 512) % 512
            switch type {
            case UInt8(ascii: "L"): name = try text()
            case UInt8(ascii: "K"): linkName = try text()
            case UInt8(ascii: "x"): extended = TarReader.records(try body())
            case UInt8(ascii: "g"): _ = try body()
            default:
                if let name { member.name = name }
                if let linkName { member.linkName = linkName }
                try apply(extended, to: &member)
                try setKind(type, of: &member)
                return member
            }
        }
    }

    /// Some bytes of the last member; 0 at its end.
    mutating func read(into bytes: UnsafeMutableRawBufferPointer) throws(HostError) -> Int {
        let wanted = Int(min(UInt64(bytes.count), left))
        if wanted == 0 { return 0 }
        let count = try stream.read(into: .init(rebasing: bytes[..<wanted]))
        if count == 0 { throw refuse("the archive ends early") }
        left -= UInt64(count)
        return count
    }

    private mutating func skip(_ count: UInt64) throws(HostError) {
        var rest = count
        var buffer = [UInt8](repeating: 0, count: Int(min(max(count, 1), 1 << 20)))
        while rest > 0 {
            let piece = Int(min(rest, UInt64(buffer.count)))
            try fill(&buffer, piece)
            rest -= UInt64(piece)
        }
        (left, padding) = (0, 0)
    }

    /// Exactly so many bytes. False: the stream had ended already, where it may.
    @discardableResult
    private func fill(_ buffer: inout [UInt8], _ count: Int, mayEnd: Bool = false)
        throws(HostError) -> Bool
    {
        var done = 0
        while done < count {
            var failure: HostError?
            let moved = buffer.withUnsafeMutableBytes { bytes -> Int in
                do throws(HostError) {
                    return try stream.read(into: .init(rebasing: bytes[done..<count]))
                } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { throw failure }
            if moved == 0 {
                if mayEnd && done == 0 { return false }
                throw refuse("the archive ends early")
            }
            done += moved
        }
        return true
    }

    /// nil at the two blocks of zeros that end an archive, or at the end of one that lacks them.
    private func headerBlock() throws(HostError) -> [UInt8]? {
        var header = [UInt8](repeating: 0, count: TarReader.block)
        guard try fill(&header, TarReader.block, mayEnd: true) else { return nil }
        if header.allSatisfy({ $0 == 0 }) {
            try stream.drain()
            return nil
        }
        var sum: UInt64 = 0
        for (index, byte) in header.enumerated() {
            sum += (148..<156).contains(index) ? 32 : UInt64(byte)
        }
        guard TarReader.number(header[148..<156]) == sum else {
            throw refuse("it is not a tar archive, or is damaged (checksum of a header)")
        }
        return header
    }

    private func decode(_ header: [UInt8]) throws(HostError) -> TarMember {
        func number(_ range: Range<Int>) throws(HostError) -> UInt64 {
            guard let value = TarReader.number(header[range]) else {
                throw refuse("a number in a header is not one")
            }
            return value
        }
        var member = TarMember()
        member.name = TarReader.text(header[0..<100])
        if header[257..<262].elementsEqual("ustar".utf8), header[262] == 0 {
            let prefix = TarReader.text(header[345..<500])
            if !prefix.isEmpty { member.name = prefix + [UInt8(ascii: "/")] + member.name }
        }
        member.permissions = UInt32(truncatingIfNeeded: try number(100..<108)) & 0o7777
        member.owner = UInt32(clamping: try number(108..<116))
        member.group = UInt32(clamping: try number(116..<124))
        member.size = try number(124..<136)
        member.modifiedSeconds = Int64(clamping: try number(136..<148))
        member.linkName = TarReader.text(header[157..<257])
        let type = header[156]
        if type == UInt8(ascii: "3") || type == UInt8(ascii: "4") {
            let major = UInt32(clamping: try number(329..<337))
            let minor = UInt32(clamping: try number(337..<345))
            member.device = TarReader.device(major, minor)
        }
        // Links, devices and directories have no bytes, whatever the field says.
        if type >= UInt8(ascii: "1") && type <= UInt8(ascii: "6") { member.size = 0 }
        guard member.size < 1 << 40 else { throw refuse("a member is larger than 1 TiB") }
        return member
    }

    private func setKind(_ type: UInt8, of member: inout TarMember) throws(HostError) {
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            // Before ustar a directory was a name with a slash at its end.
            member.kind = member.name.last == UInt8(ascii: "/") ? .directory : .regular
        case UInt8(ascii: "1"): member.kind = .hardLink
        case UInt8(ascii: "2"): member.kind = .symbolicLink
        case UInt8(ascii: "3"): member.kind = .characterDevice
        case UInt8(ascii: "4"): member.kind = .blockDevice
        case UInt8(ascii: "5"): member.kind = .directory
        case UInt8(ascii: "6"): member.kind = .fifo
        default:
            let name = String(decoding: member.name, as: UTF8.self)
            throw refuse("\(name) is of type '\(Character(UnicodeScalar(type)))', not supported")
        }
    }

    private mutating func body() throws(HostError) -> [UInt8] {
        guard left <= TarReader.longestText else { throw refuse("an extended header is too long") }
        var bytes = [UInt8](repeating: 0, count: Int(left))
        try fill(&bytes, bytes.count)
        left = 0
        return bytes
    }

    private mutating func text() throws(HostError) -> [UInt8] { TarReader.text(try body()[...]) }

    private mutating func apply(_ records: [String: [UInt8]], to member: inout TarMember)
        throws(HostError)
    {
        func number(_ key: String) throws(HostError) -> UInt64? {
            guard let text = records[key] else { return nil }
            guard let value = UInt64(String(decoding: text, as: UTF8.self)) else {
                throw refuse("a pax header has a bad \(key)")
            }
            return value
        }
        if records.keys.contains(where: { $0.hasPrefix("GNU.sparse.") }) {
            throw refuse("it has sparse members, which are not supported (tar without --sparse)")
        }
        if let path = records["path"] { member.name = path }
        if let path = records["linkpath"] { member.linkName = path }
        if let owner = try number("uid") { member.owner = UInt32(clamping: owner) }
        if let group = try number("gid") { member.group = UInt32(clamping: group) }
        if let time = records["mtime"] {
            let parts = String(decoding: time, as: UTF8.self).split(separator: ".")
            if let seconds = parts.first.flatMap({ Int64($0) }) { member.modifiedSeconds = seconds }
            let digits = parts.count > 1 ? parts[1].prefix(9) : ""
            let padded = digits + String(repeating: "0", count: 9 - digits.count)
            member.modifiedNanoseconds = UInt32(padded) ?? 0
        }
        if let size = try number("size") {
            guard size < 1 << 40 else { throw refuse("a member is larger than 1 TiB") }
            member.size = size
            left = size
            padding = (512 - size % 512) % 512
        }
    }
}

extension TarReader {
    /// Octal digits, or GNU's binary form (first bit set). nil: neither.
    static func number(_ field: ArraySlice<UInt8>) -> UInt64? {
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 {
            var value = UInt64(first & 0x7F)
            for byte in field.dropFirst() {
                if value >> 56 != 0 { return nil }
                value = value << 8 | UInt64(byte)
            }
            return value
        }
        var value: UInt64 = 0
        let digits = field.drop { $0 == 32 }.prefix { $0 != 0 && $0 != 32 }
        for digit in digits {
            guard digit >= 0x30, digit <= 0x37 else { return nil }
            value = value << 3 | UInt64(digit - 0x30)
        }
        return value
    }

    /// makedev(3).
    static func device(_ major: UInt32, _ minor: UInt32) -> UInt64 {
        UInt64(major & 0xFFF) << 8 | UInt64(major & ~0xFFF) << 32 | UInt64(minor & 0xFF)
            | UInt64(minor & ~0xFF) << 12
    }

    static func text(_ field: ArraySlice<UInt8>) -> [UInt8] { Array(field.prefix { $0 != 0 }) }

    /// `LENGTH KEY=VALUE\n` records of a pax header. A record that is none ends the list.
    static func records(_ bytes: [UInt8]) -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        var rest = bytes[...]
        while let space = rest.firstIndex(of: 32),
            let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
            length > space - rest.startIndex + 2, length <= rest.count
        {
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            rest = rest[(rest.startIndex + length)...]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else { break }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            result[key] = Array(record[(equals + 1)...])
        }
        return result
    }
}
