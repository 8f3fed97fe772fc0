import ArgumentParser
import FoundationEssentials
import HostKit

struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ends a machine as a power cut would.")

    @Flag(
        help:
            "Required: SIGKILL to the virtual machine. What was not committed is lost; nothing else is."
    )
    var powerLoss = false
    @Argument(help: "The store's directory.")
    var directory: String

    func validate() throws {
        if !powerLoss {
            throw ValidationError(
                "Say --power-loss, or use `evertree stop` to ask the program to end")
        }
    }

    func run() throws {
        try reporting {
            try Control.cutPower(StoreDirectory(directory))
            return 0
        }
    }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks the program to end (SIGTERM); cuts the power if it does not.")

    @Option(help: "Seconds to wait for the program.")
    var timeout = 10
    @Argument(help: "The store's directory.")
    var directory: String

    func validate() throws {
        if !(0...86_400).contains(timeout) {
            throw ValidationError("--timeout must be 0 to 86400 seconds")
        }
    }

    func run() throws {
        try reporting {
            let store = StoreDirectory(directory)
            switch try Control.stop(store, timeoutMilliseconds: Int32(timeout) * 1000) {
            case .programEnded(let status):
                messages.notice("the program ended\(status.map { " with status \($0)" } ?? "")")
            case .powerCut:
                messages.notice(
                    "the program did not end; the power was cut, and the run can be resumed")
            }
            return 0
        }
    }
}

struct Ps: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists runs.")

    @Flag(help: "One JSON array of objects.")
    var json = false
    @Argument(help: "Store directories; by default *.evertree in the working directory.")
    var directories: [String] = []

    func run() throws {
        try reporting {
            let stores =
                try directories.isEmpty
                ? Control.stores(in: ".") : directories.map { StoreDirectory($0) }
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
                let fields = stores.map { Control.look($0).fields }
                let data = (try? encoder.encode(fields)) ?? Data()
                print(String(decoding: data, as: UTF8.self))
                return 0
            }
            print(line("STORE", "STATE", "PROCESS", "VERSION", "COMMAND"))
            for listing in stores.map(Control.look) {
                print(
                    line(
                        listing.directory.path.lastComponent?.string ?? listing.directory.name,
                        state(listing.state),
                        listing.process.map { "\($0)" } ?? "-", "\(listing.version)",
                        listing.command.joined(separator: " ")))
            }
            return 0
        }
    }

    private func state(_ state: Control.Listing.State) -> String {
        switch state {
        case .attached: "running"
        case .detached: "running, detached"
        case .stopped: "stopped"
        case .finished(let status): "finished, \(status)"
        case .unusable(let reason): "unusable: \(reason)"
        }
    }

    private func line(_ fields: String...) -> String {
        let widths = [24, 18, 9, 11]
        return fields.enumerated().map { index, field in
            guard index < widths.count else { return field }
            return field + String(repeating: " ", count: max(1, widths[index] - field.count))
        }.joined()
    }
}

struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Waits until a program has ended, and exits with its status.")

    @Argument(help: "The store's directory.")
    var directory: String

    func run() throws {
        try reporting { try Control.waitForProgram(StoreDirectory(directory)) }
    }
}

struct Rm: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Removes runs.")

    @Flag(name: .shortAndLong, help: "Cut the power first if a machine runs.")
    var force = false
    @Argument(help: "The stores' directories.")
    var directories: [String]

    func run() throws {
        try reporting {
            for directory in directories {
                try Control.remove(StoreDirectory(directory), force: force)
            }
            return 0
        }
    }
}
