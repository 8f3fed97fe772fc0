/// How a path is walked.
public struct ResolveFlags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A symbolic link at the end is followed.
    public static let followFinal = ResolveFlags(rawValue: 1)
    /// What is found must be a directory (ENOTDIR).
    public static let directoryRequired = ResolveFlags(rawValue: 2)
    /// No symbolic link may be on the way (ELOOP), as RESOLVE_NO_SYMLINKS of openat2(2).
    public static let noSymbolicLinks = ResolveFlags(rawValue: 4)
    /// The last component is wanted as a name (to make, remove or rename): it is never followed,
    /// not even before a trailing slash.
    public static let keepFinal = ResolveFlags(rawValue: 8)
    /// open(2) with O_CREAT: a name with a trailing slash is EISDIR.
    public static let creating = ResolveFlags(rawValue: 16)
}

/// Result of a walk.
public struct Resolved {
    /// nil: the last component does not exist, its directory does.
    public var inode: Inode?
    /// The directory that holds the last component.
    public var parent: Inode
    /// The last component: "" for the root itself, "." and ".." are kept.
    public var name: Bytes
    /// A slash followed the last component.
    public var mustBeDirectory: Bool
    /// With `keepFinal`: why the last component could not even be looked up. rename(2) tells of it
    /// only after the other path was walked.
    var lookUpError: Errno?

    /// Whether the last component is a name that can be made, removed or renamed: not "/", "." or
    /// "..".
    public var isOrdinaryName: Bool { !(name.isEmpty || name == [.dot] || name == [.dot, .dot]) }
}

/// A path that is being read, component by component.
struct PathCursor {
    private let bytes: Bytes
    private var position = 0

    init(_ bytes: Bytes) { self.bytes = bytes }

    var isAbsolute: Bool { bytes.first == .slash }
    /// Whether a slash is next.
    var isAtSlash: Bool { position < bytes.count && bytes[position] == .slash }
    /// Whether nothing but slashes is left.
    var isSpent: Bool {
        var place = position
        while place < bytes.count, bytes[place] == .slash { place += 1 }
        return place == bytes.count
    }

    /// What was not read yet, from a slash on.
    var rest: ArraySlice<UInt8> { bytes[position...] }

    /// The next component, without slashes; nil at the end.
    mutating func next() -> ArraySlice<UInt8>? {
        while position < bytes.count, bytes[position] == .slash { position += 1 }
        let start = position
        while position < bytes.count, bytes[position] != .slash { position += 1 }
        return start == position ? nil : bytes[start..<position]
    }
}

/// One walk along a path (path_resolution(7)). Ends: each round consumes a component, and at most
/// `PathLimit.symbolicLinks` links add components, at most a page each.
struct PathWalk {
    private let fileSystem: FileSystem
    private let flags: ResolveFlags
    private let caller: Caller
    /// Where the walk is.
    private var directory: Inode
    /// What is left to read: the path, and above it the targets of links met on the way.
    private var cursors: [PathCursor]
    private var linksLeft = PathLimit.symbolicLinks
    /// A link at the end was followed by a slash.
    private var forcesDirectory = false

    init(
        _ fileSystem: FileSystem, _ path: Bytes, from base: Inode, flags: ResolveFlags,
        _ caller: Caller
    ) {
        self.fileSystem = fileSystem
        self.flags = flags
        self.caller = caller
        let cursor = PathCursor(path)
        directory = cursor.isAbsolute ? caller.root : base
        cursors = [cursor]
    }

    mutating func run() throws(Errno) -> Resolved {
        while let component = nextComponent() {
            guard directory.kind == .directory else { throw .ENOTDIR }
            guard directory.permits(AccessMask.execute, caller.credentials) else { throw .EACCES }
            let isLast = cursors.allSatisfy { $0.isSpent }
            let hasSlash = isLast && (forcesDirectory || cursors.contains { $0.isAtSlash })
            if let result = try step(component, isLast: isLast, hasSlash: hasSlash) {
                return result
            }
        }
        return Resolved(inode: directory, parent: directory, name: [], mustBeDirectory: true)
    }

    private mutating func nextComponent() -> ArraySlice<UInt8>? {
        while !cursors.isEmpty {
            if let component = cursors[cursors.count - 1].next() { return component }
            cursors.removeLast()
        }
        return nil
    }

