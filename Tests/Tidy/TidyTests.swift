import Foundation
import Testing

/// House rules that a program can check. A finding names file and line.
@Suite struct TidyTests {
    struct SourceFile {
        let path: String
        let lines: [Substring]
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent()

    static func files(in folders: [String], ending: String) -> [SourceFile] {
        folders.flatMap { folder -> [SourceFile] in
            let base = root.appendingPathComponent(folder)
            let names =
                FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String }
                ?? []
            return names.filter { $0.hasSuffix(ending) && !$0.contains(".build/") }.sorted()
                .compactMap { name in
                    guard
                        let text = try? String(
                            contentsOf: base.appendingPathComponent(name), encoding: .utf8)
                    else { return nil }
                    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
                    return SourceFile(path: "\(folder)/\(name)", lines: lines)
                }
        }
    }

    static let sources = files(in: ["Sources", "Tests", "Simulation"], ending: ".swift")

    @Test func thereAreSources() {
        #expect(Self.sources.count > 50)
    }

    @Test func filesKeepToTheirBounds() {
        for file in Self.sources {
            #expect(
                file.lines.count <= 450,
                "\(file.path) has \(file.lines.count) lines: perhaps it is two things")
        }
    }

    /// Text that users read, and tables, may be longer.
    @Test func linesKeepToTheirBounds() {
        for file in Self.sources {
            var isText = false
            for (number, line) in file.lines.enumerated() {
                if line.contains("\"\"\"") { isText.toggle() }
                let bound = isText || line.contains("\"") || line.contains("|") ? 155 : 102
                if line.count > bound {
                    Issue.record("\(file.path):\(number + 1) has \(line.count) columns")
                }
            }
        }
    }

    @Test func nothingUnfinishedOrForcedIsLeft() {
        let banned = ["FIX" + "ME", "TO" + "DO", "XX" + "X", "try" + "!", " as" + "! "]
        for file in Self.sources {
            for (number, line) in file.lines.enumerated() {
                for word in banned where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1) contains \(word)")
                }
            }
        }
    }

    @Test func everyPageHasOneTitle() {
        for page in Self.files(in: ["Docs", "Sources", "Simulation"], ending: ".md") {
            var isCode = false
            var titles = 0
            for line in page.lines {
                if line.hasPrefix("```") { isCode.toggle() }
                if !isCode && line.hasPrefix("# ") { titles += 1 }
            }
            #expect(titles == 1, "\(page.path) has \(titles) titles")
        }
    }
}
