import Glibc
import SystemPackage

/// An advisory lock on a file (flock(2)): it ends with the last process that has the descriptor,
/// however it dies.
///
/// A run has two: the machine lock, inherited by the virtual machine, and the console lock of the
/// one process that pumps the console. The file's text names the holder, for messages only.
public struct StoreLock: ~Copyable {
    public let descriptor: FileDescriptor

    /// Takes a lock, waiting at most `patience` milliseconds. Nil when another process has it.
    public init?(_ path: FilePath, patience: Int = 0, holder: String) throws(HostError) {
        descriptor = try Files.open(
            path, .readWrite, options: .create, permissions: .ownerReadWrite)
        var waited = 0
        while flock(descriptor.rawValue, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, waited < patience else {
                try? descriptor.close()
                return nil
            }
            usleep(20_000)
            waited += 20
        }
        let text = Array("\(getpid()) \(holder)\n".utf8)
        _ = ftruncate(descriptor.rawValue, 0)
        _ = try? descriptor.writeAll(toAbsoluteOffset: 0, text)
    }

    /// Whether some process has the lock now.
    public static func isHeld(_ path: FilePath) -> Bool {
        guard let file = try? Files.open(path, .readOnly) else { return false }
        defer { try? file.close() }
        return flock(file.rawValue, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// Who took the lock last: "process 123 (evertree run)".
    public static func holder(_ path: FilePath) -> String {
        guard let fields = holderFields(path) else { return "another process" }
        return "process \(fields.process) (\(fields.what))"
    }

    /// The process that took the lock last.
    public static func holderProcess(_ path: FilePath) -> pid_t? { holderFields(path)?.process }

    private static func holderFields(_ path: FilePath) -> (process: pid_t, what: Substring)? {
        guard let bytes = try? Files.read(path, limit: 256) else { return nil }
        let fields = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
            .first?
            .split(separator: " ", maxSplits: 1)
        guard let fields, fields.count == 2, let process = pid_t(fields[0]) else { return nil }
        return (process, fields[1])
    }

    deinit { try? descriptor.close() }
}
