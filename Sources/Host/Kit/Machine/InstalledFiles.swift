import Glibc
import SystemPackage

/// The images that belong to this command: the kernel and the first process.
///
/// They are looked for in `EVERTREE_LIBRARY`, then beside the executable (links resolved):
/// `../evertree` in a build directory, `../lib/evertree` in an installation. The working directory
/// does not matter.
public struct InstalledFiles: Sendable {
    public let kernel: FilePath
    public let server: FilePath

    public init() throws(HostError) {
        try self.init(candidates: InstalledFiles.candidates())
    }

    init(candidates: [FilePath]) throws(HostError) {
        kernel = try InstalledFiles.find("kernel", candidates)
        server = try InstalledFiles.find("linux-server", candidates)
    }

    static func candidates() -> [FilePath] {
        if let named = getenv("EVERTREE_LIBRARY") {
            return [Files.absolute(FilePath(String(cString: named)))]
        }
        guard let executable = Files.resolved("/proc/self/exe") else { return [] }
        let parent = executable.removingLastComponent()
        // SwiftPM's products may lie one directory deeper than the link that points at them.
        let near = ["../evertree", "../../evertree", "../lib/evertree"]
        return near.map { parent.appending($0).lexicallyNormalized() }
    }

    private static func find(_ name: String, _ candidates: [FilePath]) throws(HostError) -> FilePath
    {
        for directory in candidates {
            let path = directory.appending(name)
            if Files.status(path)?.isRegular == true { return path }
        }
        throw .missingImage(file: name, searched: candidates.map(\.string))
    }
}
