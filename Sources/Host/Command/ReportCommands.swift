import ArgumentParser
import HostKit

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the counters of a run, whether its machine is running or not.")

    @Flag(help: "One JSON object; times in nanoseconds.")
    var json = false
    @Argument(help: "The store's directory.")
    var directory: String

    func run() throws {
        try reporting {
            let report = try StatisticsReport(StoreDirectory(directory))
            print(json ? try report.json() : report.table)
            return 0
        }
    }
}

struct Missing: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the paths that programs looked for and did not find, most wanted first.")

    @Argument(help: "The store's directory.")
    var directory: String

    func run() throws {
        try reporting {
            for entry in try MissingPathReport(StoreDirectory(directory)).entries {
                print("\(entry.count)\t\(entry.path)")
            }
            return 0
        }
    }
}

struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Looks into a stopped store.",
        subcommands: [Info.self, Check.self])

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows what a store holds.")

        @Argument(help: "The store's directory.")
        var directory: String

        func run() throws {
            try reporting {
                print(try StoreInspection.info(StoreDirectory(directory)))
                return 0
            }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Verifies every checksum and invariant; prints what is wrong and exits with 1 if anything is."
        )

        @Argument(help: "The store's directory.")
        var directory: String

        func run() throws {
            try reporting {
                let result = try StoreInspection.check(StoreDirectory(directory))
                for line in result.damage { print(line) }
                for line in result.notes {
                    messages.notice("\(line) (the next restore repairs it)")
                }
                if result.damage.isEmpty { messages.notice("good: \(result.summary)") }
                return result.damage.isEmpty ? 0 : 1
            }
        }
    }
}
