/// A Linux error number (errno(3), x86-64 values). System calls return it negated.
public struct Errno: Error, Equatable, Sendable {
    public var rawValue: Int32
    @inlinable public init(_ rawValue: Int32) { self.rawValue = rawValue }

    public static let EPERM = Errno(1), ENOENT = Errno(2), ESRCH = Errno(3), EINTR = Errno(4),
        EIO = Errno(5)
    public static let ENXIO = Errno(6), E2BIG = Errno(7), ENOEXEC = Errno(8), EBADF = Errno(9),
        ECHILD = Errno(10)
    public static let EAGAIN = Errno(11), ENOMEM = Errno(12), EACCES = Errno(13), EFAULT = Errno(14)
    public static let ENOTBLK = Errno(15), EBUSY = Errno(16), EEXIST = Errno(17), EXDEV = Errno(18)
    public static let ENODEV = Errno(19), ENOTDIR = Errno(20), EISDIR = Errno(21),
        EINVAL = Errno(22)
    public static let ENFILE = Errno(23), EMFILE = Errno(24), ENOTTY = Errno(25),
        ETXTBSY = Errno(26)
    public static let EFBIG = Errno(27), ENOSPC = Errno(28), ESPIPE = Errno(29), EROFS = Errno(30)
    public static let EMLINK = Errno(31), EPIPE = Errno(32), EDOM = Errno(33), ERANGE = Errno(34)
    public static let EDEADLK = Errno(35), ENAMETOOLONG = Errno(36), ENOLCK = Errno(37),
        ENOSYS = Errno(38),
        ENOTEMPTY = Errno(39)
    public static let ELOOP = Errno(40), ENODATA = Errno(61), ETIME = Errno(62), EPROTO = Errno(71)
    public static let EOVERFLOW = Errno(75), EILSEQ = Errno(84), ENOTSOCK = Errno(88)
    public static let EDESTADDRREQ = Errno(89), EMSGSIZE = Errno(90), EPROTOTYPE = Errno(91)
    public static let ENOPROTOOPT = Errno(92), EPROTONOSUPPORT = Errno(93), EOPNOTSUPP = Errno(95)
    public static let EAFNOSUPPORT = Errno(97), EADDRINUSE = Errno(98), EADDRNOTAVAIL = Errno(99)
    public static let ENETUNREACH = Errno(101), ECONNABORTED = Errno(103), ECONNRESET = Errno(104)
    public static let ENOBUFS = Errno(105), EISCONN = Errno(106), ENOTCONN = Errno(107)
    public static let ETIMEDOUT = Errno(110), ECONNREFUSED = Errno(111), EALREADY = Errno(114)
    public static let EINPROGRESS = Errno(115)
}
