import Foundation
import Testing

/// What must not compile, with the message a programmer gets.
@Suite struct RefusalTests {
    /// Type-checks a program against the built modules; returns the compiler's errors, nil when it
    /// accepts.
    private func errors(_ program: String) throws -> String? {
        let products = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent()
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources")
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "refusal-\(UUID().uuidString).swift")
        try "import PersistentHeap\n\(program)".write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6", file.path, "-I",
            products.appendingPathComponent("Modules").path,
            "-I", sources.appendingPathComponent("Heap/Region/C/include").path,
            "-Xcc", "-fmodule-map-file=\(products.path)/CPersistentMemory.build/module.modulemap",
            "-load-plugin-executable", "\(products.path)/PersistentMacros-tool#PersistentMacros",
        ]
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? nil : output
    }

    private let types = """
        @Persistent struct Node { var value: Int; var next: PRef<Node>? }
        final class Volatile {}
        struct Plain { var pointer: Int }

        """

    private func expectRefusal(_ program: String, says message: String) throws {
        let found = try #require(try errors(types + program), "it compiled: \(program)")
        #expect(found.contains(message), "\(found)")
    }

    @Test func aProperProgramCompiles() throws {
        let found = try errors(
            types + """
                func f(_ heap: PersistentHeap, _ node: PRef<Node>) throws {
                    try heap.transaction { tx in tx.edit(node).value = heap[node].value + 1 }
                }
                """)
        #expect(found == nil, "\(found ?? "")")
    }

    @Test func aStoreOutsideATransaction() throws {
        try expectRefusal(
            "func f(_ heap: PersistentHeap, _ node: PRef<Node>) { heap[node].value = 1 }",
            says: "subscript is get-only")
    }

    @Test func aStoreInAFunctionThatWasNotGivenTheTransaction() throws {
        try expectRefusal(
            "func f(_ node: PRef<Node>) { node.value = 1 }", says: "has no member 'value'")
    }

    @Test func aTransactionCannotEscape() throws {
        try expectRefusal(
            "func f(_ heap: PersistentHeap) throws { let kept: Transaction = try heap.transaction { tx in tx } }",
            says: "Copyable")
        try expectRefusal(
            """
            func keep(_ transaction: consuming Transaction) {}
            func f(_ heap: PersistentHeap) throws { try heap.transaction { tx in keep(tx) } }
            """, says: "'tx' is borrowed and cannot be consumed")
    }

    @Test func unsupportedFields() throws {
        for (field, message) in [
            ("String", "use PString"), ("[Int]", "use PArray"), ("[Int: Int]", "use PDictionary"),
            ("() -> Void", "a closure points into this program"),
            ("any Sendable", "use a concrete @Persistent type"),
            ("UnsafeRawPointer", "use PRef"), ("(Int, Int)", "use a @Persistent struct"),
        ] {
            try expectRefusal("@Persistent struct Bad { var field: \(field) }", says: message)
        }
    }

    @Test func aReferenceFromPersistentToVolatileMemory() throws {
        try expectRefusal("@Persistent struct Bad { var field: Volatile }", says: "'Persistable'")
        try expectRefusal("@Persistent struct Bad { var field: Plain }", says: "'Persistable'")
        try expectRefusal(
            "@Persistent struct Bad { var field: Unmanaged<Volatile> }", says: "use PRef")
    }

    @Test func persistentClasses() throws {
        #expect(
            try errors(
                types + "@Persistent final class Good { var field: Int = 0; var next: Good? }")
                == nil)
        for (body, message) in [
            ("class Bad { var field: Int = 0 }", "a persistent class is final"),
            ("final class Bad<T> { var field: Int = 0 }", "a generic type has no single layout"),
            ("final class Bad { var field: Int = 0; deinit {} }", "no deinit"),
            ("final class Bad { weak var other: Bad? }", "use an optional field"),
            (
                "final class Bad { var field: Int = 0 { didSet {} } }",
                "willSet and didSet would not run"
            ),
            ("final class Bad { var a: Int = 0, b: Int = 0 }", "in a line of its own"),
            ("final class Bad { var field: String = \"\" }", "use PString"),
            (
                "final class Bad { var field: () -> Void = {} }",
                "a closure points into this program"
            ),
            ("final class Bad { var field: (any Sendable)? }", "use a concrete @Persistent type"),
            ("final class Bad { var field: PRef<Node>? }", "belongs to @Persistent structs"),
            (
                "final class Bad { var field: Volatile? }",
                "a field of a persistent class is a number"
            ),
            ("final class Bad { let field = 1 }", "needs its type written out"),
        ] {
            try expectRefusal("@Persistent \(body)", says: message)
        }
        try expectRefusal(
            "@Persistent struct Bad { var field: Int { didSet {} } }", says: "willSet and didSet")
    }

    @Test func fieldsWithoutATypeAndGenericTypes() throws {
        try expectRefusal(
            "@Persistent struct Bad { var field = 1 }", says: "needs its type written out")
        try expectRefusal(
            "@Persistent struct Bad<T> { var field: Int }",
            says: "a generic type has no single layout")
        try expectRefusal(
            "@Persistent class Bad { var field: Int = 0 }", says: "a persistent class is final")
        try expectRefusal(
            "@Persistent actor Bad { var field: Int = 0 }",
            says: "goes on a struct, an enum or a final class")
    }
}
