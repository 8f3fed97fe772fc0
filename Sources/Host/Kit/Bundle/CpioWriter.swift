import Glibc
import SystemPackage

/// Writes a cpio archive in "newc" form (cpio(5); Linux:
/// Documentation/driver-api/early-userspace/buffer-format.rst).
///
/// Parents of a path are written before it. A path is written once; writing it again is refused by
/// `contains`.
struct CpioWriter: ~Copyable {
    let path: FilePath
    private let file: FileDescriptor
    private var offset: UInt64 = 0
    private var nextInode: UInt32 = 1
    private var written: Set<String>

    /// What an entry says besides its name and bytes.
    struct Attributes {
        var mode: UInt32
        var owner: UInt32 = 0
        var group: UInt32 = 0
        var modified: UInt32 = 0

        static let directory = Attributes(mode: UInt32(S_IFDIR) | 0o755)
    }

    /// `assumed` are directories that get no entry: whoever unpacks makes them.
    init(_ path: FilePath, assumed: Set<String> = []) throws(HostError) {
        self.path = path
        written = assumed
        file = try Files.open(
            path, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
    }

    func contains(_ name: String) -> Bool { written.contains(name) }

    /// Writes an entry whose contents are at hand. `name` has no leading slash.
    mutating func add(_ name: String, _ attributes: Attributes, contents: [UInt8] = [])
        throws(HostError)
    {
        try begin(name, attributes, size: UInt64(contents.count))
        try put(contents)
        try pad()
    }

    /// Writes a regular file from the host. Its size is what the header said, even if the file
    /// changes meanwhile.
    mutating func add(_ name: String, _ attributes: Attributes, copying source: FilePath)
        throws(HostError)
    {
        let input = try Files.open(source, .readOnly)
        defer { try? input.close() }
        var status = stat()
        guard fstat(input.rawValue, &status) == 0 else {
            throw Files.error("stat", source, Errno(rawValue: errno))
        }
        let size = UInt64(status.st_size)
        try begin(name, attributes, size: size)
        try copy(input, source: source, size: size)
        try pad()
    }

    /// Writes the trailer and closes the archive.
    consuming func finish() throws(HostError) {
        try header("TRAILER!!!", Attributes(mode: 0), size: 0, inode: 0)
        try? file.close()
    }

    private mutating func begin(_ name: String, _ attributes: Attributes, size: UInt64)
        throws(HostError)
    {
        guard size <= UInt64(UInt32.max) else {
            throw .cannotRead(
                path: "/" + name, reason: "a file of 4 GiB or more does not fit in the boot bundle")
        }
        try addParents(of: name)
        written.insert(name)
        try header(name, attributes, size: UInt32(size), inode: nextInode)
        nextInode += 1
    }

    private mutating func addParents(of name: String) throws(HostError) {
        for index in name.indices where name[index] == "/" {
            let parent = String(name[..<index])
            if !parent.isEmpty && !contains(parent) { try add(parent, .directory) }
        }
    }

    private mutating func header(
        _ name: String, _ attributes: Attributes, size: UInt32, inode: UInt32
    ) throws(HostError) {
        let links: UInt32 = attributes.mode & UInt32(S_IFMT) == UInt32(S_IFDIR) ? 2 : 1
        let nameBytes = Array(name.utf8) + [0]
        let fields: [UInt32] = [
            inode, attributes.mode, attributes.owner, attributes.group, links, attributes.modified,
            size,
            0, 0, 0, 0, UInt32(nameBytes.count), 0,
        ]
        try put(Array("070701".utf8) + fields.flatMap(CpioWriter.hexadecimal) + nameBytes)
        try pad()
    }

    /// Eight upper-case digits.
    private static func hexadecimal(_ value: UInt32) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return (0..<8).map { digits[Int(value >> UInt32(28 - 4 * $0)) & 15] }
    }

    private mutating func copy(_ input: FileDescriptor, source: FilePath, size: UInt64)
        throws(HostError)
    {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        var left = size
        while left > 0 {
            let wanted = Int(min(UInt64(chunk.count), left))
            let count: Int
            do {
                count = try chunk.withUnsafeMutableBytes {
                    try input.read(into: .init(rebasing: $0[..<wanted]))
                }
            } catch {
                throw .cannotRead(
                    path: source.string, reason: (error as? Errno)?.description ?? "\(error)")
            }
            guard count > 0 else {
                throw .cannotRead(path: source.string, reason: "it became shorter meanwhile")
            }
            try put(Array(chunk[..<count]))
            left -= UInt64(count)
        }
    }

    private mutating func put(_ bytes: [UInt8]) throws(HostError) {
        try Files.writeAll(bytes, to: file, path: path)
        offset += UInt64(bytes.count)
    }

    private mutating func pad() throws(HostError) {
        try put([UInt8](repeating: 0, count: Int((4 - offset % 4) % 4)))
    }
}
