import ABI

/// The record of a physical memory object: the only kernel object whose record the store itself
/// must understand, since page trees hang from it. Read and written here alone.
///
/// Payload words: 0 kind (`PMOKind`, bits 0–7) and ring number plus one (bits 8–15); 1 pages;
/// 2 root frame; 3 depth; 4 promised frames; 5 place (eternal: first frame; device: physical
/// address); 6 ring pointer; 7 sum over the pages (`VersionSum`); 8 first frame of the base and 9 its
/// pages (`PageTree.base`).
public struct PMORecord: Equatable, Sendable {
    public var kind: PMOKind
    public var ring: RingNumber?
    public var pageCount: UInt64
    public var root = FrameNumber.none
    public var depth: UInt8 = 0
    /// Frames promised to the PMO's pages and nodes.
    public var promised: UInt64 = 0
    public var place: UInt64 = 0
    public var ringLocal: UInt64 = 0
    public var pageSum: UInt64 = 0
    public var base = FrameNumber.none
    public var basePages: UInt64 = 0

    public static let words = 10

    public init(kind: PMOKind, pageCount: UInt64) {
        self.kind = kind
        self.pageCount = pageCount
    }

    /// Nil when no kernel writes such a record: a kind that does not exist, more pages or levels
    /// than a tree has, a root outside the data frames, a base outside the image or longer than the
    /// object.
    public init?<Memory: PersistentMemory>(
        reading reader: inout RecordReader<Memory>, in layout: StoreLayout
    ) {
        let word = reader.next()
        guard let kind = PMOKind(rawValue: UInt8(truncatingIfNeeded: word)),
            word >> 16 == 0
        else { return nil }
        self.kind = kind
        if word >> 8 > 0 {
            guard let number = RingNumber((word >> 8) - 1), kind == .eternal else { return nil }
            ring = number
        }
        pageCount = reader.next()
        let root = reader.next()
        let depth = reader.next()
        guard pageCount <= PageTree.maximumPages, depth <= UInt64(PageTree.maximumDepth),
            let frame = UInt32(exactly: root), frame == 0 || layout.isDataFrame(FrameNumber(frame))
        else { return nil }
        self.root = FrameNumber(frame)
        self.depth = UInt8(depth)
        promised = reader.next()
        place = reader.next()
        ringLocal = reader.next()
        pageSum = reader.next()
        let base = reader.next()
        basePages = reader.next()
        if basePages == 0 && base == 0 { return }
        guard kind == .anonymous, basePages > 0, basePages <= pageCount,
            layout.isImage(base, pages: basePages)
        else { return nil }
        self.base = FrameNumber(UInt32(truncatingIfNeeded: base))
    }

    public func write<Memory: PersistentMemory>(to writer: inout RecordWriter<Memory>) {
        let number = ring.map { UInt64($0.value) + 1 } ?? 0
        writer.append(UInt64(kind.rawValue) | number << 8)
        writer.append(pageCount)
        writer.append(UInt64(root.value))
        writer.append(UInt64(depth))
        writer.append(promised)
        writer.append(place)
        writer.append(ringLocal)
        writer.append(pageSum)
        writer.append(UInt64(base.value))
        writer.append(basePages)
    }

    public func tree(owner: ObjectID) -> PageTree {
        var tree = PageTree(owner: owner, root: root, depth: depth, sum: pageSum)
        tree.base = base
        tree.basePages = basePages
        return tree
    }
}