    /// Goes along one component; answers the result when it was the last.
    private mutating func step(
        _ component: ArraySlice<UInt8>, isLast: Bool, hasSlash: Bool
    ) throws(Errno) -> Resolved? {
        if let place = dots(component) {
            directory = place
            guard isLast else { return nil }
            return Resolved(
                inode: place, parent: place, name: Bytes(component), mustBeDirectory: true)
        }
        if hasSlash && flags.contains(.creating) { throw .EISDIR }
        if let error = lookUpError(component) {
            guard isLast, flags.contains(.keepFinal) else { throw error }
            return missing(component, hasSlash: hasSlash, error)
        }
        guard let found = try fileSystem.child(of: directory, named: component, caller) else {
            tellMissing(component, isLast: isLast)
            guard isLast else { throw .ENOENT }
            return missing(component, hasSlash: hasSlash, nil)
        }
        let follows =
            !isLast || flags.contains(.followFinal) || (hasSlash && !flags.contains(.keepFinal))
        if found.kind == .symbolicLink && follows {
            return try follow(found, isLast: isLast, hasSlash: hasSlash)
        }
        guard isLast else {
            directory = found
            return nil
        }
        return try final(found, in: directory, Bytes(component), hasSlash: hasSlash)
    }

    /// Tells of a name that is not there, with what was to follow it.
    private func tellMissing(_ component: ArraySlice<UInt8>, isLast: Bool) {
        guard let tell = fileSystem.onMissing else { return }
        if isLast && !flags.isDisjoint(with: [.keepFinal, .creating]) { return }
        guard var path = directory.path(below: fileSystem.root) else { return }
        if path.last != .slash { path.append(.slash) }
        path.append(contentsOf: component)
        for cursor in cursors.reversed() { path.append(contentsOf: cursor.rest) }
        tell(path)
    }

    /// Why a name cannot be in the directory at all.
    private func lookUpError(_ component: ArraySlice<UInt8>) -> Errno? {
        if directory.isRemoved { return .ENOENT }
        return component.count > PathLimit.name ? .ENAMETOOLONG : nil
    }

    private func missing(_ component: ArraySlice<UInt8>, hasSlash: Bool, _ error: Errno?)
        -> Resolved
    {
        Resolved(
            inode: nil, parent: directory, name: Bytes(component), mustBeDirectory: hasSlash,
            lookUpError: error)
    }

    /// The directory that "." or ".." leads to; nil for other names.
    private func dots(_ component: ArraySlice<UInt8>) -> Inode? {
        guard component.first == .dot, component.count <= 2 else { return nil }
        if component.count == 1 { return directory }
        guard component.last == .dot else { return nil }
        return directory === caller.root ? directory : directory.parentDirectory
    }

    /// Goes through a symbolic link: by its text, or straight to an inode when it is a magic link.
    private mutating func follow(_ link: Inode, isLast: Bool, hasSlash: Bool) throws(Errno)
        -> Resolved?
    {
        guard linksLeft > 0, !flags.contains(.noSymbolicLinks) else { throw .ELOOP }
        linksLeft -= 1
        if let goal = try link.generated?.follow(caller) {
            if isLast {
                return try final(goal, in: goal.parentDirectory, goal.name, hasSlash: hasSlash)
            }
            directory = goal
            return nil
        }
        let text = try fileSystem.readLink(link, caller)
        guard !text.isEmpty else { throw .ENOENT }
        if isLast {
            forcesDirectory = hasSlash
            cursors.removeAll(keepingCapacity: true)
        }
        let cursor = PathCursor(text)
        if cursor.isAbsolute { directory = caller.root }
        cursors.append(cursor)
        return nil
    }

    private func final(
        _ inode: Inode, in parent: Inode, _ name: Bytes, hasSlash: Bool
    ) throws(Errno) -> Resolved {
        let needsDirectory = flags.contains(.directoryRequired) || hasSlash
        if needsDirectory && !flags.contains(.keepFinal) && inode.kind != .directory {
            throw .ENOTDIR
        }
        return Resolved(inode: inode, parent: parent, name: name, mustBeDirectory: hasSlash)
    }
}

extension UInt8 {
    static let slash: UInt8 = 0x2F
    static let dot: UInt8 = 0x2E
    static let newline: UInt8 = 0x0A
    static let space: UInt8 = 0x20
    /// The digit.
    static let zero: UInt8 = 0x30
}
