/// Why an archive was not unpacked, and where.
public struct ArchiveError: Error, Equatable, Sendable {
    public enum Fault: Error, Equatable, Sendable {
        /// Not the magic number 070701 (cpio format "newc"; `cpio -H newc` makes it).
        case notNewc
        /// A header field is not eight hexadecimal digits.
        case badNumber
        /// A name is empty, longer than a path may be, not ended by a zero byte, or has one inside.
        case badName
        /// A name has a ".." component.
        case leavesTree
        /// The archive ends inside a member, or without its trailer.
        case truncated
        /// The type bits of a mode name no kind of file.
        case unknownKind
        /// A symbolic link's target is empty, too long, or has a zero byte.
        case badTarget
        /// A hard link was archived as something else than a regular file.
        case badLink
        /// The file system or the file contents refused.
        case refused(Errno)
    }

    public var fault: Fault
    /// Where the member starts, in bytes from the start of the archive.
    public var offset: UInt64

    public init(_ fault: Fault, offset: UInt64) {
        self.fault = fault
        self.offset = offset
    }

    /// One line for a person.
    public var message: StaticString {
        switch fault {
        case .notNewc: "not a cpio archive of format newc (magic 070701)"
        case .badNumber: "header field is not a hexadecimal number"
        case .badName: "member name is empty, too long or has a zero byte"
        case .leavesTree: "member name has a .. component"
        case .truncated: "archive ends early"
        case .unknownKind: "member has an unknown file type"
        case .badTarget: "symbolic link target is empty, too long or has a zero byte"
        case .badLink: "hard link to something that is not a regular file"
        case .refused: "the file system refused a member"
        }
    }

    /// The error number that says it best to a program.
    public var errno: Errno {
        if case .refused(let errno) = fault { return errno }
        return fault == .truncated ? .EIO : .EINVAL
    }
}
