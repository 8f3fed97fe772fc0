import PersistentMemory

// Containers grow in pieces. A small one is one buffer. A larger one is a tree of directories with
// pieces below, and its field refers to the topmost directory with bit 0 set; so growth adds a piece
// and changes a word or two, and nothing is copied but what one piece holds. References to buffers
// are multiples of 16: the low four bits say what is there (`PersistentHeap.offset(ofReference:)`
// takes them off).

/// A word of a directory: where a piece lies, or another directory; 0 for nothing.
@usableFromInline struct DirectoryEntry: Persistable {
    @usableFromInline var word: UInt64

    @usableFromInline static let persistentLayout = TypeLayout(
        name: "directory", size: 8, stride: 8, alignment: 8, fields: [], references: [0])
}

/// What references to parts of a container say in their low bits.
@usableFromInline enum PieceReference {
    /// The container's field: there are directories. An entry: another directory, not a piece.
    @inlinable static var directory: UInt64 { 1 }
    /// An entry of a dictionary's directory: a bucket larger than others.
    @inlinable static var largeBucket: UInt64 { 2 }
    @inlinable static var bits: UInt64 { 15 }

    @inlinable static func offset(_ word: UInt64) -> UInt64 { word & ~bits }
    @inlinable static func isDirectory(_ word: UInt64) -> Bool { word & directory != 0 }
}

extension PersistentHeap {
    /// A new directory of `entries` words, all 0.
    @usableFromInline func makeDirectory(_ entries: Int, in lane: LogLane) throws -> UInt64 {
        try allocateBuffer(DirectoryEntry.persistentLayout, bytes: entries * 8, in: lane)
    }
}
