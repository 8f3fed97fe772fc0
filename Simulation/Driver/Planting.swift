#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Makes a copy of the sources in which every bug of `planted-bugs.txt` waits behind a switch. The
/// product's own sources have no such hooks.
struct Planting {
    struct Edit {
        var file: String
        var find: [String] = []
        var put: [String] = []
    }
    struct Bug {
        var name: String
        var reason: String
        var edits: [Edit]
    }
    struct Problem: Error { var text: String }

    private(set) var bugs: [Bug] = []

    init(table: String) throws(Problem) {
        var file = ""
        var wasPut = true
        for line in table.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        {
            if line.hasPrefix("bug ") {
                let parts = line.dropFirst(4).split(separator: ":", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { throw Problem(text: "no colon in: \(line)") }
                bugs.append(
                    Bug(name: parts[0], reason: parts[1].trimmingPrefix(" ").description, edits: [])
                )
                wasPut = true
            } else if line.hasPrefix("file ") {
                file = String(line.dropFirst(5))
                wasPut = true
            } else if line.hasPrefix("- ") {
                guard !bugs.isEmpty else { throw Problem(text: "no bug before: \(line)") }
                if wasPut { bugs[bugs.count - 1].edits.append(Edit(file: file)) }
                wasPut = false
                bugs[bugs.count - 1].edits[bugs[bugs.count - 1].edits.count - 1].find.append(
                    String(line.dropFirst(2)))
            } else if line.hasPrefix("+ ") {
                guard let last = bugs.last, !last.edits.isEmpty else {
                    throw Problem(text: "no edit before: \(line)")
                }
                bugs[bugs.count - 1].edits[last.edits.count - 1].put.append(
                    String(line.dropFirst(2)))
                wasPut = true
            }
        }
    }

    /// Copies what the build `core` compiles from `root` to `target`, with all bugs planted.
    func plant(from root: String, to target: String) throws {
        let files = FileManager.default
        let kept = [
            "Sources/ABI", "Sources/Primitives", "Sources/Store", "Sources/Machine",
            "Sources/Kernel", "Simulation/Machine", "Simulation/Driver", "Tests/Kernel",
            "Tests/Store", "Package.swift",
        ]
        for folder in ["Sources", "Simulation", "Tests"] {
            try? files.removeItem(atPath: "\(target)/\(folder)")
            try files.createDirectory(
                atPath: "\(target)/\(folder)", withIntermediateDirectories: true)
        }
        for path in kept {
            try? files.removeItem(atPath: "\(target)/\(path)")
            try files.copyItem(atPath: "\(root)/\(path)", toPath: "\(target)/\(path)")
        }
        for (number, bug) in bugs.enumerated() {
            for edit in bug.edits { try apply(edit, of: bug, number: number + 1, in: target) }
        }
        try write(Self.switchSource, to: target + "/Sources/Store/PlantedBug.swift")
    }

    private func apply(_ edit: Edit, of bug: Bug, number: Int, in target: String) throws {
        let path = "\(target)/\(edit.file)"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        // What an earlier bug changed may stand between: its own lines mention the switch and are
        // passed over.
        let find = edit.find.joined(separator: "\n")
        let count = text.ranges(of: find).count
        guard count == 1 else {
            throw Problem(
                text: "bug \(bug.name): found \(count) times in \(edit.file), not once:\n\(find)")
        }
        let put = edit.put.joined(separator: "\n").replacing(
            "PLANTED", with: "PlantedBug.is(\(number))")
        var changed = text.replacing(find, with: put)
        if edit.file.hasPrefix("Sources/Kernel") && !changed.contains("import Store") {
            changed = "import Store\n" + changed
        }
        try write(changed, to: path)
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static let switchSource = """
        /// Which planted bug is active; 0 = none.
        public enum PlantedBug {
            nonisolated(unsafe) public static var active = 0
            @inline(__always) public static func `is`(_ number: Int) -> Bool { active == number }
        }
        """
}
