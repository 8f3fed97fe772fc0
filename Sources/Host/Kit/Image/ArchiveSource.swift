import Glibc
import SystemPackage

/// Takes tar archives in, one upon another as the layers of an OCI image (image-spec, layer.md): a
/// later one replaces names, and its whiteouts take names of earlier ones away.
struct ArchiveSource {
    let tree: ImageTree
    let writer: ImageWriter
    private var layer = 0
    private static let whiteout = Array(".wh.".utf8)
    private static let opaque = Array(".wh..wh..opq".utf8)

    init(_ tree: ImageTree, _ writer: ImageWriter) {
        self.tree = tree
        self.writer = writer
    }

    /// `hasWhiteouts`: names that begin with `.wh.` are whiteouts, not files.
    mutating func add(_ path: FilePath, hasWhiteouts: Bool) throws(HostError) {
        layer += 1
        let stream = try ArchiveStream(path)
        var reader = TarReader(stream, path: path.string)
        while let member = try reader.next() {
            let names = ImageTree.components(member.name)
            if names.contains([0x2E, 0x2E]) {
                throw .cannotRead(path: path.string, reason: "a member's name has a .. in it")
            }
            guard let last = names.last else {
                if member.kind == .directory { replaceRoot(member) }
                continue
            }
            if isMadeByGuest(names) { continue }
            if names.contains(where: { $0.count > 255 || $0.contains(0) }) {
                throw .cannotRead(path: path.string, reason: "a member's name is too long")
            }
            guard let place = tree.place(member.name) else {
                let text = String(decoding: member.name, as: UTF8.self)
                throw .cannotRead(path: path.string, reason: "a file is in the way of \(text)")
            }
            if hasWhiteouts, last.starts(with: ArchiveSource.whiteout) {
                remove(last, from: place.directory)
                continue
            }
            try enter(member, place.directory, place.name, path, &reader)
        }
    }

    /// Below /proc and /sys.
    private func isMadeByGuest(_ names: [ImageName]) -> Bool {
        names.count > 1 && ["proc", "sys"].contains { Array($0.utf8) == names[0] }
    }

    private func replaceRoot(_ member: TarMember) {
        let node = ImageNode.directory(member.permissions)
        setAttributes(node, member)
        tree.setRoot(node)
    }

    private func remove(_ name: ImageName, from directory: ImageNode) {
        if name == ArchiveSource.opaque {
            for (name, child) in directory.children where !isOf(child) {
                directory.children[name] = nil
            }
        } else {
            let victim = Array(name.dropFirst(ArchiveSource.whiteout.count))
            if let child = directory.children[victim], child.layer < layer {
                directory.children[victim] = nil
            }
        }
    }

    /// Whether something came with this layer, or holds what did.
    private func isOf(_ node: ImageNode) -> Bool {
        node.layer == layer || node.children.values.contains { isOf($0) }
    }

    private func enter(
        _ member: TarMember, _ directory: ImageNode, _ name: ImageName, _ path: FilePath,
        _ reader: inout TarReader
    ) throws(HostError) {
        if member.kind == .directory, let present = directory.children[name], present.isDirectory {
            setAttributes(present, member)
            return
        }
        if member.kind == .hardLink {
            guard let target = tree.find(member.linkName, followLast: false), !target.isDirectory
            else {
                let text = String(decoding: member.linkName, as: UTF8.self)
                throw .cannotRead(path: path.string, reason: "a link leads to \(text), not there")
            }
            directory.children[name] = target
            return
        }
        let node = try node(member, path, &reader)
        setAttributes(node, member)
        directory.children[name] = node
    }

    private func node(_ member: TarMember, _ path: FilePath, _ reader: inout TarReader)
        throws(HostError) -> ImageNode
    {
        let kind: mode_t
        switch member.kind {
        case .regular, .hardLink: kind = S_IFREG
        case .symbolicLink:
            guard !member.linkName.isEmpty, member.linkName.count < Int(PATH_MAX) else {
                throw .cannotRead(path: path.string, reason: "a symbolic link has a bad target")
            }
            return .link(to: member.linkName)
        case .characterDevice: kind = S_IFCHR
        case .blockDevice: kind = S_IFBLK
        case .directory: kind = S_IFDIR
        case .fifo: kind = S_IFIFO
        }
        let node = ImageNode(mode: UInt32(kind))
        node.device = member.device
        if member.kind == .regular {
            var source = reader
            defer { reader = source }
            try writer.add(to: node, size: member.size, source: path.string) {
                (bytes) throws(HostError) in try source.read(into: bytes)
            }
        }
        return node
    }

    private func setAttributes(_ node: ImageNode, _ member: TarMember) {
        if !node.isLink { node.mode = UInt32(node.kind) | member.permissions }
        node.owner = member.owner
        node.group = member.group
        node.modifiedSeconds = member.modifiedSeconds
        node.modifiedNanoseconds = member.modifiedNanoseconds
        node.layer = layer
    }
}
