import ABI
import Foundation
import HostedNative
import LinuxServer

/// `linux-server-hosted [--file HOST[:GUEST]]… [--env K=V]… [--cwd DIR] [--terminal] [--trace] --
/// PROGRAM ARGS…`
///
/// Runs a program under the Linux server on this Linux machine. For tests: nothing is persistent.
@main
struct Main {
    static func main() {
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch {
            FileHandle.standardError.write(Data("linux-server-hosted: \(error)\n".utf8))
            exit(125)
        }
    }

    struct UsageError: Error, CustomStringConvertible {
        let description: String
    }

    private static func run(_ given: [String]) throws {
        if given == ["--coverage"] { return print(LinuxCoverage.table(), terminator: "") }
        var words = given[...]
        var archive = ArchiveWriter()
        var specification: [String] = ["hostname=evertree"]
        var terminal = "000"
        var traces = false
        while let word = words.popFirst(), word != "--" {
            if word == "--terminal" {
                terminal = "111"
                continue
            }
            if word == "--trace" {
                traces = true
                continue
            }
            guard let value = words.popFirst() else {
                throw UsageError(description: "\(word) needs a value")
            }
            switch word {
            case "--file": try add(value, to: &archive)
            case "--env": specification.append("env=" + value)
            case "--cwd": specification.append("cwd=" + value)
            default: throw UsageError(description: "unknown option \(word)")
            }
        }
        guard let program = words.first else {
            throw UsageError(description: "no program named after --")
        }
        try add(program, to: &archive)
        specification += ["terminal=" + terminal, "program=" + program] + words.map { "arg=" + $0 }
        let text: [UInt8] = specification.flatMap { entry -> [UInt8] in Array(entry.utf8) + [0] }
        archive.add(Bundle.specificationPath, mode: 0o100644, contents: text)
        try start(archive.finish(), traces: traces)
    }

    /// `HOST` or `HOST:GUEST`; the mode is the host file's.
    private static func add(_ file: String, to archive: inout ArchiveWriter) throws {
        let parts = file.split(separator: ":", maxSplits: 1).map(String.init)
        let guest = parts.last ?? file
        guard let data = FileManager.default.contents(atPath: parts[0]) else {
            throw UsageError(description: "cannot read \(parts[0])")
        }
        let mode = FileManager.default.isExecutableFile(atPath: parts[0]) ? 0o100755 : 0o100644
        archive.add(guest, mode: mode, contents: Array(data))
    }

    private static func start(_ bundle: [UInt8], traces: Bool) throws {
        guard let machine = HostedMachine(bundle: bundle) else {
            throw UsageError(description: "no memory for the machine")
        }
        machine.traces = traces
        machine.attachConsole()
        do throws(Errno) {
            try LinuxServerBoot.start(bundleLength: UInt64(bundle.count))
        } catch {
            // The console has been told; its exit frame ends the process.
            machine.showOutput()
            throw UsageError(description: "the server did not start (errno \(error.rawValue))")
        }
        while true { pause() }
    }
}
