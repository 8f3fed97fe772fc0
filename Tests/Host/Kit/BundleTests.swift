import ABI
import Glibc
import SystemPackage
import Testing

@testable import HostKit

/// The boot bundle, read back by cpio(1), and the image of a program with what it needs.
struct BundleTests {
    private func build(
        _ scratch: Scratch, _ command: [String], files: [String] = [], environment: [String] = []
    ) async throws -> StoreDirectory {
        let server = try scratch.file("server", "the server")
        let specification = ProgramSpecification(
            command: command, environment: environment, files: files.compactMap(FileOption.init),
            workingDirectory: "/w",
            terminals: [true, false, true])
        var options = RunOptions(program: specification)
        options.nvmBytes = 64 << 20
        let directory = StoreDirectory(scratch.path.appending("test.evertree"))
        try directory.create()
        let given = options
        try await onThread {
            _ = try directory.populate(given, server: server, created: "now")
        }
        return directory
    }

    @Test func serverAndSpecificationAreTheBundle() async throws {
        let scratch = try Scratch()
        let store = try await build(
            scratch, ["/bin/busybox", "echo", "a b"], environment: ["K=V"])
        let names = shell("cpio -t --quiet < \(store.bundle)").split(separator: "\n")
        #expect(names == [".evertree/server", ".evertree/boot"])
        let out = scratch.path.appending("out")
        _ = shell("mkdir \(out) && cd \(out) && cpio -id --quiet < \(store.bundle)")
        #expect(try Files.read(out.appending(".evertree/server")) == Array("the server".utf8))
        let image = try ImageContents(store)
        #expect(image["usr/bin/busybox"]?.bytes == (try Files.read("/bin/busybox")))
        #expect(image["usr/bin/busybox"]?.mode == UInt32(S_IFREG) | 0o755)
        let specification = try Files.read(out.appending(".evertree/boot"))
        let entries = specification.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(
            entries.filter { $0.hasPrefix("arg=") } == ["arg=/bin/busybox", "arg=echo", "arg=a b"])
        #expect(
            Set(entries).isSuperset(of: [
                "program=/bin/busybox", "env=K=V", "env=HOME=/root", "cwd=/w", "user=0",
                "hostname=evertree", "terminal=101",
            ]))
        #expect(specification.last == 0)
    }

    @Test func directoriesLinksAndModesArrive() async throws {
        let scratch = try Scratch()
        let tree = scratch.path.appending("tree")
        _ = shell(
            "mkdir -p \(tree)/sub/deep && cd \(tree) && printf abc > sub/deep/f && chmod 640 sub/deep/f "
                + "&& ln -s deep/f sub/link && : > empty && printf x > 'with space'")
        let store = try await build(scratch, ["/bin/busybox"], files: ["\(tree):/data"])
        let image = try ImageContents(store)
        #expect(
            Set(image.names.filter { $0.hasPrefix("data") }) == [
                "data", "data/sub", "data/sub/deep", "data/sub/deep/f", "data/sub/link",
                "data/empty", "data/with space",
            ])
        #expect(image.text("data/sub/deep/f") == "abc")
        #expect(image["data/sub/deep/f"]?.mode == UInt32(S_IFREG) | 0o640)
        #expect(image["data/sub/link"]?.target == "deep/f")
        #expect(image["data/empty"]?.bytes == [])
    }

    @Test func aDynamicProgramBringsItsLibraries() async throws {
        let scratch = try Scratch()
        let image = try ImageContents(try await build(scratch, ["/bin/ls"]))
        #expect(
            image.names.isSuperset(of: [
                "usr/bin/ls", "usr/lib64/ld-linux-x86-64.so.2",
                "usr/lib/x86_64-linux-gnu/libc.so.6",
            ]))
        #expect(image["lib64"]?.target == "usr/lib64")
    }

    /// `--file` of a program, and of the libraries it brings along, twice each.
    @Test func theSameSourceTwiceIsNoConflict() async throws {
        let scratch = try Scratch()
        let library = "/lib/x86_64-linux-gnu/libc.so.6"
        let image = try ImageContents(
            try await build(
                scratch, ["/bin/busybox"],
                files: ["/bin/ls", library, "/usr" + library, "/bin/ls", library]))
        #expect(
            image.names.isSuperset(of: [
                "usr/bin/ls", "usr/lib64/ld-linux-x86-64.so.2", "usr" + library,
            ]))
        let second = try Scratch()
        let other = try second.file("other", "other")
        let error = await #expect(throws: HostError.self) {
            try await build(second, ["/bin/busybox"], files: ["/bin/ls", "\(other):/bin/ls"])
        }
        #expect(error == .usage("two files are to go to /bin/ls in the guest"))
    }

    @Test func whatTheKernelMakesCannotBeBrought() async throws {
        let scratch = try Scratch()
        let file = try scratch.file("file", "")
        await #expect(throws: HostError.self) {
            try await build(scratch, ["/bin/busybox"], files: ["\(file):/proc/x"])
        }
    }

    @Test func aScriptBringsItsInterpreter() async throws {
        let scratch = try Scratch()
        let script = try scratch.file("script", "#!/bin/busybox sh\necho hello\n", mode: 0o755)
        let image = try ImageContents(try await build(scratch, [script.string]))
        #expect(image["usr/bin/busybox"] != nil)
        #expect(image[String(script.string.dropFirst())] != nil)
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
