import Glibc

/// The host's ends of the console.
public struct ConsoleStreams {
    /// Negative: the guest gets no input, and no end of input either.
    public var input: Int32
    public var output: Int32
    public var error: Int32

    public init(input: Int32 = 0, output: Int32 = 1, error: Int32 = 2) {
        self.input = input
        self.output = output
        self.error = error
    }

    /// Whether each of the three is a terminal. Input counts only together with output: the guest
    /// echoes what is typed, and that must not get into a file.
    public var terminals: [Bool] {
        let found = [input, output, error].map { isatty($0) == 1 }
        return [found[0] && found[1], found[1], found[2]]
    }

    /// How many bytes one write may take without blocking once poll(2) says that the descriptor is
    /// writable.
    static func chunk(_ descriptor: Int32) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.isRegular else { return 4096 }  // PIPE_BUF
        return 65536
    }

    /// Writes text of Evertree's own, also to a terminal in raw mode.
    static func writeText(_ bytes: [UInt8], to descriptor: Int32) {
        guard isatty(descriptor) == 1 else { return writeAll(bytes, to: descriptor) }
        writeAll(bytes.flatMap { $0 == UInt8(ascii: "\n") ? [13, 10] : [$0] }, to: descriptor)
    }

    /// Writes all of a message, waiting as long as it takes; gives up silently when nobody can read
    /// it.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if count > 0 {
                done += count
            } else if errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}

extension ConsoleStreams {
    /// What the host's terminal is called, for the guest's `TERM`.
    public static var terminalName: String { getenv("TERM").map { String(cString: $0) } ?? "vt100" }
}
