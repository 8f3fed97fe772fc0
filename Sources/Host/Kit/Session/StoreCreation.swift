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
    /// Whether a store that is too small for the files may be made larger than that.
    public var nvmMayGrow = false
    public var interval = CheckpointInterval.standard
    public var domain = PersistenceDomain.coherentCache
    public var accelerator = "auto"
    public var detach = false
    public var ports: [PortMapping] = []
    public var restart = RestartPolicy.never
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
        guard ports.isEmpty && restart == .never || !detach else {
            throw .usage("-p and --restart need the command to stay: not with --detach")
        }
        let frames = UInt32(clamping: nvmBytes / pageSize)
        guard ports.isEmpty || ConnectionRingPair.fit(StoreLayout(frameCount: frames)) else {
            throw .usage("a store with -p needs --nvm 32M at least")
        }
        guard ["auto", "tcg", "kvm"].contains(accelerator) else {
            throw .usage("--accel must be auto, tcg or kvm")
        }
    }
}

extension StoreDirectory {
    /// Makes the files of a new run, the manifest last. The caller holds the lock and removes
    /// everything on an error.
    func populate(
        _ options: RunOptions, server: FilePath, created: String,
        progress: @escaping (UInt64) -> Void = { _ in }
    ) throws(HostError) -> Manifest {
        var nvmBytes = options.nvmBytes
        let launch: Launch
        do {
            launch = try fill(options, nvmBytes, server, progress)
        } catch {
            guard options.nvmMayGrow, case .storeTooSmall(_, let needed) = error else {
                throw error
            }
            // Once more, with room for what the run will write.
            let unit: UInt64 = 256 << 20
            nvmBytes = (needed + (1 << 30) + unit - 1) / unit * unit
            launch = try fill(options, nvmBytes, server, progress)
        }
        unlink(consolePosition.string)
        let command = options.program.command.isEmpty ? launch.arguments : options.program.command
        var manifest = Manifest(
            command: command, cpus: options.cpus, memoryBytes: options.memoryBytes,
            nvmBytes: nvmBytes, interval: options.interval.text,
            accelerator: options.accelerator,
            created: created)
        if !options.ports.isEmpty { manifest.ports = options.ports.map(\.description) }
        if options.restart != .never { manifest.restart = options.restart.rawValue }
        try manifest.save(self)
        // All files of the run, and the directory that names them.
        if options.domain == .hostFlush { sync() }
        return manifest
    }

    /// Makes the memory with its image, and the bundle.
    private func fill(
        _ options: RunOptions, _ nvmBytes: UInt64, _ server: FilePath,
        _ progress: @escaping (UInt64) -> Void
    ) throws(HostError) -> Launch {
        guard let frames = UInt32(exactly: nvmBytes / pageSize) else {
            throw .usage("--nvm is too large")
        }
        let file = try makeMemory(nvmBytes, StoreLayout(frameCount: frames))
        defer { try? file.close() }
        let bare = StoreLayout(frameCount: frames)
        let writer = ImageWriter(
            file, path: nvm, base: UInt64(bare.firstDataFrame) * pageSize,
            limit: UInt64(bare.dataFrames), progress: progress)
        var root = RootFileSystem(options.program, writer)
        let launch = try root.build()
        let imagePages = try writer.finish(root.tree)
        try BundleBuilder(server: server).build(launch, imagePages: imagePages, into: bundle)
        let bundleBytes = Files.status(bundle).map { UInt64($0.st_size) } ?? 0
        let size = StoreSize(bundleBytes: bundleBytes, names: root.tree.nameCount)
        let needed = size.bytes(imagePages: imagePages)
        if needed > nvmBytes { throw .storeTooSmall(bytes: nvmBytes, needed: needed) }
        try formatMemory(file, frames, UInt32(imagePages), options.domain)
        return launch
    }

    /// A sparse file, with the fixed areas allocated so that writing to them through a mapping
    /// cannot meet a full disk.
    private func makeMemory(_ byteCount: UInt64, _ layout: StoreLayout) throws(HostError)
        -> FileDescriptor
    {
        let fixed = off_t(UInt64(layout.firstDataFrame) * pageSize)
        let file = try Files.open(
            nvm, .readWrite, options: [.create, .truncate], permissions: .ownerReadWrite)
        guard ftruncate(file.rawValue, off_t(byteCount)) == 0 else {
            let error = Files.error("ftruncate", nvm, Errno(rawValue: errno))
            try? file.close()
            throw error
        }
        let failure = posix_fallocate(file.rawValue, 0, fixed)
        guard failure == 0 else {
            try? file.close()
            throw Files.error("fallocate", nvm, Errno(rawValue: failure))
        }
        return file
    }

    /// Makes an empty store around the image.
    private func formatMemory(
        _ file: FileDescriptor, _ frames: UInt32, _ imageFrames: UInt32,
        _ domain: PersistenceDomain
    ) throws(HostError) {
        let memory = MappedMemory(try MappedFile(nvm, writable: true))
        var generator = SystemRandomNumberGenerator()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let identity = StoreIdentity(
            uuidLow: generator.next(), uuidHigh: generator.next(), frameCount: frames,
            domain: domain,
            created: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec),
            imageFrames: imageFrames)
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
