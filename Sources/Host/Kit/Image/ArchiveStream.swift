import CHostKit
import Glibc
import SystemPackage

/// The bytes of a file as they are or decompressed by the host's own tool, which is found by the
/// file's first bytes: gzip(1), xz(1), zstd(1).
final class ArchiveStream {
    private let input: FileDescriptor
    private let path: String
    /// The decompressor, until it was waited for.
    private var process: pid_t?
    private let tool: String

    private static let tools: [(magic: [UInt8], name: String, package: String)] = [
        ([0x1F, 0x8B], "gzip", "gzip"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz", "xz-utils"),
        ([0x28, 0xB5, 0x2F, 0xFD], "zstd", "zstd"), ([0x42, 0x5A, 0x68], "bzip2", "bzip2"),
    ]

    init(_ file: FilePath) throws(HostError) {
        path = file.string
        let start = try Files.read(file, limit: 6)
        let source = try Files.open(file, .readOnly)
        guard let found = ArchiveStream.tools.first(where: { start.starts(with: $0.magic) }) else {
            (input, tool, process) = (source, "", nil)
            return
        }
        defer { try? source.close() }
        guard let program = ProgramSearch.inPath(found.name) else {
            throw .cannotRead(
                path: path,
                reason: "\(found.name) is needed to decompress it (Debian package \(found.package))"
            )
        }
        tool = found.name
        let pipe = try ArchiveStream.pipe()
        defer { try? pipe.write.close() }
        let started = ArchiveStream.spawn(program, source, pipe.write)
        guard started > 0 else {
            try? pipe.read.close()
            throw .system(call: "start", path: program.string, errno: -started)
        }
        process = started
        input = pipe.read
    }

    deinit {
        try? input.close()
        if let process { waitpid(process, nil, 0) }
    }

    private static func pipe() throws(HostError) -> (read: FileDescriptor, write: FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            throw .system(call: "pipe", path: "a decompressor", errno: errno)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    private static func spawn(
        _ program: FilePath, _ source: FileDescriptor, _ sink: FileDescriptor
    ) -> pid_t {
        var arguments: [UnsafeMutablePointer<CChar>?] = [program.string, "-dc"].map {
            (text: String) in
            strdup(text)
        }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        guard let place = try? Files.open("/", .readOnly, options: .directory) else { return -EIO }
        defer { try? place.close() }
        return arguments.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { return -EINVAL }
            var how = hostkit_spawn()
            how.path = UnsafePointer(list[0])
            how.arguments = base
            how.directory = place.rawValue
            how.input = source.rawValue
            how.output = sink.rawValue
            how.error = 2
            how.inherited = -1
            how.dies_with_parent = 1
            return hostkit_spawn_process(&how)
        }
    }

    /// Some bytes; 0 at the end, after the decompressor said that all was well.
    func read(into bytes: UnsafeMutableRawBufferPointer) throws(HostError) -> Int {
        while true {
            let count = Glibc.read(input.rawValue, bytes.baseAddress, bytes.count)
            if count > 0 { return count }
            if count < 0 {
                if errno == EINTR { continue }
                throw .cannotRead(path: path, reason: errnoText(errno))
            }
            try finish()
            return 0
        }
    }

    /// Reads on to the end, so that damage behind what was needed is found.
    func drain() throws(HostError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var more = true
        while more {
            var failure: HostError?
            more = buffer.withUnsafeMutableBytes { bytes in
                do throws(HostError) { return try read(into: bytes) > 0 } catch {
                    failure = error
                    return false
                }
            }
            if let failure { throw failure }
        }
    }

    private func finish() throws(HostError) {
        guard let process else { return }
        self.process = nil
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        if status != 0 {
            throw .cannotRead(path: path, reason: "\(tool) could not decompress it")
        }
    }
}
