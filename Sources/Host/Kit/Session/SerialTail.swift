import CHostKit
import Glibc
import SystemPackage

/// Follows the kernel's debug output in `serial.log`.
struct SerialTail: ~Copyable {
    private let file: FileDescriptor
    /// Readable when the file grew; negative when it cannot be watched.
    let watch: Int32

    /// Starts at the end of the file, which is made if there is none.
    init(_ path: FilePath) throws(HostError) {
        file = try Files.open(path, .readOnly, options: .create, permissions: .ownerReadWrite)
        _ = try? file.seek(offset: 0, from: .end)
        watch = hostkit_watch(path.string)
    }

    /// What was added since the last call.
    func read() -> [UInt8] {
        if watch >= 0 { hostkit_drain(watch) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while let count = try? chunk.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0
        {
            bytes += chunk[..<count]
        }
        return bytes
    }

    deinit {
        try? file.close()
        if watch >= 0 { close(watch) }
    }
}
