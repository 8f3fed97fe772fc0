import Glibc
import SystemPackage

/// The text for an error number (strerror(3)).
func errnoText(_ number: Int32) -> String { Errno(rawValue: number).description }

/// File operations that turn error numbers into `HostError`.
enum Files {
    /// Wraps an error of a system call on a path.
    static func error(_ call: String, _ path: FilePath, _ errno: Errno) -> HostError {
        switch errno {
        case .noSpace, .diskQuotaExceeded: .diskFull(path: path.string)
        default: .system(call: call, path: path.string, errno: errno.rawValue)
        }
    }

    static func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode,
        options: FileDescriptor.OpenOptions = [],
        permissions: FilePermissions? = nil
    ) throws(HostError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                path, mode, options: options.union(.closeOnExec), permissions: permissions,
                retryOnInterrupt: true)
        } catch let errno as Errno {
            throw error("open", path, errno)
        } catch { throw .system(call: "open", path: path.string, errno: EIO) }
    }

    static func writeAll(_ bytes: [UInt8], to file: FileDescriptor, path: FilePath)
        throws(HostError)
    {
        do {
            _ = try file.writeAll(bytes)
        } catch let errno as Errno {
            throw error("write", path, errno)
        } catch { throw .system(call: "write", path: path.string, errno: EIO) }
    }

    /// The whole file; at most `limit` bytes of it.
    static func read(_ path: FilePath, limit: Int = .max) throws(HostError) -> [UInt8] {
        let file = try open(path, .readOnly)
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while bytes.count < limit {
            let count: Int
            do {
                count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
            } catch {
                throw .cannotRead(
                    path: path.string, reason: (error as? Errno)?.description ?? "\(error)")
            }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<min(count, limit - bytes.count)])
        }
        return bytes
    }

    /// Replaces a file in one step: readers see the old bytes or the new ones.
    static func replace(_ path: FilePath, with bytes: [UInt8]) throws(HostError) {
        let temporary = FilePath(path.string + ".new")
        let file = try open(
            temporary, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        defer { try? file.close() }
        try writeAll(bytes, to: file, path: temporary)
        if rename(temporary.string, path.string) != 0 {
            throw error("rename", path, Errno(rawValue: errno))
        }
    }

    /// What is at a path, links not followed; nil when nothing is.
    static func status(_ path: FilePath, followLinks: Bool = true) -> stat? {
        var status = stat()
        let result = followLinks ? stat(path.string, &status) : lstat(path.string, &status)
        return result == 0 ? status : nil
    }

    static func exists(_ path: FilePath) -> Bool { status(path) != nil }

    /// Names in a directory, sorted.
    static func list(_ path: FilePath) throws(HostError) -> [String] {
        guard let directory = opendir(path.string) else {
            throw error("opendir", path, Errno(rawValue: errno))
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// An absolute path without `.`, `..` or links; nil when it does not exist.
    static func resolved(_ path: FilePath) -> FilePath? {
        guard let text = realpath(path.string, nil) else { return nil }
        defer { free(text) }
        return FilePath(String(cString: text))
    }

    /// An absolute path, lexically normal: links stay.
    static func absolute(_ path: FilePath) -> FilePath {
        guard path.isRelative, let text = getcwd(nil, 0) else { return path.lexicallyNormalized() }
        defer { free(text) }
        return FilePath(String(cString: text)).pushing(path).lexicallyNormalized()
    }
}

extension stat {
    var kind: mode_t { st_mode & S_IFMT }
    var isDirectory: Bool { kind == S_IFDIR }
    var isRegular: Bool { kind == S_IFREG }
    var isLink: Bool { kind == S_IFLNK }
}
