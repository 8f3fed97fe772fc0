import ABI
import Glibc
import Logging
import SystemPackage

/// What a machine is started with.
struct Boot {
    var files: InstalledFiles
    var emulator: FilePath
    var manifest: Manifest
    var interval: CheckpointInterval?
    var kernelArguments: [String] = []
    var ports: PublishedPorts?
    var restart = RestartPolicy.never
}

extension Runner {
    /// Starts a machine and stays on its console.
    func attach(_ boot: Boot, _ lock: borrowing StoreLock) throws(HostError) -> Int32 {
        let console = try takeLock(
            directory.consoleLock, "evertree", patience: Runner.patienceMilliseconds)
        defer { extendLifetime(console) }
        let rings = try ConsoleRings(directory)
        boot.ports?.attach(rings.file, directory.name)
        var restarts = RestartCount(boot.restart)
        while true {
            let machine = try start(boot, rings, lock, attached: true)
            let outcome = try outcome(of: machine, rings, boot.ports)
            if outcome == .machineEnded {
                let error = explain(machine.ending(), rings)
                guard restarts.allows(after: error, rings.statistics[.committedVersion]) else {
                    throw error
                }
                log.notice("the virtual machine ended (\(error.cause)); it is started again")
                continue
            }
            boot.ports?.finish(isOrderly: outcome.isExit)
            return try conclude(outcome, machine, rings, owned: true)
        }
    }

    /// Stays on a machine's console until something ends.
    private func outcome(
        of machine: VirtualMachine, _ rings: ConsoleRings, _ ports: PublishedPorts?
    ) throws(HostError) -> ConsoleSession.Outcome {
        let end = machine.endDescriptor()
        defer { if end >= 0 { close(end) } }
        do {
            var session = try ConsoleSession(
                directory, rings, streams: streams, machineEnd: end, ports: ports, log: log)
            return try converse(&session)
        } catch {
            machine.kill()
            throw error
        }
    }

    /// Attaches to a machine that was started detached. It goes on when this command leaves.
    func attach(to machine: VirtualMachine, _ ports: PublishedPorts?) throws(HostError) -> Int32 {
        let console = try takeLock(directory.consoleLock, "evertree resume", patience: 0)
        defer { extendLifetime(console) }
        let rings = try ConsoleRings(directory)
        let end = machine.endDescriptor()
        defer { if end >= 0 { close(end) } }
        ports?.attach(rings.file, directory.name)
        var session = try ConsoleSession(
            directory, rings, streams: streams, machineEnd: end, ports: ports, log: log)
        log.notice("attached to the virtual machine, process \(machine.identity.process)")
        let outcome = try converse(&session)
        ports?.finish(isOrderly: outcome.isExit)
        return try conclude(outcome, machine, rings, owned: false)
    }

    /// Starts a machine without a console, and waits until its first commit.
    func detach(_ boot: Boot, _ lock: borrowing StoreLock) throws(HostError) -> Int32 {
        let rings = try ConsoleRings(directory)
        let machine = try start(boot, rings, lock, attached: false)
        let deadline = 300  // times 100 ms
        for _ in 0..<deadline {
            if machine.identity.waitForEnd(milliseconds: 100) {
                return try conclude(.machineEnded, machine, rings, owned: true)
            }
            if rings.statistics[.committedVersion] > 0 { break }
        }
        log.notice(
            "runs in the background (process \(machine.identity.process)); attach with `evertree resume \(quoted(directory.name))`"
        )
        return 0
    }

    private func start(
        _ boot: Boot, _ rings: ConsoleRings, _ lock: borrowing StoreLock, attached: Bool
    ) throws(HostError) -> VirtualMachine {
        let version = try directory.committedVersion(rings.file)
        if version > 0 { unlink(directory.bundle.string) }
        rings.statistics.clearStop()
        let interval = boot.interval ?? CheckpointInterval(boot.manifest.interval) ?? .standard
        let configuration = MachineConfiguration(
            kernel: boot.files.kernel, accelerator: accelerator(boot), manifest: boot.manifest,
            interval: interval,
            withBundle: version == 0, kernelArguments: boot.kernelArguments)
        log.debug("\(boot.emulator) \(configuration.arguments.map(quoted).joined(separator: " "))")
        return try VirtualMachine.start(
            boot.emulator, configuration, in: directory, lock: lock, attached: attached)
    }

    private func accelerator(_ boot: Boot) -> Accelerator {
        Accelerator(rawValue: boot.manifest.accelerator)
            ?? AcceleratorProbe(emulator: boot.emulator).choose(log: log)
    }

    /// The console, with the terminal in raw mode if input and output are one.
    private func converse(_ session: inout ConsoleSession) throws(HostError)
        -> ConsoleSession.Outcome
    {
        let terminals = streams.terminals
        if terminals[0] && terminals[1] {
            let mode = TerminalMode(raw: streams.input)
            defer { extendLifetime(mode) }
            return try session.run(signals)
        }
        return try session.run(signals)
    }

    /// From how the session ended to an exit status or a reason.
    private func conclude(
        _ outcome: ConsoleSession.Outcome, _ machine: VirtualMachine, _ rings: ConsoleRings,
        owned: Bool
    ) throws(HostError) -> Int32 {
        switch outcome {
        case .exited(let status):
            machine.kill()
            return try finish(status)
        case .machineEnded:
            throw explain(machine.ending(), rings)
        case .outputClosed, .interrupted:
            guard owned else {
                log.notice(
                    "the virtual machine goes on; attach with `evertree resume \(quoted(directory.name))`"
                )
                return HostError.machineDied(path: "", how: "").exitStatus
            }
            machine.kill()
            let why =
                outcome == .outputClosed
                ? "was stopped, since its output is closed," : "was stopped"
            throw .machineDied(path: directory.name, how: why)
        }
    }

    /// Why a machine is gone, from QEMU's status and the kernel's last words.
    private func explain(_ ending: VirtualMachine.Ending, _ rings: ConsoleRings) -> HostError {
        let statistics = rings.statistics
        let message = statistics.stopMessage
        switch statistics.stopReason {
        case .panic: return .machinePanicked(path: directory.name, message: message)
        case .damaged: return .storeDamaged(path: directory.name, reason: message)
        case .noMemory:
            return .startFailed(
                message.isEmpty ? "the machine has too little memory (--memory)" : message)
        case .running: break
        }
        if directory.freeDiskBytes < 1 << 20 { return .diskFull(path: directory.name) }
        switch ending {
        case .exited(let status) where status & 1 == 1 && status > 1:
            return .machinePanicked(
                path: directory.name, message: "it left no message (status \(status >> 1))")
        case .exited(0), .unknown: return .machineDied(path: directory.name, how: "ended")
        case .exited: return .startFailed(VirtualMachine.emulatorMessage(directory))
        case .signalled(SIGKILL): return .machineDied(path: directory.name, how: "was killed")
        case .signalled(let signal):
            return .machineDied(path: directory.name, how: "died of signal \(signal)")
        }
    }
}
