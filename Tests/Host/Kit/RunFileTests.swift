import Testing

@testable import HostKit

/// Run files: what they say, and how a wrong one is refused.
struct RunFileTests {
    @Test func everyOptionHasItsPlace() throws {
        let scratch = try Scratch()
        let path = try scratch.file(
            "run.toml",
            """
            command = ["redis-server", "--save", ""]
            store = "s.evertree"
            root = "root.tar"
            user = "app"
            cwd = "/srv"
            file = ["a:/b"]
            interval = "5ms"
            domain = "host-flush"
            memory = "256M"
            nvm = "2G"
            cpus = 1
            accel = "tcg"
            detach = true
            [env]
            B = "2"
            A = "1 x"
            """)
        let file = try RunFile(reading: path.string)
        #expect(file.command == ["redis-server", "--save", ""])
        #expect(file.environment == ["A=1 x", "B=2"])
        #expect(file.cpus == 1 && file.detach == true && file.nvm == "2G" && file.memory == "256M")
        #expect(file.root == "root.tar" && file.user == "app" && file.cwd == "/srv")
        #expect(file.file == ["a:/b"] && file.store == "s.evertree" && file.accel == "tcg")
        #expect(file.interval == "5ms" && file.domain == "host-flush")
        #expect(try RunFile(reading: try scratch.file("empty.toml", "").string) == RunFile())
    }

    @Test(arguments: [
        ("cpu = 1", "'cpu' is no option"), ("cpus = \"one\"", "'cpus' has a value"),
        ("command = \"sh\"", "'command' has a value"), ("env = [\"A=1\"]", "'env' has a value"),
        ("root = [", "run.toml"), ("root = \"a\"\nroot = \"b\"", "run.toml"),
    ])
    func aWrongOneIsRefusedByName(text: String, reason: String) throws {
        let scratch = try Scratch()
        let path = try scratch.file("run.toml", text)
        let error = #expect(throws: HostError.self) { try RunFile(reading: path.string) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
        #expect(error?.exitStatus == 64)
    }

    @Test func aFileThatIsNotThere() {
        let error = #expect(throws: HostError.self) { try RunFile(reading: "/nonexistent.toml") }
        #expect(error?.exitStatus == 71)
    }
}
