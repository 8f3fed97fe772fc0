import FoundationEssentials
import Glibc
import Logging
import SystemPackage

/// `run` and `resume`: from a store directory to the program's exit status.
public struct Runner: ~Copyable {
    let directory: StoreDirectory
    let streams: ConsoleStreams
    let log: Logger
    let signals: SignalSource
    /// How long to wait for a process that is just ending to let go of the store.
    static let patienceMilliseconds = 5000

    public init(
        _ directory: StoreDirectory, signals: consuming SignalSource, log: Logger,
        streams: ConsoleStreams = ConsoleStreams()
    ) {
        self.directory = directory
        self.signals = signals
        self.log = log
        self.streams = streams
    }

    /// Makes a store and runs a program in it.
    public func run(_ options: RunOptions) throws(HostError) -> Int32 {
        try options.validate()
        let files = try InstalledFiles()
        let emulator = try VirtualMachine.findEmulator()
        // Before anything is made: a port may be taken.
        let ports = try PublishedPorts(options.ports, log: log)
        try directory.create()
        let lock = try takeLock(directory.machineLock, "evertree run", patience: 0)
        // Someone may have made it between the look and the lock.
        if Files.exists(directory.manifest) { throw .storeExists(path: directory.name) }
        do {
            let manifest = try directory.populate(
                options, server: files.server, created: Runner.now, progress: progress())
            warnIfDiskIsSmall(manifest)
            let boot = Boot(
                files: files, emulator: emulator, manifest: manifest,
                kernelArguments: options.kernelArguments, ports: ports, restart: options.restart)
            return try options.detach ? detach(boot, lock) : attach(boot, lock)
        } catch {
            if removesStore(after: error) { directory.removeAll() }
            throw error
        }
    }

    /// Goes on with a run; attaches to its machine if one is running without a console. Ports and
    /// restart policy are those of before unless they are given.
    public func resume(
        interval: CheckpointInterval? = nil, kernelArguments: [String] = [],
        ports given: [PortMapping] = [], restart: RestartPolicy? = nil
    ) throws(HostError) -> Int32 {
        let manifest = try Manifest.load(directory)
        let mappings =
            given.isEmpty ? (manifest.ports ?? []).compactMap(PortMapping.init) : given
        let alive = VirtualMachine.running(on: directory)
        if let alive, StoreLock.isHeld(directory.machineLock) {
            return try attach(to: alive, try PublishedPorts(mappings, log: log))
        }
        let lock = try takeLock(
            directory.machineLock, "evertree resume", patience: Runner.patienceMilliseconds)
        if let status = try finishWithoutMachine(manifest) { return status }
        let boot = Boot(
            files: try InstalledFiles(), emulator: try VirtualMachine.findEmulator(),
            manifest: manifest,
            interval: interval, kernelArguments: kernelArguments,
            ports: try PublishedPorts(mappings, log: log),
            restart: restart ?? manifest.restart.flatMap(RestartPolicy.init) ?? .never)
        return try attach(boot, lock)
    }

    /// Delivers what was published before the machine ended. If that is all, the run is over.
    private func finishWithoutMachine(_ manifest: Manifest) throws(HostError) -> Int32? {
        let console = try takeLock(
            directory.consoleLock, "evertree resume", patience: Runner.patienceMilliseconds)
        defer { extendLifetime(console) }
        let rings = try ConsoleRings(directory)
        var session = try ConsoleSession(
            directory, rings, streams: streams, machineEnd: -1, log: log)
        switch try session.run(signals) {
        case .exited(let status):
            if manifest.exitStatus != nil {
                log.notice("the program had ended already, with status \(status)")
            }
            return try finish(status)
        case .machineEnded:
            guard let status = manifest.exitStatus else { return nil }
            log.notice("the program had ended already, with status \(status)")
            return status
        case .outputClosed, .interrupted:
            throw .machineDied(
                path: directory.name, how: "was not started, since the output is closed,")
        }
    }

    /// Notes the program's end in the manifest.
    func finish(_ status: Int32) throws(HostError) -> Int32 {
        var manifest = try Manifest.load(directory)
        if manifest.exitStatus != status {
            manifest.exitStatus = status
            try manifest.save(directory)
        }
        unlink(directory.bundle.string)
        return status
    }

    func takeLock(_ path: FilePath, _ holder: String, patience: Int) throws(HostError) -> StoreLock
    {
        guard let lock = try StoreLock(path, patience: patience, holder: holder) else {
            throw .storeBusy(path: directory.name, holder: directory.user(of: path))
        }
        return lock
    }

    /// Says each second how far the taking in of files has come.
    private func progress() -> (UInt64) -> Void {
        let log = log
        var next = time(nil) + 2
        return { bytes in
            let now = time(nil)
            if now < next { return }
            next = now + 1
            log.notice("taking in the files: \(bytes >> 20) MiB so far")
        }
    }

    private func warnIfDiskIsSmall(_ manifest: Manifest) {
        let free = directory.freeDiskBytes
        guard free < manifest.nvmBytes else { return }
        log.warning(
            "only \(free >> 20) MiB are free on the disk of \(directory.name); the store may grow to \(manifest.nvmBytes >> 20) MiB"
        )
    }

    /// A run that failed before its first commit leaves nothing behind, unless the power was cut.
    private func removesStore(after error: HostError) -> Bool {
        switch error {
        case .machineDied, .machinePanicked, .storeDamaged, .consoleDamaged, .storeBusy:
            return false
        default: break
        }
        guard let rings = try? ConsoleRings(directory) else { return true }
        return rings.statistics[.committedVersion] == 0
    }

    static var now: String { Date.now.formatted(Date.ISO8601FormatStyle()) }
}
