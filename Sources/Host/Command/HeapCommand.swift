import ArgumentParser
import Glibc
import HeapTool

/// `evertree heap`: looks at a persistent heap's file without the program that made it.
struct HeapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heap",
        abstract: "Looks into the file of a persistent heap.",
        discussion: """
            The heap must not be open elsewhere. Opening it recovers it if its last program crashed, as that program's \
            next start would.
            """,
        subcommands: [Info.self, Check.self, Dump.self, Gc.self, Top.self])

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows size, domain, roots and types.")
        @OptionGroup var file: HeapFile
        func run() throws { try file.run(.info) }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Verifies every reachable object and page; prints the first fault and exits with 1 if there is one."
        )
        @OptionGroup var file: HeapFile
        func run() throws { try file.run(.check) }
    }

    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints every reachable object with its fields, nearest to the roots first.")
        @OptionGroup var file: HeapFile
        func run() throws { try file.run(.dump) }
    }

    struct Gc: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Frees what no root reaches, and says how well the pages are used.")
        @OptionGroup var file: HeapFile
        func run() throws { try file.run(.gc) }
    }
}

extension HeapCommand {
    struct Top: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows which types take how much of the file, and which grow.",
            discussion: """
                Works beside a program that has the heap open; which part of the pages holds nothing is then not known.
                """)
        @OptionGroup var file: HeapFile
        @Option(help: "Seconds between samples.") var interval = 2
        @Option(help: "Samples; 0 goes on until interrupted.") var samples = 1

        func validate() throws {
            guard interval > 0, samples >= 0 else {
                throw ValidationError("the interval is above 0, the samples are not below")
            }
        }

        func run() throws {
            var top = HeapTop(path: file.file)
            var count = 0
            while samples == 0 || count < samples {
                if count > 0 { sleep(UInt32(clamping: interval)) }
                do { try top.sample { print($0) } } catch {
                    HeapCommand().messages.error("\(error)")
                    throw ExitCode(1)
                }
                count += 1
            }
        }
    }
}

struct HeapFile: ParsableArguments {
    @Argument(help: "The heap's file.")
    var file: String

    func run(_ command: HeapTool.Command) throws {
        do {
            try HeapTool.run(command, path: file) { print($0) }
        } catch {
            HeapCommand().messages.error("\(error)")
            throw ExitCode(1)
        }
    }
}
