import ArgumentParser
import HostKit
import Store

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts a program in a new store.",
        usage: """
            evertree run [OPTIONS] -- PROGRAM [ARGUMENTS ...]
            evertree run --root DIR|TAR|OCI-LAYOUT [OPTIONS] [-- PROGRAM [ARGUMENTS ...]]
            evertree run --config FILE [OPTIONS] [-- PROGRAM [ARGUMENTS ...]]
            """)

    @Option(
        help: """
            Options from a TOML file, named as these flags; what is given here too wins, env and file are \
            added.
            """)
    var config: String?
    @Option(help: "The store's directory, made for this run.", transform: { $0 })
    var store: String?
    @Option(
        help: """
            Time between checkpoints: 500us, 1ms, 2s, or off (default: 1ms; 1s with host-flush).
            """)
    var interval: CheckpointInterval?
    @Option(help: "Volatile memory of the machine (default: 512M).")
    var memory: ByteSize?
    @Option(
        help: """
            Non-volatile memory of the machine: the most that the store's file grows to (default: 1024M, \
            more for a larger root).
            """)
    var nvm: ByteSize?
    @Option(
        help: """
            What the store's memory keeps without being told: coherent-cache, cache-line-flush or \
            host-flush (default: coherent-cache).
            """)
    var domain: PersistenceDomain?
    @Option(help: "Processors (default: 2).")
    var cpus: Int?
    @Option(help: "auto, tcg or kvm (default: auto).")
    var accel: String?
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
    @Option(
        name: [.customShort("p"), .customLong("publish")],
        help: """
            Publish a TCP port of the guest on the host: [ADDRESS:]HOST:GUEST, on 127.0.0.1 unless an address \
            is given (repeatable).
            """)
    var publish: [PortMapping] = []
    @Option(
        help: """
            on-crash: start the machine again when it ends before the program; published connections see a \
            pause. never is the default.
            """)
    var restart: RestartPolicy?
    @Flag(help: "Leave the machine running in the background.")
    var detach = false
    @Argument(
        parsing: .postTerminator, help: "The program, a path or a name in PATH, and its arguments.")
    var command: [String] = []

    func validate() throws {
        if command.isEmpty && root == nil && config == nil {
            throw ValidationError("Name the program after --")
        }
        if let wrong = environment.first(where: { !$0.contains("=") || $0.hasPrefix("=") }) {
            throw ValidationError("--env takes KEY=VALUE, not '\(wrong)'")
        }
        if let wrong = files.first(where: { FileOption($0) == nil }) {
            throw ValidationError("--file takes HOST or HOST:/GUEST, not '\(wrong)'")
        }
    }

    func run() throws {
        try reporting {
            var given = self
            if let config { try given.fill(from: try RunFile(reading: config), config) }
            if given.command.isEmpty && given.root == nil {
                throw HostError.usage("\(config ?? "") names neither a command nor a root")
            }
            let signals = SignalSource()
            let runner = Runner(StoreDirectory(given.storePath), signals: signals, log: messages)
            return try runner.run(given.options)
        }
    }

    /// What the file says and the flags do not.
    private mutating func fill(from file: RunFile, _ path: String) throws(HostError) {
        func value<Value: ExpressibleByArgument>(_ name: String, _ text: String?)
            throws(HostError) -> Value?
        {
            guard let text else { return nil }
            guard let value = Value(argument: text) else {
                throw .usage("\(path): '\(text)' is not a value of '\(name)'")
            }
            return value
        }
        if command.isEmpty { command = file.command ?? [] }
        store = store ?? file.store
        root = root ?? file.root
        user = user ?? file.user
        workingDirectory = workingDirectory ?? file.cwd
        if interval == nil { interval = try value("interval", file.interval) }
        if domain == nil { domain = try value("domain", file.domain) }
        if memory == nil { memory = try value("memory", file.memory) }
        if nvm == nil { nvm = try value("nvm", file.nvm) }
        cpus = cpus ?? file.cpus
        accel = accel ?? file.accel
        if restart == nil { restart = try value("restart", file.restart) }
        for text in file.publish ?? [] {
            guard let mapping: PortMapping = try value("publish", text) else { continue }
            publish.append(mapping)
        }
        detach = detach || file.detach ?? false
        environment = file.environment + environment
        files = (file.file ?? []) + files
        if let wrong = files.first(where: { FileOption($0) == nil }) {
            throw .usage("\(path): 'file' takes HOST or HOST:/GUEST, not '\(wrong)'")
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
        options.cpus = cpus ?? 2
        options.memoryBytes = memory?.bytes ?? 512 << 20
        options.nvmBytes = nvm?.bytes ?? 1 << 30
        options.nvmMayGrow = nvm == nil
        options.domain = domain ?? .coherentCache
        options.interval = interval ?? CheckpointInterval.standard(options.domain)
        options.accelerator = accel ?? "auto"
        options.detach = detach
        options.ports = publish
        options.restart = restart ?? .never
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
    @Option(
        name: [.customShort("p"), .customLong("publish")],
        help: "Publish other ports than the run did before (see `evertree run --help`).")
    var publish: [PortMapping] = []
    @Option(help: "on-crash or never; what the run had before if not given.")
    var restart: RestartPolicy?

    func run() throws {
        try reporting {
            let signals = SignalSource()
            let runner = Runner(StoreDirectory(directory), signals: signals, log: messages)
            return try runner.resume(
                kernelArguments: kernelArgument, ports: publish, restart: restart)
        }
    }
}

extension ByteSize: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { "\(mebibytes)M" }
}

extension PortMapping: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension RestartPolicy: ExpressibleByArgument {}

extension PersistenceDomain: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public var defaultValueDescription: String { name }
}

extension CheckpointInterval: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { text }
}
