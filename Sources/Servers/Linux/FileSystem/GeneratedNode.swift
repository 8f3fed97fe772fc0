/// A node whose content is made when asked for: /proc, /sys. The defaults say "not that kind of
/// node".
open class GeneratedNode {
    public init() {}
    /// Whole text of a file.
    open func text(_ caller: Caller) throws(Errno) -> Bytes { throw .EINVAL }
    /// Takes what one write(2) brought, for writable files such as /proc/self/comm.
    open func write(_ bytes: Bytes, _ caller: Caller) throws(Errno) { throw .EACCES }
    /// What readlink(2) shows of a symbolic link.
    open func target(_ caller: Caller) throws(Errno) -> Bytes { throw .EINVAL }
    /// Where a magic link (/proc/N/exe, /proc/N/fd/M) leads without its text being read; nil:
    /// follow the text.
    open func follow(_ caller: Caller) throws(Errno) -> Inode? { nil }
    /// The child of a directory; nil when there is none.
    open func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? { nil }
    /// Entries of a directory whose place is `cookie` or behind it, in order; places start at
    /// `firstCookie`, and each entry's `next` is greater than its place.
    open func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        []
    }

    /// Cookies 0 and 1 are "." and "..".
    public static let firstCookie: UInt64 = 2
}

/// A generated directory with fixed children.
final class FixedDirectory: GeneratedNode {
    private(set) var children: [Inode] = []

    /// Adds a child, which has a name already.
    func add(_ child: Inode) { children.append(child) }

    override func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? {
        children.first { $0.name == name }
    }

    override func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        children.entries(from: cookie)
    }
}

extension [Inode] {
    /// These inodes as directory entries, the first at `GeneratedNode.firstCookie`, from a cookie
    /// on.
    func entries(from cookie: UInt64) -> [DirectoryEntry] {
        var result: [DirectoryEntry] = []
        var place = GeneratedNode.firstCookie
        for child in self {
            place += 1
            if place <= cookie { continue }
            result.append(
                DirectoryEntry(name: child.name, inode: child.number, kind: child.kind, next: place)
            )
        }
        return result
    }
}
