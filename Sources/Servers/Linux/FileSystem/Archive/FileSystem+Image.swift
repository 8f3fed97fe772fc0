import ABI

/// Takes in the store's image: the tree that the command wrote down for this run.
extension FileSystem {
    /// Where a regular file's bytes are in the image.
    public struct Extent: Equatable, Sendable {
        public var firstPage: UInt64
        /// Bytes.
        public var size: UInt64

        public init(firstPage: UInt64, size: UInt64) {
            self.firstPage = firstPage
            self.size = size
        }
    }

    /// Enters all names of an image (`ABI.Image`) into a tree that has none yet. `contents` makes
    /// the bytes of a regular file; nothing of them is read here. The image is not trusted: each
    /// number is checked before it is used.
    ///
    /// Throws where the image is wrong; what came before stays.
    public func populate(
        image: FileContents, contents: @escaping (Extent) -> FileContents
    ) throws(ImageError) {
        let table = try ImageTable(image)
        var reader = ImageReader(self, table, pages: image.size / pageSize, contents: contents)
        for _ in 0..<table.records { try reader.next() }
        guard reader.isSpent else { throw ImageError(.truncated, record: table.records) }
    }
}

/// The table, read as a whole.
private struct ImageTable {
    let bytes: Bytes
    let records: UInt64

    init(_ image: FileContents) throws(ImageError) {
        let header = try ImageTable.read(image, 0, UInt64(Image.headerWords) * 8)
        func word(_ index: Int) -> UInt64 { header.number(8 * index) }
        let (offset, count) = (word(2), word(3))
        guard word(0) == Image.magic, word(1) == Image.format, offset <= image.size,
            count <= image.size - offset, count <= 1 << 32,
            word(4) <= count / UInt64(Image.recordBytes)
        else { throw ImageError(.badHeader, record: 0) }
        bytes = try ImageTable.read(image, offset, count)
        records = word(4)
    }

    private static func read(_ image: FileContents, _ place: UInt64, _ count: UInt64)
        throws(ImageError) -> Bytes
    {
        do throws(Errno) {
            let bytes = try image.readBytes(offset: place, count: Int(count))
            if bytes.count < Int(count) { throw .EIO }
            return bytes
        } catch {
            throw ImageError(error == .EIO ? .badHeader : .refused(error), record: 0)
        }
    }
}

/// Reads record after record. Each goes on by at least the fixed part, so reading ends.
private struct ImageReader {
    private let fileSystem: FileSystem
    private let bytes: Bytes
    private let pages: UInt64
    private let contents: (FileSystem.Extent) -> FileContents
    private var offset = 0
    /// By number of the record.
    private var inodes: [Inode] = []

    init(
        _ fileSystem: FileSystem, _ table: ImageTable, pages: UInt64,
        contents: @escaping (FileSystem.Extent) -> FileContents
    ) {
        self.fileSystem = fileSystem
        self.pages = pages
        self.contents = contents
        bytes = table.bytes
        inodes.reserveCapacity(Int(table.records))
    }

    var isSpent: Bool { offset == bytes.count }

    mutating func next() throws(ImageError) {
        do throws(ImageError.Fault) {
            inodes.append(try entry())
        } catch {
            throw ImageError(error, record: UInt64(inodes.count))
        }
    }

    private func field(_ place: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: bytes.number(offset + place, bytes: 4))
    }

    private mutating func entry() throws(ImageError.Fault) -> Inode {
        guard bytes.count - offset >= Image.recordBytes else { throw .truncated }
        let name = Int(bytes.number(offset + Image.Field.nameLength, bytes: 2))
        let target = Int(bytes.number(offset + Image.Field.targetLength, bytes: 2))
        let end = offset + Image.recordBytes + name + target
        guard end <= bytes.count else { throw .truncated }
        let start = offset + Image.recordBytes
        let inode =
            inodes.isEmpty
            ? try root(nameLength: name)
            : try child(Bytes(bytes[start..<start + name]), Bytes(bytes[start + name..<end]))
        offset = min((end + 7) & ~7, bytes.count)
        return inode
    }

    private func root(nameLength: Int) throws(ImageError.Fault) -> Inode {
        let root = fileSystem.root
        guard NodeKind(mode: field(Image.Field.mode)) == .directory, nameLength == 0,
            root.directory?.isEmpty ?? false
        else { throw .badRoot }
        setAttributes(of: root)
        return root
    }

    private func child(_ name: Bytes, _ target: Bytes) throws(ImageError.Fault) -> Inode {
        let parentNumber = Int(field(Image.Field.parent))
        guard parentNumber < inodes.count, inodes[parentNumber].kind == .directory else {
            throw .badParent
        }
        let parent = inodes[parentNumber]
        guard isName(name), parent.directory?.inode(named: name[...]) == nil else { throw .badName }
        let link = field(Image.Field.link)
        if link != 0 {
            let number = Int(link) - 1
            guard number < inodes.count, inodes[number].kind != .directory else { throw .badLink }
            return enter(inodes[number], parent, name)
        }
        guard let kind = NodeKind(mode: field(Image.Field.mode)) else { throw .unknownKind }
        guard (kind == .symbolicLink) == !target.isEmpty, target.count < PathLimit.path,
            !target.contains(0)
        else { throw .badTarget }
        let bytes = kind == .regular ? try fileContents() : nil
        let inode = fileSystem.makeInode(
            kind, permissions: 0, owner: 0, group: 0, device: parent.device)
        setAttributes(of: inode)
        if kind == .symbolicLink { inode.permissions = 0o777 }
        inode.target = target
        if let bytes { inode.contents = bytes }
        if kind == .characterDevice || kind == .blockDevice {
            inode.deviceNumber = self.bytes.number(offset + Image.Field.device)
        }
        return enter(inode, parent, name)
    }

    private func fileContents() throws(ImageError.Fault) -> FileContents {
        let extent = FileSystem.Extent(
            firstPage: UInt64(field(Image.Field.firstPage)),
            size: bytes.number(offset + Image.Field.size))
        guard extent.firstPage <= pages, extent.size <= (pages - extent.firstPage) * pageSize else {
            throw .badExtent
        }
        return contents(extent)
    }

    private func isName(_ name: Bytes) -> Bool {
        if name.isEmpty || name.count > PathLimit.name { return false }
        if name == [.dot] || name == [.dot, .dot] { return false }
        return !name.contains(.slash) && !name.contains(0)
    }

    /// As `FileSystem.attach`, but the directory's times are those of its record.
    private func enter(_ inode: Inode, _ parent: Inode, _ name: Bytes) -> Inode {
        parent.directory?.insert(name, inode)
        inode.parent = parent
        inode.name = name
        if inode.kind == .directory {
            inode.linkCount = 2
            parent.linkCount &+= 1
        } else {
            inode.linkCount &+= 1
        }
        return inode
    }

    private func setAttributes(of inode: Inode) {
        inode.permissions = field(Image.Field.mode) & ModeBits.all
        inode.owner = field(Image.Field.owner)
        inode.group = field(Image.Field.group)
        let seconds = Int64(bitPattern: bytes.number(offset + Image.Field.modifiedSeconds))
        let nanoseconds = min(field(Image.Field.modifiedNanoseconds), 999_999_999)
        inode.modified = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        inode.accessed = inode.modified
    }
}

extension Bytes {
    /// A little-endian number at a place that exists.
    fileprivate func number(_ place: Int, bytes count: Int = 8) -> UInt64 {
        var value: UInt64 = 0
        for index in (0..<count).reversed() { value = value << 8 | UInt64(self[place + index]) }
        return value
    }
}
