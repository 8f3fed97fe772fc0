import ABI
import CHostKit
import Glibc
import SystemPackage

/// Writes a store's image (`ABI.Image`) straight into its file: files one after the other as they
/// come, then the table. Pages that do not fit are counted and not written, so that a store that is
/// too small is refused with the size it needs.
///
/// Invariant: `nextPage` is the first page that nothing was given yet.
final class ImageWriter {
    private let file: FileDescriptor
    private let path: FilePath
    /// Where the image begins in the file, in bytes.
    private let base: UInt64
    /// Pages that fit.
    private let limit: UInt64
    private(set) var nextPage: UInt64 = 1
    private var buffer = [UInt8](repeating: 0, count: 1 << 20)
    private let progress: (UInt64) -> Void

    /// `file` stays the caller's; it reads as zeros where the image will be. `progress` gets the
    /// bytes so far, now and then.
    init(
        _ file: FileDescriptor, path: FilePath, base: UInt64, limit: UInt64,
        progress: @escaping (UInt64) -> Void = { _ in }
    ) {
        self.file = file
        self.path = path
        self.base = base
        self.limit = limit
        self.progress = progress
    }

    var fits: Bool { nextPage <= limit }

    /// Takes in a file's bytes as `read` gives them: up to a buffer at a time, 0 at the end.
    func add(
        to node: ImageNode, size: UInt64, source: String,
        read: (UnsafeMutableRawBufferPointer) throws(HostError) -> Int
    ) throws(HostError) {
        let first = take(size)
        var done: UInt64 = 0
        while done < size {
            let wanted = Int(min(UInt64(buffer.count), size - done))
            var failure: HostError?
            let count = buffer.withUnsafeMutableBytes { bytes -> Int in
                do throws(HostError) { return try read(.init(rebasing: bytes[..<wanted])) } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { throw failure }
            guard count > 0 else {
                throw .cannotRead(path: source, reason: "it became shorter meanwhile")
            }
            if fits { try write(buffer[..<count], at: first * pageSize + done) }
            done += UInt64(count)
        }
        node.firstPage = size > 0 ? first : 0
        node.size = size
        progress(nextPage * pageSize)
    }

    func add(_ bytes: [UInt8], to node: ImageNode) throws(HostError) {
        let first = take(UInt64(bytes.count))
        if fits { try write(bytes[...], at: first * pageSize) }
        node.firstPage = bytes.isEmpty ? 0 : first
        node.size = UInt64(bytes.count)
    }

    /// Takes in a file of the host, whole, in the kernel where that can be done
    /// (copy_file_range(2)).
    func add(_ input: FileDescriptor, to node: ImageNode, size: UInt64, source: String)
        throws(HostError)
    {
        let start = base + nextPage * pageSize
        if size > 0, nextPage + ImageWriter.pages(size) <= limit,
            hostkit_copy_range(input.rawValue, file.rawValue, off_t(start), Int(size)) == 0
        {
            node.firstPage = take(size)
            node.size = size
            progress(nextPage * pageSize)
            return
        }
        lseek(input.rawValue, 0, SEEK_SET)
        try add(to: node, size: size, source: source) { (bytes) throws(HostError) in
            let count = Glibc.read(input.rawValue, bytes.baseAddress, bytes.count)
            if count < 0 { throw .cannotRead(path: source, reason: errnoText(errno)) }
            return count
        }
    }

    /// The bytes of a file that was taken in, to look at.
    func read(_ node: ImageNode, limit: Int = 1 << 20) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(Int(clamping: node.size), limit))
        let count = bytes.withUnsafeMutableBytes {
            pread(
                file.rawValue, $0.baseAddress, $0.count, off_t(base + node.firstPage * pageSize))
        }
        return Array(bytes.prefix(max(0, count)))
    }

    static func pages(_ bytes: UInt64) -> UInt64 { (bytes + pageSize - 1) / pageSize }

    private func take(_ size: UInt64) -> UInt64 {
        let first = nextPage
        nextPage += ImageWriter.pages(size)
        return first
    }

    private func write(_ bytes: ArraySlice<UInt8>, at place: UInt64) throws(HostError) {
        do {
            _ = try file.writeAll(toAbsoluteOffset: Int64(base + place), bytes)
        } catch let errno as Errno {
            throw Files.error("write", path, errno)
        } catch { throw .system(call: "write", path: path.string, errno: EIO) }
    }
}

extension ImageWriter {
    /// Writes the table and the header. Returns the pages of the whole image.
    func finish(_ tree: ImageTree) throws(HostError) -> UInt64 {
        var table = TableEncoder()
        table.encode(tree.root)
        let first = take(UInt64(table.bytes.count))
        guard fits else { return nextPage }
        try write(table.bytes[...], at: first * pageSize)
        let header: [UInt64] = [
            Image.magic, Image.format, first * pageSize, UInt64(table.bytes.count),
            UInt64(table.count),
        ]
        try write(header.withUnsafeBytes { Array($0) }[...], at: 0)
        return nextPage
    }
}

/// The records of `ABI.Image`: parents first, names of a directory in order.
private struct TableEncoder {
    private(set) var bytes: [UInt8] = []
    private(set) var count: UInt32 = 0
    /// Number of the record that first named an inode with other names.
    private var numbers: [ObjectIdentifier: UInt32] = [:]

    mutating func encode(_ root: ImageNode) {
        add(root, name: [], parent: 0)
        var pending: [(node: ImageNode, number: UInt32)] = [(root, 0)]
        while let (directory, number) = pending.popLast() {
            let names = directory.children.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for (name, child) in names {
                let own = count
                add(child, name: name, parent: number)
                if child.isDirectory { pending.append((child, own)) }
            }
        }
    }

    private mutating func add(_ node: ImageNode, name: ImageName, parent: UInt32) {
        let earlier = numbers[ObjectIdentifier(node)]
        var record = [UInt8](repeating: 0, count: Image.recordBytes)
        func put<Number: FixedWidthInteger>(_ value: Number, _ place: Int) {
            withUnsafeBytes(of: value.littleEndian) { source in
                for (index, byte) in source.enumerated() { record[place + index] = byte }
            }
        }
        put(node.mode, Image.Field.mode)
        put(node.owner, Image.Field.owner)
        put(node.group, Image.Field.group)
        put(parent, Image.Field.parent)
        put(node.modifiedSeconds, Image.Field.modifiedSeconds)
        put(node.modifiedNanoseconds, Image.Field.modifiedNanoseconds)
        put(earlier.map { $0 + 1 } ?? 0, Image.Field.link)
        put(node.device, Image.Field.device)
        put(node.size, Image.Field.size)
        put(UInt32(clamping: node.firstPage), Image.Field.firstPage)
        put(UInt16(clamping: name.count), Image.Field.nameLength)
        put(UInt16(clamping: node.target.count), Image.Field.targetLength)
        bytes += record + name + node.target
        bytes += [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
        if earlier == nil && !node.isDirectory { numbers[ObjectIdentifier(node)] = count }
        count += 1
    }
}
