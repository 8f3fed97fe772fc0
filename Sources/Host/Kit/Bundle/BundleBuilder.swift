import ABI
import Glibc
import SystemPackage

/// A `--file HOST[:GUEST]` option.
public struct FileOption: Equatable, Sendable {
    public var host: FilePath
    /// Absolute path in the guest.
    public var guest: FilePath

    /// A path that exists as a whole is taken as such, colon and all. Nil when the guest path is
    /// not absolute.
    public init?(_ text: String) {
        if Files.exists(FilePath(text)) {
            host = FilePath(text)
            guest = Files.absolute(host)
            return
        }
        guard let colon = text.lastIndex(of: ":") else {
            host = FilePath(text)
            guest = Files.absolute(host)
            return
        }
        let destination = FilePath(String(text[text.index(after: colon)...]))
        guard destination.isAbsolute else { return nil }
        host = FilePath(String(text[..<colon]))
        guest = destination.lexicallyNormalized()
    }
}

/// What the first process is to run.
public struct ProgramSpecification: Equatable, Sendable {
    /// Program and arguments; the program as on a shell's command line.
    public var command: [String]
    /// `KEY=VALUE`.
    public var environment: [String]
    public var files: [FileOption]
    public var workingDirectory: String
    public var hostname: String
    /// Whether descriptors 0, 1 and 2 are terminals.
    public var terminals: [Bool]

    public init(
        command: [String], environment: [String], files: [FileOption] = [],
        workingDirectory: String = "/",
        hostname: String = "evertree", terminals: [Bool] = [false, false, false]
    ) {
        self.command = command
        self.environment = environment
        self.files = files
        self.workingDirectory = workingDirectory
        self.hostname = hostname
        self.terminals = terminals
    }
}

/// Builds the boot bundle (`ABI.Bundle`).
public struct BundleBuilder: Sendable {
    let server: FilePath

    /// `server` is the first process's ELF file.
    public init(server: FilePath) { self.server = server }

    /// Writes the archive: server, boot specification, program with what it needs, then the files
    /// asked for.
    public func build(_ specification: ProgramSpecification, into archive: FilePath)
        throws(HostError)
    {
        guard let name = specification.command.first else { throw .usage("no program was named") }
        let program = try ProgramSearch.find(name)
        // The first entry must be the server itself, not its directory.
        var writer = try CpioWriter(archive, assumed: [".evertree"])
        let executable = CpioWriter.Attributes(mode: UInt32(S_IFREG) | 0o755)
        try writer.add(Bundle.serverPath, executable, copying: server)
        try writer.add(
            Bundle.specificationPath, .init(mode: UInt32(S_IFREG) | 0o600),
            contents: BundleBuilder.encode(specification, program: program))
        // Files named by the user first: they win over what a program would bring along.
        for option in specification.files {
            try addTree(option.host, at: option.guest, to: &writer)
        }
        for option in specification.files {
            if ExecutableKind.needsLoader(option.host) {
                try addNeeds(option.host, to: &writer, depth: 0)
            }
        }
        try addProgram(program, to: &writer, depth: 0)
        try writer.finish()
    }

    /// NUL-terminated `key=value` entries.
    static func encode(_ specification: ProgramSpecification, program: FilePath) throws(HostError)
        -> [UInt8]
    {
        let terminals = specification.terminals.map { $0 ? "1" : "0" }.joined()
        var entries = ["program=\(program.string)"]
        entries += specification.command.map { "arg=\($0)" }
        entries += specification.environment.map { "env=\($0)" }
        entries += ["cwd=\(specification.workingDirectory)", "hostname=\(specification.hostname)"]
        entries.append("terminal=\(terminals)")
        if entries.contains(where: { $0.utf8.contains(0) }) {
            throw .usage("an argument holds a NUL byte")
        }
        return entries.flatMap { Array($0.utf8) + [0] }
    }

    /// A program with what it needs. What is neither ELF nor a script is refused first.
    private func addProgram(_ path: FilePath, to writer: inout CpioWriter, depth: Int)
        throws(HostError)
    {
        guard depth < 5 else {
            throw .unsupportedProgram(
                path: path.string, reason: "its interpreters are nested too deeply")
        }
        _ = try ExecutableKind.of(path)
        try addFile(path, at: path, to: &writer)
        try addNeeds(path, to: &writer, depth: depth)
    }

    /// What a program needs to start, at the paths it has on the host.
    private func addNeeds(_ path: FilePath, to writer: inout CpioWriter, depth: Int)
        throws(HostError)
    {
        switch try ExecutableKind.of(path) {
        case .staticELF: break
        case .script(let interpreter):
            try addProgram(FilePath(interpreter), to: &writer, depth: depth + 1)
        case .dynamicELF(let interpreter):
            try addFile(FilePath(interpreter), at: FilePath(interpreter), to: &writer)
            for library in try SharedLibraries.of(path, interpreter: interpreter) {
                try addFile(library, at: library, to: &writer)
            }
        }
    }

    /// One regular file, links followed.
    private func addFile(
        _ source: FilePath, at destination: FilePath, to writer: inout CpioWriter
    ) throws(HostError) {
        let name = BundleBuilder.archiveName(destination)
        if writer.contains(name) { return }
        guard let status = Files.status(source) else {
            throw .cannotRead(path: source.string, reason: errnoText(errno))
        }
        guard status.isRegular else {
            throw .cannotRead(path: source.string, reason: "it is not a regular file")
        }
        try writer.add(name, .init(status), copying: source)
    }

    /// A file or a directory with all that is in it. Links inside a directory stay links.
    private func addTree(
        _ source: FilePath, at destination: FilePath, to writer: inout CpioWriter,
        isTop: Bool = true
    ) throws(HostError) {
        guard let status = Files.status(source, followLinks: isTop) else {
            throw .cannotRead(path: source.string, reason: errnoText(errno))
        }
        let name = BundleBuilder.archiveName(destination)
        if status.isDirectory {
            if !name.isEmpty && !writer.contains(name) { try writer.add(name, .init(status)) }
            for entry in try Files.list(source) {
                try addTree(
                    source.appending(entry), at: destination.appending(entry), to: &writer,
                    isTop: false)
            }
        } else if writer.holds(name, from: status) {
            return
        } else if writer.contains(name) {
            throw .usage("two files are to go to \(destination.string) in the guest")
        } else if status.isLink {
            try writer.add(name, .init(status), contents: try BundleBuilder.linkTarget(source))
        } else if status.isRegular {
            try writer.add(name, .init(status), copying: source)
        } else if isTop {
            throw .cannotRead(path: source.string, reason: "it is neither a file nor a directory")
        }
    }

    private static func linkTarget(_ path: FilePath) throws(HostError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path.string, &buffer, buffer.count)
        guard count >= 0 else { throw Files.error("readlink", path, Errno(rawValue: errno)) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// A guest path without its leading slash.
    private static func archiveName(_ path: FilePath) -> String {
        String(Files.absolute(path).string.drop { $0 == "/" })
    }
}

extension CpioWriter.Attributes {
    /// Owner and group become root, whose processes the guest's are.
    fileprivate init(_ status: stat) {
        self.init(mode: UInt32(status.st_mode), modified: UInt32(clamping: status.st_mtim.tv_sec))
    }
}
