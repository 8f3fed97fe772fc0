import ArgumentParser
import HostKit
import Store

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts a program in a new store.",
        usage: """
            evertree run [OPTIONS] -- PROGRAM [ARGUMENTS ...]
            evertree run --root DIR|TAR|OCI-LAYOUT [OPTIONS] [-- PROGRAM [ARGUMENTS ...]]
            """)

    @Option(help: "The store's directory, made for this run.", transform: { $0 })
    var store: String?
    @Option(
        help: """
            Time between checkpoints: 500us, 1ms, 2s, or off (default: 1ms; 1s with host-flush).
            """)
    var interval: CheckpointInterval?
    @Option(help: "Volatile memory of the machine.")
    var memory = ByteSize(bytes: 512 << 20)
    @Option(
        help: """
            Non-volatile memory of the machine: the most that the store's file grows to (default: 1024M, \
            more for a larger root).
            """)
    var nvm: ByteSize?
    @Option(
        help: """
            What the store's memory keeps without being told: coherent-cache, cache-line-flush or \
            host-flush.
            """)
    var domain = PersistenceDomain.coherentCache
    @Option(help: "Processors.")
    var cpus = 2
    @Option(help: "auto, tcg or kvm.")
    var accel = "auto"
    @Option(
        name: .customLong("env"), help: "Add KEY=VALUE to the program's environment (repeatable).")
    var environment: [String] = []
    @Option(
        name: .customLong("file"),
        help: "Take HOST[:GUEST], a file or a directory, into the guest (repeatable).")
    var files: [String] = []
    @Option(
        help: """
            The guest's root file system: a directory, a tar archive (also .gz, .xz, .zst) or an OCI image \
            layout, as DIR or DIR:TAG.
            """)
    var root: String?
    @Option(help: "Run the program as NAME|UID[:GROUP|GID] of the root file system.")
    var user: String?
    @Option(
        name: .customLong("cwd"),
        help: "The program's working directory (default: the image's, or /).")
    var workingDirectory: String?
    @Option(
        help: ArgumentHelp(
            "A word for the kernel's command line (repeatable).", visibility: .hidden))
    var kernelArgument: [String] = []
    @Flag(help: "Leave the machine running in the background.")
    var detach = false
    @Argument(
        parsing: .postTerminator, help: "The program, a path or a name in PATH, and its arguments.")
    var command: [String] = []

    func validate() throws {
        if command.isEmpty && root == nil { throw ValidationError("Name the program after --") }
        if let wrong = environment.first(where: { !$0.contains("=") || $0.hasPrefix("=") }) {
            throw ValidationError("--env takes KEY=VALUE, not '\(wrong)'")
        }
        if let wrong = files.first(where: { FileOption($0) == nil }) {
            throw ValidationError("--file takes HOST or HOST:/GUEST, not '\(wrong)'")
        }
    }

    func run() throws {
        try reporting {
            let signals = SignalSource()
            let runner = Runner(StoreDirectory(storePath), signals: signals, log: messages)
            return try runner.run(options)
        }
    }

    /// Named for the program when no name was given.
    private var storePath: String {
        if let store { return store }
        let name = command.first ?? root ?? "run"
        return (name.split(separator: "/").last.map(String.init) ?? "run") + ".evertree"
    }

    private var options: RunOptions {
        var program = ProgramSpecification(
            command: command, environment: environment,
            files: files.compactMap(FileOption.init), workingDirectory: workingDirectory)
        program.root = root
        program.user = user
        if !detach { program.terminals = ConsoleStreams().terminals }
        if program.terminals[0] {
            program.environment.insert("TERM=\(ConsoleStreams.terminalName)", at: 0)
        }
        var options = RunOptions(program: program)
        options.cpus = cpus
        options.memoryBytes = memory.bytes
        options.nvmBytes = nvm?.bytes ?? 1 << 30
        options.nvmMayGrow = nvm == nil
        options.interval = interval ?? CheckpointInterval.standard(domain)
        options.domain = domain
        options.accelerator = accel
        options.detach = detach
        options.kernelArguments = kernelArgument
        return options
    }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Goes on with a run from its last committed version, or attaches to its running machine."
    )

    @Argument(help: "The store's directory.")
    var directory: String
    @Option(
        help: ArgumentHelp(
            "A word for the kernel's command line (repeatable).", visibility: .hidden))
    var kernelArgument: [String] = []

    func run() throws {
        try reporting {
            let signals = SignalSource()
            let runner = Runner(StoreDirectory(directory), signals: signals, log: messages)
            return try runner.resume(kernelArguments: kernelArgument)
        }
    }
}

extension ByteSize: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { "\(mebibytes)M" }
}

extension PersistenceDomain: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public var defaultValueDescription: String { name }
}

extension CheckpointInterval: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { text }
}
