import Foundation
import Testing

/// What the documents say of the sources.
@Suite struct DocumentTests {
    private func text(_ path: String) throws -> String {
        try String(contentsOf: TidyTests.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// "Where is …?" in ARCHITECTURE.md: at most three files each, and each holds what is said.
    @Test func whereIsWhatIsAsked() throws {
        let page = try text("ARCHITECTURE.md")
        let start = try #require(page.range(of: "## Where is"))
        var questions = 0
        var files = 0
        for line in page[start.upperBound...].split(separator: "\n") {
            if line.hasPrefix("- **") {
                questions += 1
                files = 0
            }
            guard line.hasPrefix("  - `") else { continue }
            files += 1
            #expect(files <= 3, "more than three files: \(line)")
            let names = line.split(separator: "`")
            guard names.count >= 4 else {
                Issue.record("no file and name in: \(line)")
                continue
            }
            let source = try text(String(names[1]))
            let isThere = ["func ", "struct ", "class "].contains {
                source.contains("\($0)\(names[3])(") || source.contains("\($0)\(names[3]) ")
                    || source.contains("\($0)\(names[3])<")
            }
            #expect(isThere, "\(names[1]) has no \(names[3])")
        }
        #expect(questions == 5)
    }

    /// A path in backticks that begins with a folder of ours is there.
    @Test func pathsThatPagesNameExist() throws {
        let roots = ["Sources/", "Tests/", "Docs/", "Simulation/", "Fuzz/", "Tools/", "Examples/"]
        let pages =
            ["README.md", "ARCHITECTURE.md"]
            + TidyTests.files(in: ["Docs", "Sources", "Simulation", "Fuzz", "Tests"], ending: ".md")
            .map(\.path)
        var seen = 0
        for page in pages {
            for (number, piece) in try text(page).split(separator: "`").enumerated()
            where number % 2 == 1 && roots.contains(where: { piece.hasPrefix($0) }) {
                if piece.contains(where: { " *{<…\n".contains($0) }) { continue }
                seen += 1
                let place = TidyTests.root.appendingPathComponent(String(piece))
                #expect(
                    FileManager.default.fileExists(atPath: place.path), "\(page) names \(piece)")
            }
        }
        #expect(seen > 20)
    }

    /// `make help` knows every verb that the Makefile declares.
    @Test func helpNamesEveryVerb() throws {
        let makefile = try text("Makefile")
        let declared = try #require(
            makefile.split(separator: "\n").first { $0.hasPrefix(".PHONY:") })
        var described = Set<String>()
        let rules = TidyTests.files(in: ["Tools/make"], ending: ".mk").map(\.lines)
        for lines in rules + [makefile.split(separator: "\n")] {
            for line in lines where line.hasPrefix("#: ") {
                let verb = line.dropFirst(3).prefix { $0 != ":" }
                described.insert(String(verb))
            }
        }
        for verb in declared.dropFirst(".PHONY:".count).split(separator: " ") {
            #expect(described.contains(String(verb)), "make help does not name \(verb)")
        }
    }
}
