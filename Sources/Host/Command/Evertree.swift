import ArgumentParser
import Glibc
import HostKit
import Logging

/// The command over HostKit: options in, messages and exit statuses out.
@main
struct Evertree: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evertree",
        abstract: "Runs unmodified Linux programs that survive a power cut.",
        discussion: """
            A run lives in a directory NAME.evertree. The exit status is the program's own; 75 means that the machine \
            died before the program ended and the run can be resumed. Messages go to standard error.
            """,
        version: "0.1.0",
        subcommands: [
            Run.self, Resume.self, Kill.self, Stop.self, Wait.self, Rm.self, Ps.self, Stats.self,
            Missing.self,
            StoreCommand.self,
            HeapCommand.self, ObjectCommand.self,
        ])
}

extension ParsableCommand {
    /// Runs a body and turns its reasons into a message and an exit status.
    func reporting(_ body: () throws -> Int32) throws {
        let status: Int32
        do {
            status = try body()
        } catch let error as HostError {
            messages.error("\(error)")
            status = error.exitStatus
        }
        if status != 0 { throw ExitCode(status) }
    }

    /// Evertree's own messages: standard error, one line each.
    var messages: Logger { Logger(label: "evertree") { _ in MessageHandler() } }
}

/// Writes `evertree: MESSAGE` to standard error. `EVERTREE_LOG=debug` shows more.
struct MessageHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level =
        getenv("EVERTREE_LOG").flatMap { Logger.Level(rawValue: String(cString: $0)) } ?? .notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // A terminal may be in raw mode, where a newline does not return the carriage.
        let line = Array("evertree: \(event.message)\(isatty(2) == 1 ? "\r\n" : "\n")".utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}
