/// Checks of the whole tree, for tests.
extension FileSystem {
    /// What is wrong with the tree; nil when nothing is. Walks everything.
    public func fault() -> StaticString? {
        var pending = [root]
        var files: [Inode] = []
        while let inode = pending.popLast() {
            guard let directory = inode.directory else { continue }
            if let fault = directory.fault() { return fault }
            var subdirectories: UInt32 = 0
            for entry in directory.entries {
                guard let child = entry.inode else { continue }
                if let fault = child.fault(in: inode, under: entry.name) { return fault }
                if child.kind == .directory {
                    subdirectories += 1
                    pending.append(child)
                } else {
                    files.append(child)
                }
            }
            if inode.linkCount != 2 + subdirectories { return "a directory's link count is wrong" }
        }
        return FileSystem.linkFault(of: files)
    }

    /// `files` has each inode once for each of its names.
    private static func linkFault(of files: [Inode]) -> StaticString? {
        let files = files.sorted { $0.number < $1.number }
        var index = 0
        while index < files.count {
            let inode = files[index]
            let end = files[index...].firstIndex { $0 !== inode } ?? files.count
            if Int(inode.linkCount) != end - index { return "a file's link count is wrong" }
            index = end
        }
        return nil
    }
}

extension Inode {
    /// What is wrong with a child of `parent`; nil when nothing is.
    fileprivate func fault(in parent: Inode, under name: Bytes) -> StaticString? {
        if name.isEmpty || name.count > PathLimit.name || name.contains(.slash) || name.contains(0)
        {
            return "a name is not a name"
        }
        if name == [.dot] || name == [.dot, .dot] { return "a name is . or .." }
        if kind == .directory && (self.parent !== parent || self.name != name) {
            return "a directory does not know its place"
        }
        if generated != nil { return nil }
        if (contents != nil) != (kind == .regular) {
            return "only regular files have contents, and all of them"
        }
        if (directory != nil) != (kind == .directory) {
            return "only directories have names in them"
        }
        if kind == .symbolicLink && target.isEmpty { return "a symbolic link leads nowhere" }
        return nil
    }
}
