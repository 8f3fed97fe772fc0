/// getdents64(2).
extension FileSystem {
    /// Gives `body` the entries from a cookie on: "." and ".." first, then in order of insertion;
    /// stops when it answers false. 0 is the first cookie; each entry's `next` is the cookie behind
    /// it, valid for good. ENOTDIR; ENOENT for a removed directory.
    public func readDirectory(
        _ inode: Inode, from cookie: UInt64, _ caller: Caller, _ body: (DirectoryEntry) -> Bool
    ) throws(Errno) {
        guard inode.kind == .directory else { throw .ENOTDIR }
        guard !inode.isRemoved else { throw .ENOENT }
        if cookie == 0 {
            guard body(dot(inode, [.dot], next: 1)) else { return }
        }
        if cookie <= 1 {
            let above = inode === caller.root ? inode : inode.parentDirectory
            guard body(dot(above, [.dot, .dot], next: Directory.firstCookie)) else { return }
        }
        if let generated = inode.generated {
            for entry in try generated.entries(from: max(cookie, GeneratedNode.firstCookie), caller)
            {
                guard body(entry) else { return }
            }
            return
        }
        stampAccess(inode)
        inode.directory?.read(from: cookie, body)
    }

    private func dot(_ inode: Inode, _ name: Bytes, next: UInt64) -> DirectoryEntry {
        DirectoryEntry(name: name, inode: inode.number, kind: .directory, next: next)
    }

    /// As the mount option "relatime": only the first access after a change dirties the inode's
    /// page.
    private func stampAccess(_ inode: Inode) {
        if inode.accessed <= inode.modified { inode.accessed = now }
    }
}

extension Directory {
    /// Live entries from a cookie on, until `body` answers false.
    fileprivate func read(from cookie: UInt64, _ body: (DirectoryEntry) -> Bool) {
        var place = position(from: cookie)
        while place < entries.count {
            let entry = entries[place]
            place += 1
            guard let inode = entry.inode else { continue }
            let shown = DirectoryEntry(
                name: entry.name, inode: inode.number, kind: inode.kind, next: entry.cookie &+ 1)
            guard body(shown) else { return }
        }
    }
}
