import Glibc
import SystemPackage

/// Finds a program as a shell does.
enum ProgramSearch {
    /// The absolute path of a program: as given if it has a slash, else the first executable in
    /// `PATH`.
    static func find(_ name: String) throws(HostError) -> FilePath {
        if name.contains("/") {
            let path = Files.absolute(FilePath(name))
            guard let status = Files.status(path) else {
                throw .cannotRead(path: name, reason: errnoText(errno))
            }
            guard status.isRegular else {
                throw .cannotRead(path: name, reason: "it is not a regular file")
            }
            guard access(path.string, R_OK) == 0 else {
                throw .cannotRead(path: name, reason: errnoText(errno))
            }
            return path
        }
        guard let found = inPath(name) else {
            throw .cannotRead(path: name, reason: "no such program in PATH")
        }
        return found
    }

    /// The first executable of that name in `PATH`.
    static func inPath(_ name: String) -> FilePath? {
        let variable = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        for directory in variable.split(separator: ":", omittingEmptySubsequences: false) {
            let path = Files.absolute(
                FilePath(directory.isEmpty ? "." : String(directory)).appending(name))
            guard let status = Files.status(path), status.isRegular, access(path.string, X_OK) == 0
            else { continue }
            return path
        }
        return nil
    }
}
