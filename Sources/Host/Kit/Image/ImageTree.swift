import Glibc

/// A name in a directory: bytes, since Linux's names have no encoding.
typealias ImageName = [UInt8]

/// An inode of the tree that a run starts with. Two names may lead to the same one.
final class ImageNode {
    /// Type and permissions (inode(7)).
    var mode: UInt32
    var owner: UInt32 = 0
    var group: UInt32 = 0
    var modifiedSeconds: Int64 = 0
    var modifiedNanoseconds: UInt32 = 0
    /// makedev(3), for devices.
    var device: UInt64 = 0
    /// Where a regular file's bytes are in the image.
    var firstPage: UInt64 = 0
    var size: UInt64 = 0
    /// Of a symbolic link.
    var target: [UInt8] = []
    /// Of a directory.
    var children: [ImageName: ImageNode] = [:]
    /// The layer that it came with (`OCILayout`), for opaque directories.
    var layer = 0
    /// The file of the host that it is, so that the same one twice is no conflict.
    var origin: Origin?

    struct Origin: Hashable {
        var device: UInt64
        var inode: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    init(mode: UInt32) { self.mode = mode }

    /// Permissions, owner and times of a file of the host.
    convenience init(_ status: stat) {
        self.init(mode: UInt32(status.st_mode))
        owner = status.st_uid
        group = status.st_gid
        modifiedSeconds = Int64(status.st_mtim.tv_sec)
        modifiedNanoseconds = UInt32(clamping: status.st_mtim.tv_nsec)
        if isDevice { device = UInt64(status.st_rdev) }
        origin = Origin(status)
    }

    var kind: mode_t { mode_t(mode) & S_IFMT }
    var isDirectory: Bool { kind == S_IFDIR }
    var isLink: Bool { kind == S_IFLNK }
    var isRegular: Bool { kind == S_IFREG }
    var isDevice: Bool { kind == S_IFCHR || kind == S_IFBLK }
    var isExecutable: Bool { isRegular && mode & 0o111 != 0 }

    /// A directory that nobody brought along, made now.
    static func directory(_ permissions: UInt32 = 0o755) -> ImageNode {
        let node = ImageNode(mode: UInt32(S_IFDIR) | permissions)
        node.modifiedSeconds = Int64(time(nil))
        return node
    }

    static func link(to target: [UInt8]) -> ImageNode {
        let node = ImageNode(mode: UInt32(S_IFLNK) | 0o777)
        node.target = target
        node.modifiedSeconds = Int64(time(nil))
        return node
    }
}

/// The files that a run starts with. Paths are walked as the guest walks them: links are followed,
/// and nothing leads out of the root.
final class ImageTree {
    private(set) var root = ImageNode.directory()
    private static let linkLimit = 40

    init() {}

    /// As on Debian, where the old directories are links into /usr: what comes from the host's /bin
    /// lands in /usr/bin. The guest's server makes the rest of the usual tree.
    static func mergedUsr() -> ImageTree {
        let tree = ImageTree()
        for name in ["bin", "lib", "lib64", "sbin"] {
            tree.root.children[Array(name.utf8)] = .link(to: Array("usr/\(name)".utf8))
            _ = tree.makeDirectory(Array("usr/\(name)".utf8))
        }
        return tree
    }

    /// The components of a path that are names.
    static func components(_ path: [UInt8]) -> [ImageName] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [0x2E] }
    }

    /// What is at a path; nil when nothing is, or a link leads nowhere.
    func find(_ path: [UInt8], followLast: Bool = true) -> ImageNode? {
        walk(path, followLast: followLast, making: false)
    }

    func find(_ path: String) -> ImageNode? { find(Array(path.utf8)) }

    /// The directory at a path, made with those above it where there are none; nil when a file is in
    /// the way.
    func makeDirectory(_ path: [UInt8]) -> ImageNode? {
        walk(path, followLast: true, making: true).flatMap { $0.isDirectory ? $0 : nil }
    }

    /// The directory that holds a path's last name, and that name; nil when a file is in the way or
    /// the path has no name at its end.
    func place(_ path: [UInt8]) -> (directory: ImageNode, name: ImageName)? {
        var names = ImageTree.components(path)
        guard let last = names.popLast(), last != [0x2E, 0x2E] else { return nil }
        let above = Array(names.joined(separator: [UInt8(ascii: "/")]))
        return makeDirectory(above).map { ($0, last) }
    }

    /// Replaces the root's own attributes.
    func setRoot(_ node: ImageNode) {
        node.children = root.children
        root = node
    }

    private func walk(_ path: [UInt8], followLast: Bool, making: Bool) -> ImageNode? {
        var trail = [root]
        var names: [ImageName] = ImageTree.components(path).reversed()
        var links = 0
        var made: [ImageName] = []
        while let name = names.popLast() {
            guard let here = trail.last, here.isDirectory else { return nil }
            if name == [0x2E, 0x2E] {
                if trail.count > 1 { trail.removeLast() }
                continue
            }
            made.append(name)
            guard let next = here.children[name] else {
                guard making else { return nil }
                let fresh = ImageNode.directory(ImageTree.usualPermissions(made))
                here.children[name] = fresh
                trail.append(fresh)
                continue
            }
            guard next.isLink, followLast || !names.isEmpty else {
                trail.append(next)
                continue
            }
            links += 1
            if links > ImageTree.linkLimit { return nil }
            if next.target.first == UInt8(ascii: "/") { trail = [root] }
            names += ImageTree.components(next.target).reversed()
        }
        return trail.last
    }

    /// hier(7): of directories that are made on the way to a file.
    private static func usualPermissions(_ path: [ImageName]) -> UInt32 {
        switch path.map({ String(decoding: $0, as: UTF8.self) }).joined(separator: "/") {
        case "tmp", "var/tmp": 0o1777
        case "root": 0o700
        default: 0o755
        }
    }
}
