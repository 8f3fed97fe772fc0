/// From inodes back to paths: getcwd(2), /proc/N/cwd, /proc/N/fd, AT_EXECFN.
extension FileSystem {
    /// Absolute path of an inode as seen from `root`: a directory's place, a file's most recent
    /// name that it still has. nil when it has none, or lies outside `root`.
    public func path(of inode: Inode, root: Inode) -> Bytes? { inode.path(below: root) }

    /// Absolute path of what a walk found, as seen from `root`; of a place outside of it, only the
    /// name.
    public func path(of resolved: Resolved, root: Inode) -> Bytes {
        if resolved.isOrdinaryName {
            guard var path = path(of: resolved.parent, root: root) else { return resolved.name }
            if path.last != .slash { path.append(.slash) }
            path.append(contentsOf: resolved.name)
            return path
        }
        return resolved.inode.flatMap { path(of: $0, root: root) } ?? resolved.name
    }
}

extension Inode {
    /// Absolute path as seen from `root`; nil when there is none.
    func path(below root: Inode) -> Bytes? {
        var chain: [Inode] = []
        var length = 0
        var place = self
        while place !== root {
            guard let above = place.parent, place.isNamed(in: above) else { return nil }
            chain.append(place)
            length += place.name.count + 1
            place = above
        }
        guard !chain.isEmpty else { return [.slash] }
        var path = Bytes()
        path.reserveCapacity(length)
        for part in chain.reversed() {
            path.append(.slash)
            path.append(contentsOf: part.name)
        }
        return path
    }

    /// What readlink(2) of /proc/N/cwd shows: the path, or the last one with a mark.
    func shownPath(below root: Inode) -> Bytes {
        if let path = path(below: root) { return path }
        guard isRemoved else { return .text("(unreachable)/") }
        var path = parent?.path(below: root) ?? []
        if path.last != .slash { path.append(.slash) }
        return path + name + .text(" (deleted)")
    }

    /// Whether the remembered name is still true.
    private func isNamed(in parent: Inode) -> Bool {
        guard let directory = parent.directory else { return parent.generated != nil }
        return directory.inode(named: name[...]) === self
    }
}
