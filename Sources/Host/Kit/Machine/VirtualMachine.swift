import CHostKit
import Glibc
import SystemPackage

/// A QEMU process: started here (then it can be waited for), or found running.
public struct VirtualMachine {
    /// How a process ended.
    public enum Ending: Equatable {
        case exited(Int32)
        case signalled(Int32)
        /// It was not our child, so nobody told us.
        case unknown
    }

    public let identity: ProcessIdentity
    private let isChild: Bool

    /// The emulator in `PATH`, or in `EVERTREE_QEMU`.
    public static func findEmulator() throws(HostError) -> FilePath {
        let name = getenv("EVERTREE_QEMU").map { String(cString: $0) } ?? "qemu-system-x86_64"
        if name.contains("/") && access(name, X_OK) == 0 { return Files.absolute(FilePath(name)) }
        guard let path = ProgramSearch.inPath(name) else { throw .missingQEMU(searched: name) }
        return path
    }

    /// Starts a machine in the store's directory. It holds the store's lock as long as it lives.
    /// Attached, it dies with the calling thread; detached, it goes on in a session of its own.
    public static func start(
        _ emulator: FilePath, _ configuration: MachineConfiguration, in directory: StoreDirectory,
        lock: borrowing StoreLock, attached: Bool
    ) throws(HostError) -> VirtualMachine {
        let place = try Files.open(directory.path, .readOnly, options: .directory)
        defer { try? place.close() }
        let null = try Files.open("/dev/null", .readWrite)
        defer { try? null.close() }
        let log = try Files.open(
            directory.emulatorLog, .writeOnly, options: [.create, .truncate],
            permissions: .ownerReadWrite)
        defer { try? log.close() }
        unlink(directory.doorbell.string)
        let descriptors = (place.rawValue, null.rawValue, log.rawValue, lock.descriptor.rawValue)
        let process = spawn(
            [emulator.string] + configuration.arguments, descriptors, attached: attached)
        guard process > 0 else {
            throw .startFailed("\(emulator): \(errnoText(-process))")
        }
        guard let identity = ProcessIdentity(of: process) else {
            var status: Int32 = 0
            waitpid(process, &status, 0)
            throw .startFailed(emulatorMessage(directory))
        }
        try identity.save(directory.machineProcess)
        return VirtualMachine(identity: identity, isChild: true)
    }

    /// The machine that runs on a store now.
    public static func running(on directory: StoreDirectory) -> VirtualMachine? {
        guard let identity = ProcessIdentity(reading: directory.machineProcess), identity.isAlive
        else { return nil }
        return VirtualMachine(identity: identity, isChild: false)
    }

    /// What QEMU said on its standard error.
    public static func emulatorMessage(_ directory: StoreDirectory) -> String {
        let bytes = (try? Files.read(directory.emulatorLog, limit: 4096)) ?? []
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
            .filter { !$0.contains("warning:") }.joined(separator: "; ")
        return text.isEmpty ? "QEMU gave no reason" : text
    }

    private static func spawn(
        _ arguments: [String], _ descriptors: (place: Int32, null: Int32, log: Int32, lock: Int32),
        attached: Bool
    ) -> pid_t {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { return -EINVAL }
            var how = hostkit_spawn()
            how.path = UnsafePointer(list[0])
            how.arguments = base
            how.directory = descriptors.place
            how.input = descriptors.null
            how.output = descriptors.log
            how.error = descriptors.log
            how.inherited = descriptors.lock
            how.dies_with_parent = attached ? 1 : 0
            return hostkit_spawn_process(&how)
        }
    }

    /// A descriptor that is readable once the process ended.
    public func endDescriptor() -> Int32 { hostkit_process_descriptor(identity.process) }

    /// How it ended, once it has; waits for that.
    public func ending() -> Ending {
        guard isChild else {
            _ = identity.waitForEnd(milliseconds: 10_000)
            return .unknown
        }
        var status: Int32 = 0
        while waitpid(identity.process, &status, 0) < 0 {
            if errno != EINTR { return .unknown }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }

    /// Cuts the power.
    public func kill() {
        identity.kill()
        if isChild { _ = ending() }
    }
}
