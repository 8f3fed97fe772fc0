/// Why the store's image was not taken in, and which record is wrong.
public struct ImageError: Error, Equatable, Sendable {
    public enum Fault: Error, Equatable, Sendable {
        /// Not the magic number, another format, or a table outside the image.
        case badHeader
        /// The table ends inside a record, or has another number of records.
        case truncated
        /// Record 0 is not a directory, or another one is the root's.
        case badRoot
        /// The parent is not an earlier directory.
        case badParent
        /// A name is empty, longer than 255 bytes, has a slash or a zero byte, is "." or "..", or is
        /// there already.
        case badName
        /// The type bits of a mode name no kind of file.
        case unknownKind
        /// A symbolic link's target is empty, too long, or has a zero byte; or what has one is no
        /// symbolic link.
        case badTarget
        /// A further name of a directory, or of no earlier record.
        case badLink
        /// A file's bytes lie outside the image.
        case badExtent
        case refused(Errno)
    }

    public var fault: Fault
    /// Number of the record.
    public var record: UInt64

    public init(_ fault: Fault, record: UInt64) {
        self.fault = fault
        self.record = record
    }

    /// One line for a person.
    public var message: StaticString {
        switch fault {
        case .badHeader: "not an image of this format"
        case .truncated: "table ends early"
        case .badRoot: "the first record is not the root directory"
        case .badParent: "parent is not an earlier directory"
        case .badName: "name cannot be one, or is there twice"
        case .unknownKind: "unknown file type"
        case .badTarget: "bad target of a symbolic link"
        case .badLink: "bad further name of a file"
        case .badExtent: "file lies outside the image"
        case .refused: "the file system refused a record"
        }
    }

    /// The error number that says it best to a program.
    public var errno: Errno {
        if case .refused(let errno) = fault { return errno }
        return .EINVAL
    }
}
