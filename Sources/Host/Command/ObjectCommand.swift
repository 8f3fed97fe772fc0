import ArgumentParser
import ObjectTool

/// `evertree object`: looks at an object space without the programs that made its objects.
struct ObjectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "object",
        abstract: "Looks into a space of objects, and carries objects between spaces.",
        discussion: """
            A space is a directory. It may be open in other programs. Opening it recovers it if they crashed.
            """,
        subcommands: [
            List.self, Stat.self, Check.self, Dump.self, Export.self, Import.self, Gc.self,
        ])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "Lists names and objects.")
        @OptionGroup var space: SpaceDirectory
        func run() throws { try space.run(.list) }
    }

    struct Stat: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows an object's metadata and what its table leads to.")
        @OptionGroup var space: SpaceDirectory
        @Argument(help: "A name, or an ID of 32 hexadecimal digits.") var object: String
        func run() throws { try space.run(.stat(object)) }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verifies every object; prints what is damaged and exits with 1 if anything is."
        )
        @OptionGroup var space: SpaceDirectory
        func run() throws { try space.run(.check) }
    }

    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints an object's data.")
        @OptionGroup var space: SpaceDirectory
        @Argument(help: "A name, or an ID of 32 hexadecimal digits.") var object: String
        func run() throws { try space.run(.dump(object)) }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes objects, with all that their tables lead to, to an archive.")
        @OptionGroup var space: SpaceDirectory
        @Argument(help: "The archive.") var archive: String
        @Argument(help: "Names or IDs; all names if none is given.") var objects: [String] = []
        func run() throws { try space.run(.export(objects, to: archive)) }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds the objects of an archive; makes the space if there is none.")
        @OptionGroup var space: SpaceDirectory
        @Argument(help: "The archive.") var archive: String
        func run() throws { try space.run(.importing(archive)) }
    }

    struct Gc: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes objects that nothing leads to, and table entries that no pointer uses.")
        @OptionGroup var space: SpaceDirectory
        func run() throws { try space.run(.collect) }
    }
}

struct SpaceDirectory: ParsableArguments {
    @Argument(help: "The space's directory.")
    var directory: String

    func run(_ command: ObjectTool.Command) throws {
        do {
            try ObjectTool.run(command, path: directory) { print($0) }
        } catch {
            ObjectCommand().messages.error("\(error)")
            throw ExitCode(1)
        }
    }
}
