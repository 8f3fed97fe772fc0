import ABI
import Glibc
import SystemPackage
import Testing

@testable import HostKit

/// The boot bundle, read back by cpio(1).
struct BundleTests {
    /// Runs a shell command and returns its standard output.
    private func shell(_ command: String) -> String {
        guard let pipe = popen(command, "r") else { return "" }
        defer { pclose(pipe) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&chunk, 1, chunk.count, pipe), count > 0 {
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func build(
        _ scratch: Scratch, _ command: [String], files: [String] = [], environment: [String] = []
    ) async throws -> FilePath {
        let archive = scratch.path.appending("bundle.cpio")
        let server = try scratch.file("server", "the server")
        let specification = ProgramSpecification(
            command: command, environment: environment, files: files.compactMap(FileOption.init),
            workingDirectory: "/w",
            terminals: [true, false, true])
        try await onThread { try BundleBuilder(server: server).build(specification, into: archive) }
        return archive
    }

    @Test func serverAndSpecificationComeFirst() async throws {
        let scratch = try Scratch()
        let archive = try await build(
            scratch, ["/bin/busybox", "echo", "a b"], environment: ["K=V"])
        let names = shell("cpio -t --quiet < \(archive)").split(separator: "\n").map(String.init)
        #expect(names.prefix(2) == [".evertree/server", ".evertree/boot"])
        #expect(names.contains("bin/busybox"))
        let out = scratch.path.appending("out")
        _ = shell("mkdir \(out) && cd \(out) && cpio -id --quiet < \(archive)")
        #expect(try Files.read(out.appending(".evertree/server")) == Array("the server".utf8))
        #expect(shell("cmp /bin/busybox \(out)/bin/busybox && echo same") == "same\n")
        #expect(shell("stat -c %a \(out)/bin/busybox") == "755\n")
        let specification = try Files.read(out.appending(".evertree/boot"))
        let entries = specification.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(
            entries == [
                "program=/bin/busybox", "arg=/bin/busybox", "arg=echo", "arg=a b", "env=K=V",
                "cwd=/w",
                "hostname=evertree", "terminal=101",
            ])
        #expect(specification.last == 0)
    }

    @Test func directoriesLinksAndModesArrive() async throws {
        let scratch = try Scratch()
        let tree = scratch.path.appending("tree")
        _ = shell(
            "mkdir -p \(tree)/sub/deep && cd \(tree) && printf abc > sub/deep/f && chmod 640 sub/deep/f "
                + "&& ln -s deep/f sub/link && : > empty && printf x > 'with space'")
        let archive = try await build(scratch, ["/bin/busybox"], files: ["\(tree):/data"])
        let out = scratch.path.appending("out")
        _ = shell("mkdir \(out) && cd \(out) && cpio -id --quiet < \(archive)")
        #expect(shell("cd \(tree) && find . | sort") == shell("cd \(out)/data && find . | sort"))
        #expect(shell("cat \(out)/data/sub/link") == "abc")
        #expect(shell("stat -c %a \(out)/data/sub/deep/f") == "640\n")
        #expect(shell("diff -r \(tree) \(out)/data && echo same") == "same\n")
    }

    @Test func aDynamicProgramBringsItsLibraries() async throws {
        let scratch = try Scratch()
        let archive = try await build(scratch, ["/bin/ls"])
        let names = Set(
            shell("cpio -t --quiet < \(archive)").split(separator: "\n").map(String.init))
        #expect(
            names.isSuperset(of: [
                "bin/ls", "lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6",
            ]))
    }

    /// `--file` of a program, and of the libraries it brings along, twice each.
    @Test func theSameSourceTwiceIsNoConflict() async throws {
        let scratch = try Scratch()
        let library = "/lib/x86_64-linux-gnu/libc.so.6"
        let archive = try await build(
            scratch, ["/bin/busybox"], files: ["/bin/ls", library, "/bin/ls", library])
        let names = shell("cpio -t --quiet < \(archive)").split(separator: "\n").map(String.init)
        #expect(
            Set(names).isSuperset(of: [
                "bin/ls", "lib64/ld-linux-x86-64.so.2", String(library.dropFirst()),
            ]))
        #expect(Set(names).count == names.count)
        let other = try scratch.file("other", "other")
        let error = await #expect(throws: HostError.self) {
            try await build(scratch, ["/bin/busybox"], files: ["/bin/ls", "\(other):/bin/ls"])
        }
        #expect(error == .usage("two files are to go to /bin/ls in the guest"))
    }

    @Test func aScriptBringsItsInterpreter() async throws {
        let scratch = try Scratch()
        let script = try scratch.file("script", "#!/bin/busybox sh\necho hello\n", mode: 0o755)
        let archive = try await build(scratch, [script.string])
        let names = Set(
            shell("cpio -t --quiet < \(archive)").split(separator: "\n").map(String.init))
        #expect(names.contains("bin/busybox"))
        #expect(names.contains(String(script.string.dropFirst())))
    }

    @Test(arguments: [
        ("/nonexistent/program", "No such file"), ("no-such-program-anywhere", "PATH"),
        ("/etc", "regular"),
    ])
    func unreadableProgramsAreNamed(name: String, reason: String) async throws {
        let scratch = try Scratch()
        let error = await #expect(throws: HostError.self) { try await build(scratch, [name]) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
        #expect(error?.exitStatus == 66)
    }

    @Test(arguments: [
        ("text", "neither an ELF"), ("\u{7F}ELF\u{1}\u{1}", "neither an ELF"),
        ("\u{7F}ELF\u{1}\u{1}" + String(repeating: "\0", count: 100), "64-bit"),
        ("\u{7F}ELF\u{2}\u{1}" + String(repeating: "\0", count: 100), "x86-64"),
        ("#! \n", "interpreter path"),
    ])
    func otherFilesAreRefusedByName(text: String, reason: String) async throws {
        let scratch = try Scratch()
        let file = try scratch.file("program", text, mode: 0o755)
        let error = await #expect(throws: HostError.self) {
            try await build(scratch, [file.string])
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
    }

    @Test func truncatedProgramsNeverTrap() async throws {
        let scratch = try Scratch()
        let whole = try Files.read("/bin/ls", limit: 2048)
        for length in stride(from: 0, to: 1024, by: 7) {
            let file = scratch.path.appending("cut")
            try Files.replace(file, with: Array(whole[..<length]))
            _ = try? ExecutableKind.of(file)
        }
        var random = Seeded(7)
        for _ in 0..<500 {
            var bytes = whole
            for _ in 0..<4 {
                bytes[Int.random(in: 0..<256, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            let file = scratch.path.appending("cut")
            try Files.replace(file, with: bytes)
            _ = try? ExecutableKind.of(file)
        }
    }

    @Test func fileOptions() async throws {
        #expect(FileOption("/a/b")?.guest == "/a/b")
        #expect(FileOption("/a/b:/c/../d")?.guest == "/d")
        #expect(FileOption("/a/b:/c/../d")?.host == "/a/b")
        #expect(FileOption("/a/b:relative") == nil)
        let scratch = try Scratch()
        let file = try scratch.file("with:colon", "")
        #expect(FileOption(file.string)?.guest == file)
    }
}
