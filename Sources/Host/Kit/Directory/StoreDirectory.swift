import Glibc
import SystemPackage

/// The files of one run: `NAME.evertree/`.
///
/// Invariants:
/// - A manifest exists exactly when the directory holds a complete store: it is written last.
/// - Whoever changes `nvm.img` holds the lock; so does the virtual machine for as long as it lives.
public struct StoreDirectory: Equatable, Sendable {
    /// Absolute.
    public let path: FilePath

    /// As the user gave it, for messages.
    public let name: String

    public init(_ path: FilePath) {
        self.path = Files.absolute(path)
        name = path.string
    }

    public init(_ path: String) { self.init(FilePath(path)) }

    /// The non-volatile memory: what QEMU maps as the NVDIMM.
    public var nvm: FilePath { path.appending("nvm.img") }
    /// The files for the first process; needed until the first commit.
    public var bundle: FilePath { path.appending("bundle.cpio") }
    public var manifest: FilePath { path.appending("manifest.json") }
    /// The kernel's debug port.
    public var serialLog: FilePath { path.appending("serial.log") }
    /// QEMU's own messages.
    public var emulatorLog: FilePath { path.appending("qemu.log") }
    public var consolePosition: FilePath { path.appending("console.position") }
    public var machineLock: FilePath { path.appending("machine.lock") }
    public var consoleLock: FilePath { path.appending("console.lock") }
    public var machineProcess: FilePath { path.appending("machine.pid") }
    /// Relative to the directory: its full path may be too long for a socket address.
    public static let doorbellName = "doorbell.socket"
    public var doorbell: FilePath { path.appending(StoreDirectory.doorbellName) }

    /// Makes the directory for a new run. An empty directory, or the rest of a run that never
    /// started, is taken over.
    public func create() throws(HostError) {
        if Files.exists(manifest) { throw .storeExists(path: name) }
        if let status = Files.status(path) {
            try takeOver(status)
        } else if mkdir(path.string, 0o700) != 0 {
            throw Files.error("mkdir", path, Errno(rawValue: errno))
        }
    }

    private func takeOver(_ status: stat) throws(HostError) {
        guard status.isDirectory else {
            throw .notAStore(path: name, reason: "it is not a directory")
        }
        let ours = Set(
            [nvm, bundle, consolePosition, machineLock, consoleLock, serialLog, emulatorLog].map(
                \.string))
        for entry in try Files.list(path) where !ours.contains(path.appending(entry).string) {
            throw .notAStore(
                path: name, reason: "it is a directory with other files in it (\(entry))")
        }
    }

    /// Checks that this is the directory of a run.
    public func requireStore() throws(HostError) {
        guard let status = Files.status(path) else { throw .noStore(path: name) }
        guard status.isDirectory else {
            throw .notAStore(path: name, reason: "it is not a directory")
        }
        guard Files.exists(manifest) else {
            throw .notAStore(path: name, reason: "it has no manifest.json")
        }
        guard Files.exists(nvm) else { throw .notAStore(path: name, reason: "it has no nvm.img") }
    }

    /// Free bytes on the disk that holds the store.
    public var freeDiskBytes: UInt64 {
        var status = statvfs()
        guard statvfs(path.string, &status) == 0 else { return .max }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
