import Glibc
import SystemPackage

/// Takes a directory of the host in as the root: owners, modes, times, links, devices and hard links
/// as they are. Sockets stay behind, and what is below /proc and /sys, which the guest makes itself.
struct DirectorySource {
    let tree: ImageTree
    let writer: ImageWriter
    /// Inodes with several names that were met.
    private var linked: [ImageNode.Origin: ImageNode] = [:]

    init(_ tree: ImageTree, _ writer: ImageWriter) {
        self.tree = tree
        self.writer = writer
    }

    mutating func add(_ path: FilePath) throws(HostError) {
        let directory = try Files.open(path, .readOnly, options: .directory)
        var status = stat()
        guard fstat(directory.rawValue, &status) == 0 else {
            throw Files.error("stat", path, Errno(rawValue: errno))
        }
        tree.setRoot(ImageNode(status))
        try fill(tree.root, from: directory, path.string, depth: 0)
    }

    /// Takes over the descriptor.
    private mutating func fill(
        _ node: ImageNode, from directory: FileDescriptor, _ path: String, depth: Int
    ) throws(HostError) {
        guard let stream = fdopendir(directory.rawValue) else {
            try? directory.close()
            throw Files.error("opendir", FilePath(path), Errno(rawValue: errno))
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
                }
            }
            if name == [0x2E] || name == [0x2E, 0x2E] { continue }
            if let child = try child(name, of: directory.rawValue, path, depth: depth) {
                node.children[name] = child
            }
        }
    }

    private mutating func child(
        _ name: ImageName, of directory: Int32, _ above: String, depth: Int
    ) throws(HostError) -> ImageNode? {
        let terminated = name.map { CChar(bitPattern: $0) } + [0]
        let path = above + "/" + String(decoding: name, as: UTF8.self)
        var status = stat()
        guard fstatat(directory, terminated, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw Files.error("stat", FilePath(path), Errno(rawValue: errno))
        }
        let node = ImageNode(status)
        if status.st_nlink > 1, !node.isDirectory, let origin = node.origin {
            if let earlier = linked[origin] { return earlier }
            linked[origin] = node
        }
        switch node.kind {
        case S_IFREG:
            let input = try open(terminated, in: directory, path, O_RDONLY)
            defer { try? input.close() }
            try writer.add(input, to: node, size: UInt64(status.st_size), source: path)
        case S_IFLNK:
            node.target = try HostSource.linkTarget(terminated, in: directory, path)
        case S_IFDIR:
            let isMade = depth == 0 && ["proc", "sys"].contains { Array($0.utf8) == name }
            if isMade { break }
            let below = try open(terminated, in: directory, path, O_RDONLY | O_DIRECTORY)
            try fill(node, from: below, path, depth: depth + 1)
        case S_IFSOCK: return nil
        default: break
        }
        return node
    }

    private func open(
        _ name: [CChar], in directory: Int32, _ path: String, _ flags: Int32
    ) throws(HostError) -> FileDescriptor {
        let descriptor = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0 { throw .cannotRead(path: path, reason: errnoText(errno)) }
        return FileDescriptor(rawValue: descriptor)
    }
}
