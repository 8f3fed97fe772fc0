import ABI
import Glibc
import Store
import SystemPackage

/// What `evertree run` was asked for.
public struct RunOptions: Sendable {
    public var program: ProgramSpecification
    public var cpus = 2
    public var memoryBytes: UInt64 = 512 << 20
    public var nvmBytes: UInt64 = 1 << 30
    public var interval = CheckpointInterval.standard
    public var domain = PersistenceDomain.coherentCache
    public var accelerator = "auto"
    public var detach = false
    public var kernelArguments: [String] = []

    public init(program: ProgramSpecification) { self.program = program }

    /// Refuses sizes that no machine can have.
    public func validate() throws(HostError) {
        guard (1...16).contains(cpus) else { throw .usage("--cpus must be 1 to 16") }
        guard memoryBytes >= 64 << 20, memoryBytes <= 1 << 40, memoryBytes % (1 << 20) == 0 else {
            throw .usage("--memory must be whole mebibytes, from 64M to 1T")
        }
        guard nvmBytes >= 16 << 20, nvmBytes <= 1 << 42, nvmBytes % (2 << 20) == 0 else {
            throw .usage("--nvm must be a multiple of 2M, from 16M to 4T")
        }
        guard domain != .hostFlush || !detach else {
            throw .usage("--domain host-flush needs the command to flush for it: not with --detach")
        }
        guard ["auto", "tcg", "kvm"].contains(accelerator) else {
            throw .usage("--accel must be auto, tcg or kvm")
        }
    }
}

extension StoreDirectory {
    /// Makes the files of a new run, the manifest last. The caller holds the lock and removes
    /// everything on an error.
    func populate(_ options: RunOptions, server: FilePath, created: String) throws(HostError)
        -> Manifest
    {
        try BundleBuilder(server: server).build(options.program, into: bundle)
        try formatMemory(options.nvmBytes, options.domain)
        unlink(consolePosition.string)
        let manifest = Manifest(
            command: options.program.command, cpus: options.cpus, memoryBytes: options.memoryBytes,
            nvmBytes: options.nvmBytes, interval: options.interval.text,
            accelerator: options.accelerator,
            created: created)
        try manifest.save(self)
        // All files of the run, and the directory that names them.
        if options.domain == .hostFlush { sync() }
        return manifest
    }

    /// Makes an empty store: a sparse file, with the fixed areas allocated so that writing to them
    /// through a mapping cannot meet a full disk.
    private func formatMemory(_ byteCount: UInt64, _ domain: PersistenceDomain) throws(HostError) {
        guard let frames = UInt32(exactly: byteCount / pageSize) else {
            throw .usage("--nvm is too large")
        }
        let fixed = off_t(UInt64(StoreLayout(frameCount: frames).firstDataFrame) * pageSize)
        let file = try Files.open(
            nvm, .readWrite, options: [.create, .truncate], permissions: .ownerReadWrite)
        defer { try? file.close() }
        guard ftruncate(file.rawValue, off_t(byteCount)) == 0 else {
            throw Files.error("ftruncate", nvm, Errno(rawValue: errno))
        }
        let failure = posix_fallocate(file.rawValue, 0, fixed)
        guard failure == 0 else { throw Files.error("fallocate", nvm, Errno(rawValue: failure)) }
        let memory = MappedMemory(try MappedFile(nvm, writable: true))
        var generator = SystemRandomNumberGenerator()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let identity = StoreIdentity(
            uuidLow: generator.next(), uuidHigh: generator.next(), frameCount: frames,
            domain: domain,
            created: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec))
        do {
            try Store.format(memory, identity: identity)
            if domain == .hostFlush { _ = fdatasync(file.rawValue) }
        } catch { throw .storeDamaged(path: name, reason: "\(error.reason)") }
    }

    /// Removes a run that never got as far as its first commit.
    func removeAll() {
        for file in [
            nvm, bundle, manifest, serialLog, emulatorLog, consolePosition, machineProcess,
            doorbell, consoleLock, machineLock,
        ] { unlink(file.string) }
        rmdir(path.string)
    }

    /// The last committed version, 0 before the first; or why the store cannot be read.
    func committedVersion(_ file: MappedFile) throws(HostError) -> UInt64 {
        do {
            let store = try Store(reading: MappedMemory(file))
            defer { store.close() }
            return store.committed.value
        } catch { throw .storeDamaged(path: name, reason: "\(error.reason)") }
    }
}
