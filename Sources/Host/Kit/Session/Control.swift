import ABI
import Glibc
import SystemPackage

/// `kill`, `stop` and `ps`: what other processes may do to a run.
public enum Control {
    /// Cuts the power: SIGKILL to the virtual machine.
    public static func cutPower(_ directory: StoreDirectory) throws(HostError) {
        try directory.requireStore()
        guard let machine = VirtualMachine.running(on: directory), machine.identity.kill() else {
            throw .notRunning(path: directory.name)
        }
    }

    /// How `stop` ended.
    public enum StopOutcome: Equatable {
        case programEnded(status: Int32?)
        /// The program did not end in time; the power was cut. The run can be resumed.
        case powerCut
    }

    /// Sends SIGTERM to the program, waits, and cuts the power if it does not end.
    public static func stop(
        _ directory: StoreDirectory, timeoutMilliseconds: Int32
    ) throws(HostError) -> StopOutcome {
        try directory.requireStore()
        guard let machine = VirtualMachine.running(on: directory) else {
            throw .notRunning(path: directory.name)
        }
        let status: Int32?
        if let console = try StoreLock(directory.consoleLock, holder: "evertree stop") {
            defer { extendLifetime(console) }
            status = try stopDetached(directory, machine, timeoutMilliseconds)
        } else {
            if let holder = StoreLock.holderProcess(directory.consoleLock) { kill(holder, SIGTERM) }
            let ended = machine.identity.waitForEnd(milliseconds: timeoutMilliseconds)
            status = ended ? try exitStatusSoon(directory) : nil
            if ended { return .programEnded(status: status) }
        }
        if let status { return .programEnded(status: status) }
        machine.kill()
        return .powerCut
    }

    /// Without a console process, the signal is written here, and the exit is looked for without
    /// taking any output.
    private static func stopDetached(
        _ directory: StoreDirectory, _ machine: VirtualMachine, _ timeout: Int32
    ) throws(HostError) -> Int32? {
        let rings = try ConsoleRings(directory)
        var doorbell = try Doorbell(directory)
        doorbell.connect()
        let payload = withUnsafeBytes(of: UInt32(SIGTERM)) { Array($0) }
        _ = InputWriter(ring: rings.input).write(.signal, payload)
        doorbell.ring()
        let step: Int32 = 20
        var waited: Int32 = 0
        while waited < timeout {
            if let status = try pendingExit(directory) {
                machine.kill()
                var manifest = try Manifest.load(directory)
                manifest.exitStatus = status
                try manifest.save(directory)
                return status
            }
            if machine.identity.waitForEnd(milliseconds: step) { return nil }
            doorbell.drain()
            waited += step
        }
        return nil
    }

    /// The program's status as in the output that nobody has read yet.
    static func pendingExit(_ directory: StoreDirectory) throws(HostError) -> Int32? {
        let rings = try ConsoleRings(directory)
        let position = try ConsolePosition(
            directory.consolePosition, initialCursor: rings.output.remote)
        return try OutputReader(ring: rings.output, position: position, path: directory.name)
            .pendingExit()
    }

    /// The console process writes the manifest just after the machine is gone.
    private static func exitStatusSoon(_ directory: StoreDirectory) throws(HostError) -> Int32? {
        for _ in 0..<100 {
            if let status = try Manifest.load(directory).exitStatus { return status }
            usleep(20_000)
        }
        return nil
    }

    /// One run as `ps` shows it.
    public struct Listing: Equatable {
        public enum State: Equatable {
            case attached, detached, stopped
            case finished(Int32)
            case unusable(String)
        }
        public var directory: StoreDirectory
        public var state: State
        public var process: Int32?
        public var version: UInt64
        public var command: [String]
    }

    /// Looks at one directory.
    public static func look(_ directory: StoreDirectory) -> Listing {
        do {
            let manifest = try Manifest.load(directory)
            let version = StatisticsPage(try MappedFile(directory.nvm, writable: false))[
                .committedVersion]
            var listing = Listing(
                directory: directory, state: .stopped, version: version, command: manifest.command)
            if let status = manifest.exitStatus { listing.state = .finished(status) }
            if let machine = VirtualMachine.running(on: directory) {
                listing.process = machine.identity.process
                listing.state = StoreLock.isHeld(directory.consoleLock) ? .attached : .detached
            }
            return listing
        } catch {
            return Listing(
                directory: directory, state: .unusable("\(error)"), version: 0, command: [])
        }
    }

    /// The directories named `*.evertree` in a directory.
    public static func stores(in directory: FilePath) throws(HostError) -> [StoreDirectory] {
        try Files.list(directory).filter { $0.hasSuffix(".evertree") }.map {
            StoreDirectory(directory.appending($0))
        }
        .filter { Files.exists($0.manifest) }
    }
}

extension StoreDirectory {
    /// Who has one of the locks, for messages: the machine may have outlived the command that took
    /// it.
    func user(of lock: FilePath) -> String {
        if lock == machineLock, let machine = VirtualMachine.running(on: self) {
            return "a running virtual machine (process \(machine.identity.process))"
        }
        return StoreLock.holder(lock)
    }
}
