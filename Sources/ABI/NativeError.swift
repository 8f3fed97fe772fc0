/// Why a native system call failed. The call returns the negated raw value in `rax`.
public enum NativeError: Int64, Error, Sendable {
    /// The call number is not assigned.
    case unknownCall = 1
    /// The slot is outside the table or empty.
    case noCapability = 2
    /// The capability names an object of another kind.
    case wrongKind = 3
    /// The capability lacks a right that the call needs.
    case noRights = 4
    /// An address or a length is not readable or writable in the given space.
    case badAddress = 5
    /// An argument is out of its range or not aligned.
    case badArgument = 6
    /// No frame, record, slot or translation memory is left.
    case noMemory = 7
    /// The deadline passed.
    case timedOut = 8
    /// The peer or the object went away while the caller waited.
    case gone = 9
    /// The caller must try again: the bounded part of a long call is done.
    case again = 10
    /// The range is not mapped.
    case notMapped = 11
    /// Capabilities were derived from one another too often (more than 32 deep).
    case tooDeep = 12
    /// There is nothing to reply to.
    case noCaller = 13
}
