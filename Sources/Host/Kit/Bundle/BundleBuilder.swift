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
    /// Program and arguments; the program as on a shell's command line. Empty: the image's.
    public var command: [String]
    /// `KEY=VALUE`, beside what the image and the command set.
    public var environment: [String]
    public var files: [FileOption]
    /// A directory, a tar archive or an OCI layout whose tree is the guest's root; nil: the program
    /// comes from the host, with what it needs.
    public var root: String?
    /// `NAME|UID[:GROUP|GID]`; nil: the image's, or the superuser.
    public var user: String?
    /// nil: the image's, or `/`.
    public var workingDirectory: String?
    public var hostname: String
    /// Whether descriptors 0, 1 and 2 are terminals.
    public var terminals: [Bool]

    public init(
        command: [String], environment: [String], files: [FileOption] = [],
        workingDirectory: String? = nil,
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

/// How the first process's program is started: what the guest's server reads.
struct Launch: Equatable {
    /// Absolute path in the guest.
    var program: String
    var arguments: [String]
    var environment: [String]
    var workingDirectory: String
    var user: UInt32 = 0
    var group: UInt32 = 0
    /// Supplementary groups.
    var groups: [UInt32] = []
    var hostname = "evertree"
    var terminals = [false, false, false]
}

/// Builds the boot bundle (`ABI.Bundle`): the server and the boot specification. The guest's files
/// are in the store's image.
struct BundleBuilder {
    let server: FilePath

    /// `server` is the first process's ELF file.
    init(server: FilePath) { self.server = server }

    /// `imagePages`: pages of the store's image.
    func build(_ launch: Launch, imagePages: UInt64, into archive: FilePath) throws(HostError) {
        // The first entry must be the server itself, not its directory.
        var writer = try CpioWriter(archive, assumed: [".evertree"])
        let executable = CpioWriter.Attributes(mode: UInt32(S_IFREG) | 0o755)
        try writer.add(Bundle.serverPath, executable, copying: server)
        try writer.add(
            Bundle.specificationPath, .init(mode: UInt32(S_IFREG) | 0o600),
            contents: BundleBuilder.encode(launch, imagePages: imagePages))
        try writer.finish()
    }

    /// NUL-terminated `key=value` entries.
    static func encode(_ launch: Launch, imagePages: UInt64) throws(HostError) -> [UInt8] {
        var entries = ["program=\(launch.program)", "image=\(imagePages)"]
        entries += launch.arguments.map { "arg=\($0)" }
        entries += launch.environment.map { "env=\($0)" }
        entries += ["cwd=\(launch.workingDirectory)", "hostname=\(launch.hostname)"]
        entries += ["user=\(launch.user)", "group=\(launch.group)"]
        entries += launch.groups.map { "groups=\($0)" }
        entries.append("terminal=\(launch.terminals.map { $0 ? "1" : "0" }.joined())")
        if entries.contains(where: { $0.utf8.contains(0) }) {
            throw .usage("an argument holds a NUL byte")
        }
        return entries.flatMap { Array($0.utf8) + [0] }
    }
}
