import ABI

/// Keeps a mapped file's inode alive, and says what /proc/PID/maps shows.
final class FileMapping {
    let inode: Inode
    let path: Bytes
    private let fileSystem: FileSystem

    /// The mapping is shared and its descriptor may write.
    private let isWritable: Bool

    init(inode: Inode, path: Bytes, fileSystem: FileSystem, isWritable: Bool = false) {
        self.inode = inode
        self.path = path
        self.fileSystem = fileSystem
        self.isWritable = isWritable
        fileSystem.retain(inode)
        if isWritable { inode.writableMappings += 1 }
    }

    deinit {
        if isWritable { inode.writableMappings -= 1 }
        fileSystem.release(inode)
    }
}

/// What an area is for, where that matters.
enum AreaKind {
    case ordinary, heap, stack
}

/// A range of a guest's addresses with one backing and one protection (a Linux VMA).
struct MemoryArea {
    var start: UInt64
    var end: UInt64
    var protection: Protection
    /// MAP_SHARED: fork maps the same memory.
    var isShared = false
    /// nil: reserved addresses without memory (PROT_NONE so far, or beyond the end of a file).
    var memory: MemoryObject?
    /// Byte offset in `memory` of `start`.
    var offset: UInt64 = 0
    /// A private mapping that still shows the file's own pages: it must be copied before it becomes
    /// writable.
    var isFileView = false
    var file: FileMapping?
    /// Offset of `start` in the file.
    var fileOffset: UInt64 = 0
    var kind = AreaKind.ordinary
    /// A shared mapping through a descriptor that may not write, or of a sealed file: mprotect(2)
    /// does not make it writable.
    var isReadOnlyForGood = false
    /// madvise(2): a child gets zeros (MADV_WIPEONFORK), or no such area (MADV_DONTFORK).
    var wipesOnFork = false
    var skipsFork = false

    var length: UInt64 { end - start }
    /// Counts against `AddressSpace.maximumPrivateBytes`.
    var isLarge: Bool {
        memory != nil && !isShared && !isFileView && length >= AddressSpace.largeBytes
    }

    /// The part between two addresses that lie in the area.
    func part(_ from: UInt64, _ to: UInt64) -> MemoryArea {
        var piece = self
        piece.start = from
        piece.end = to
        piece.offset = offset &+ (from - start)
        piece.fileOffset = fileOffset &+ (from - start)
        return piece
    }
}
