/// Why a command of the host could not do what was asked. The description says what was wrong and
/// what to do.
public enum HostError: Error, Equatable {
    case usage(String)
    case cannotRead(path: String, reason: String)
    case unsupportedProgram(path: String, reason: String)
    case missingQEMU(searched: String)
    case missingImage(file: String, searched: [String])
    case startFailed(String)
    case storeExists(path: String)
    /// In bytes: what `--nvm` says, and what it must say at least.
    case storeTooSmall(bytes: UInt64, needed: UInt64)
    case noStore(path: String)
    case notAStore(path: String, reason: String)
    case storeBusy(path: String, holder: String)
    case notRunning(path: String)
    case diskFull(path: String)
    /// A port of the host that cannot be published.
    case portUnusable(port: String, reason: String)
    case system(call: String, path: String, errno: Int32)
    case consoleDamaged(path: String, reason: String)
    case storeDamaged(path: String, reason: String)
    case machinePanicked(path: String, message: String)
    case machineDied(path: String, how: String)

    /// The process's exit status, after sysexits.h where it has a name for the case; 75 (try again)
    /// means that the run can be resumed.
    public var exitStatus: Int32 {
        switch self {
        case .usage, .storeTooSmall: 64
        case .storeDamaged, .consoleDamaged, .notAStore: 65
        case .cannotRead, .unsupportedProgram, .noStore: 66
        case .missingQEMU, .missingImage, .startFailed, .storeBusy, .portUnusable: 69
        case .machinePanicked: 70
        case .system: 71
        case .storeExists: 73
        case .diskFull: 74
        case .machineDied: 75
        case .notRunning: 1
        }
    }
}

extension HostError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .usage(let message): message
        case .cannotRead(let path, let reason): "cannot read \(path): \(reason)"
        case .unsupportedProgram(let path, let reason): "cannot run \(path): \(reason)"
        case .missingQEMU(let searched):
            "\(searched) was not found; install the Debian package qemu-system-x86 (apt-get install qemu-system-x86)"
        case .missingImage(let file, let searched):
            "\(file) was not found in \(searched.joined(separator: ", ")); "
                + "build it with `make build`, or name its directory in EVERTREE_LIBRARY"
        case .startFailed(let reason): "the virtual machine did not start: \(reason)"
        case .storeExists(let path):
            "\(path) already holds a run; continue it with `evertree resume \(quoted(path))`, "
                + "or remove it with `evertree rm \(quoted(path))`"
        case .storeTooSmall(let bytes, let needed):
            "the files do not fit in a store of \(bytes >> 20) MiB; it needs `--nvm \(needed >> 20)M` at least"
        case .noStore(let path):
            "\(path) does not exist; `evertree run --store \(quoted(path)) -- PROGRAM` makes it"
        case .notAStore(let path, let reason): "\(path) is not a usable store: \(reason)"
        case .storeBusy(let path, let holder): "\(path) is in use by \(holder)"
        case .notRunning(let path): "no virtual machine runs on \(path)"
        case .diskFull(let path):
            "the disk that holds \(path) is full; free some space and try again"
        case .portUnusable(let port, let reason): "the port \(port) cannot be published: \(reason)"
        case .system(let call, let path, let errno):
            "\(call) of \(path) failed: \(errnoText(errno))"
        case .consoleDamaged(let path, let reason): "the console of \(path) is damaged: \(reason)"
        case .storeDamaged(let path, let reason): "the store in \(path) is damaged: \(reason)"
        case .machinePanicked(let path, let message): "the kernel of \(path) stopped: \(message)"
        case .machineDied(let path, let how):
            "the virtual machine \(how) before the program ended; continue with `evertree resume \(quoted(path))`"
        }
    }
}

/// A path as a shell takes it.
func quoted(_ path: String) -> String {
    let plain = path.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "/._-+=:@%,".utf8.contains(byte)
        }
    }
    if plain && !path.isEmpty { return path }
    return "'"
        + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        + "'"
}
