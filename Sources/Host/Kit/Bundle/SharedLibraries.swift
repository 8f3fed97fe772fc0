import Subprocess
import SystemPackage

/// The shared libraries that a dynamic program loads, as its own interpreter resolves them.
enum SharedLibraries {
    /// Absolute host paths. Runs `INTERPRETER --list PROGRAM` (ld.so(8)), which loads but does not
    /// start the program.
    static func of(_ program: FilePath, interpreter: String) throws(HostError) -> [FilePath] {
        let result: (text: String, ok: Bool)
        do {
            result = try Blocking.run {
                let record = try await Subprocess.run(
                    .path(FilePath(interpreter)), arguments: ["--list", program.string],
                    output: .string(limit: 1 << 20), error: .combinedWithOutput)
                return (record.standardOutput, record.terminationStatus.isSuccess)
            }
        } catch {
            throw .unsupportedProgram(
                path: program.string, reason: "its interpreter \(interpreter) failed: \(error)")
        }
        guard result.ok else {
            let reason = result.text.split(whereSeparator: \.isNewline).first ?? "no reason given"
            throw .unsupportedProgram(
                path: program.string, reason: "its libraries were not found: \(reason)")
        }
        return try parse(result.text, program: program)
    }

    /// Lines are `NAME => PATH (ADDRESS)`, `PATH (ADDRESS)` or `linux-vdso.so.1 (ADDRESS)`.
    static func parse(_ text: String, program: FilePath) throws(HostError) -> [FilePath] {
        var paths: [FilePath] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            if line.contains("not found") {
                throw .unsupportedProgram(
                    path: program.string,
                    reason: "its library \(words.first ?? "?") was not found on this host")
            }
            let arrow = words.firstIndex(of: "=>")
            let path = arrow.map { words.dropFirst($0 + 1).first } ?? words.first
            if let path, path.first == "/" { paths.append(FilePath(String(path))) }
        }
        return paths
    }
}
