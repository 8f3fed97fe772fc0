import ABI

@testable import LinuxServer

/// Files that the Linux server reads without trusting them: ELF executables (execve) and the boot
/// archive (cpio). Whatever is in them, the answer is an error number or something sound.
final class FileTarget: FuzzTarget {
    private var files: UInt64 = 0
    private var images: UInt64 = 0
    private var archives: UInt64 = 0
    private var trees: UInt64 = 0

    var counters: [(name: String, value: UInt64)] {
        [
            ("files", files), ("executables accepted", images), ("archives accepted", archives),
            ("store images accepted", trees),
        ]
    }

    func run(_ input: inout Input) {
        files += 1
        switch input.byte() % 5 {
        case 0: execute(Array(input.rest))
        case 1: execute(executable(&input))
        case 2: unpack(Array(input.rest))
        case 3: populate(image(&input))
        default: unpack(archive(&input))
        }
    }

    // MARK: Executables

    private func execute(_ bytes: [UInt8]) {
        guard let image = try? ElfImage(ByteArrayContents(bytes)) else { return }
        images += 1
        var last: UInt64 = 0
        for segment in image.segments {
            let isSound =
                segment.address >= last && segment.memorySize < AddressSpace.top
                && segment.address + segment.memorySize < AddressSpace.top
                && segment.fileSize <= segment.memorySize
                && segment.fileOffset + segment.fileSize <= UInt64(bytes.count)
                && segment.pageStart <= segment.address
                && segment.pageEnd >= segment.address + segment.memorySize
            if !isSound { finding("a segment that cannot be loaded was accepted: \(segment)") }
            last = segment.address + segment.memorySize
        }
        if image.span.start > image.span.end { finding("the image ends before it begins") }
    }

    /// A good header with up to eight program headers, then changes.
    private func executable(_ input: inout Input) -> [UInt8] {
        let count = Int(input.byte() % 8) + 1
        var bytes = [UInt8](BootFile.program[0..<64])
        bytes[5] = 1
        bytes[16] = 2 + input.byte() % 2
        bytes[56] = UInt8(count)
        for index in 0..<count {
            var header = [UInt8](BootFile.program[64..<120])
            header[0] = [1, 1, 1, 3, 6, 0x51][Int(input.byte() % 6)]
            header[18] = UInt8(0x40 + index)
            bytes += header
        }
        bytes += [UInt8](repeating: 0x2F, count: 64)
        while !input.isEmpty {
            let place = Int(input.half()) % bytes.count
            let value = CallTarget.argument(&input)
            for byte in 0..<Int(input.byte() % 8) + 1 where place + byte < bytes.count {
                bytes[place + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            }
        }
        return bytes
    }

    // MARK: Images of a store

    private func populate(_ bytes: [UInt8]) {
        let fileSystem = FileSystem(
            makeContents: { ByteArrayContents(limit: 1 << 20) }, process: ProcessInformation(),
            now: Timestamp(seconds: 1000))
        let image = ByteArrayContents(bytes)
        let isTaken: ()? = try? fileSystem.populate(image: image) { extent in
            let end = extent.firstPage * pageSize + extent.size
            if end > UInt64(bytes.count) { finding("a file outside the image: \(extent)") }
            return ByteArrayContents()
        }
        if isTaken != nil { trees += 1 }
        if let fault = fileSystem.fault() { finding("after taking an image in: \(fault)") }
    }

    /// A header, up to twelve records with plausible fields, then changes.
    private func image(_ input: inout Input) -> [UInt8] {
        var table: [UInt8] = []
        let count = Int(input.byte() % 12) + 1
        for number in 0..<count {
            var record = [UInt8](repeating: 0, count: Image.recordBytes)
            let name =
                number == 0
                ? [] : Array(Self.names[Int(input.byte() % 3)].utf8) + [UInt8(97 + number)]
            let mode =
                number == 0
                ? 0o040755 : [0o100644, 0o040755, 0o120777, 0o020666][Int(input.byte() % 4)]
            let target = mode == 0o120777 ? Array("a".utf8) : []
            (record[0], record[1]) = (UInt8(mode & 0xFF), UInt8(mode >> 8))
            record[Image.Field.parent] = input.byte() % 4
            record[Image.Field.link] = input.byte() % 8 == 0 ? input.byte() % 6 : 0
            record[Image.Field.size] = input.byte()
            record[Image.Field.nameLength] = UInt8(name.count)
            record[Image.Field.targetLength] = UInt8(target.count)
            table += record + name + target
            while table.count % 8 != 0 { table.append(0) }
        }
        var bytes: [UInt8] = []
        for word in [Image.magic, Image.format, pageSize, UInt64(table.count), UInt64(count)] {
            for byte in 0..<8 as Range<UInt64> {
                bytes.append(UInt8(truncatingIfNeeded: word >> (8 * byte)))
            }
        }
        bytes += [UInt8](repeating: 0, count: Int(pageSize) - bytes.count) + table
        bytes += [UInt8](repeating: 0, count: (4096 - bytes.count % 4096) % 4096)
        for _ in 0..<Int(input.byte() % 8) {
            let place =
                input.byte() % 8 == 0
                ? Int(input.byte() % 40) : 4096 + Int(input.half()) % table.count
            bytes[place] = input.byte()
        }
        return bytes
    }

    // MARK: Archives

    private func unpack(_ bytes: [UInt8]) {
        let fileSystem = FileSystem(
            makeContents: { ByteArrayContents(limit: 1 << 20) }, process: ProcessInformation(),
            now: Timestamp(seconds: 1000))
        if (try? fileSystem.unpack(archive: ByteArrayContents(bytes), isSkipped: { _ in false }))
            != nil
        {
            archives += 1
        }
        if let fault = fileSystem.fault() { finding("after unpacking: \(fault)") }
    }

    private static let names = [
        "a", "b", "a/b", "a/b/c", "./a", "/a", ".", "a/", "b/../a", "..", "dev/null", "a//b",
        "link", "link/x",
        "TRAILER!!!", "long/" + String(repeating: "n", count: 250),
    ]

    /// Members with plausible fields, some of them changed, and mostly a trailer.
    private func archive(_ input: inout Input) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int(input.byte() % 12) {
            let name = Self.names[Int(input.byte()) % Self.names.count]
            let kind = [0o100644, 0o040755, 0o120777, 0o020666, 0o010600, 0o060600, 0o140755, 0][
                Int(input.byte() % 8)]
            var data = Array(Self.names[Int(input.byte()) % Self.names.count].utf8)
            if input.byte() % 4 == 0 { data = [] }
            let inode = Int(input.byte() % 4)
            add(
                [inode, kind, 0, 0, Int(input.byte() % 4), 0, data.count, 0, 0, 0, 0], name, data,
                to: &bytes)
        }
        if input.byte() % 8 != 0 {
            add([Int](repeating: 0, count: 11), "TRAILER!!!", [], to: &bytes)
        }
        for _ in 0..<Int(input.byte() % 8) where !bytes.isEmpty {
            bytes[Int(input.half()) % bytes.count] = input.byte()
        }
        return bytes
    }

    private func add(_ fields: [Int], _ name: String, _ data: [UInt8], to archive: inout [UInt8]) {
        archive += Array("070701".utf8)
        for field in fields + [name.utf8.count + 1, 0] {
            let digits = String(field, radix: 16)
            archive += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        archive += Array(name.utf8) + [0]
        while archive.count % 4 != 0 { archive.append(0) }
        archive += data
        while archive.count % 4 != 0 { archive.append(0) }
    }
}
