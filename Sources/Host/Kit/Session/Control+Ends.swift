import Glibc
import SystemPackage

/// `wait` and `rm`: what comes at a run's end.
extension Control {
    /// Waits until the program has ended; its status. Throws `machineDied` when the machine ended
    /// before the program did.
    public static func waitForProgram(_ directory: StoreDirectory) throws(HostError) -> Int32 {
        while true {
            // Looked at before the status: a console that ends writes the manifest first.
            let machine = VirtualMachine.running(on: directory)
            if let status = try Manifest.load(directory).exitStatus { return status }
            // The console's own process, if there is one, reads the output and writes the manifest.
            if !StoreLock.isHeld(directory.consoleLock),
                let status = try pendingExit(directory)
            {
                return status
            }
            guard let machine else {
                throw .machineDied(path: directory.name, how: "is not running, and ended")
            }
            _ = machine.identity.waitForEnd(milliseconds: 100)
        }
    }

    /// Removes a run and its directory. One whose machine runs is refused, or its power cut first.
    public static func remove(_ directory: StoreDirectory, force: Bool) throws(HostError) {
        try directory.requireStore()
        if force, let machine = VirtualMachine.running(on: directory) { machine.kill() }
        let patience = force ? 5000 : 0
        let holder = "evertree rm"
        guard
            let lock = try StoreLock(directory.machineLock, patience: patience, holder: holder),
            let console = try StoreLock(directory.consoleLock, patience: patience, holder: holder)
        else {
            throw .storeBusy(
                path: directory.name, holder: directory.user(of: directory.machineLock))
        }
        defer {
            extendLifetime(lock)
            extendLifetime(console)
        }
        directory.removeAll()
        if let left = try? Files.list(directory.path), let other = left.first {
            throw .notAStore(
                path: directory.name,
                reason: "the run was removed, but the directory has other files in it (\(other))")
        }
    }
}

extension Control.Listing {
    /// One object, for `ps --json`: `store`, `state` (`running`, `detached`, `stopped`, `finished`,
    /// `unusable`), `command`, `version`, and where there is one `process`, `exitStatus`, `reason`.
    public struct Fields: Encodable {
        var store: String
        var state: String
        var command: [String]
        var version: UInt64
        var process: Int32?
        var exitStatus: Int32?
        var reason: String?
    }

    public var fields: Fields {
        var result = Fields(
            store: directory.path.string, state: "", command: command, version: version,
            process: process)
        switch state {
        case .attached: result.state = "running"
        case .detached: result.state = "detached"
        case .stopped: result.state = "stopped"
        case .finished(let status):
            result.state = "finished"
            result.exitStatus = status
        case .unusable(let reason):
            result.state = "unusable"
            result.reason = reason
        }
        return result
    }
}
