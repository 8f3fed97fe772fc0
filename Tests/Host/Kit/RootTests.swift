import ABI
import Glibc
import SystemPackage
import Testing

@testable import HostKit

/// `--root`: directories, tar archives as tar(1) writes them, and OCI layouts, read back from the
/// store's image.
struct RootTests {
    /// A tree with everything that a tree can hold and this process may make.
    private func makeTree(_ scratch: Scratch) -> FilePath {
        let tree = scratch.path.appending("tree")
        let long = String(repeating: "n", count: 120)
        _ = shell(
            """
            mkdir -p \(tree)/usr/bin \(tree)/etc \(tree)/proc/1 \(tree)/\(long)/\(long)
            cd \(tree)
            cp /bin/busybox usr/bin/busybox; ln usr/bin/busybox usr/bin/sh; ln -s usr/bin bin
            printf 'root:x:0:0:root:/root:/bin/sh\\napp:x:7:8:app:/srv/app:/bin/sh\\n' > etc/passwd
            printf 'root:x:0:\\napp:x:8:\\nextra:x:9:app\\n' > etc/group
            printf deep > \(long)/\(long)/file; : > empty; printf hidden > proc/1/file
            chmod 4755 usr/bin/busybox; chmod 1777 etc; mkfifo pipe; touch -d @1000000000 empty
            if [ "$(id -u)" = 0 ]; then mknod disk b 8 300; chown 5:6 empty; fi
            """)
        return tree
    }

    private func options(_ root: FilePath, command: [String] = ["sh"], user: String? = nil)
        -> RunOptions
    {
        var program = ProgramSpecification(command: command, environment: [])
        program.root = root.string
        program.user = user
        var options = RunOptions(program: program)
        options.nvmBytes = 64 << 20
        return options
    }

    private func make(_ scratch: Scratch, _ options: RunOptions, name: String = "root.evertree")
        async throws -> StoreDirectory
    {
        let directory = StoreDirectory(scratch.path.appending(name))
        try directory.create()
        try await onThread {
            _ = try directory.populate(options, server: "/bin/busybox", created: "now")
        }
        return directory
    }

    private func check(_ image: ImageContents, isSuperuser: Bool) throws {
        let program = try #require(image["usr/bin/busybox"])
        #expect(program.mode == UInt32(S_IFREG) | 0o4755)
        #expect(program.bytes == (try Files.read("/bin/busybox")))
        #expect(image["usr/bin/sh"]?.inode == program.inode)
        #expect(image["bin"]?.target == "usr/bin")
        #expect(image["etc"]?.mode == UInt32(S_IFDIR) | 0o1777)
        #expect(image["pipe"].map { mode_t($0.mode) & S_IFMT } == S_IFIFO)
        #expect(image["empty"]?.seconds == 1_000_000_000)
        #expect(image["empty"]?.bytes.isEmpty ?? false)
        let long = String(repeating: "n", count: 120)
        #expect(image.text("\(long)/\(long)/file") == "deep")
        #expect(image["proc"] != nil && image["proc/1"] == nil)
        guard isSuperuser else { return }
        // makedev(8, 300).
        #expect(image["disk"]?.device == 0x10_082C)
        #expect(image["empty"]?.owner == 5 && image["empty"]?.group == 6)
    }

    @Test func aDirectoryComesAsItIs() async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        let store = try await make(scratch, options(tree))
        try check(try ImageContents(store), isSuperuser: getuid() == 0)
    }

    @Test(arguments: ["", "gzip", "xz", "zstd"], ["ustar", "pax", "gnu"])
    func anArchiveIsTheSame(tool: String, format: String) async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        let archive = scratch.path.appending("root.tar")
        // ustar cannot say a path of 240 bytes, half of which has no slash.
        let left = format == "ustar" ? "--exclude='nnn*'" : ""
        let filter = tool.isEmpty ? "cat" : "\(tool) -c"
        _ = shell("tar -C \(tree) --format=\(format) \(left) -c . | \(filter) > \(archive)")
        if format == "ustar" { _ = shell("rm -r \(tree)/nnn*") }
        let store = try await make(scratch, options(archive))
        let image = try ImageContents(store)
        if format == "ustar" {
            #expect(image["usr/bin/sh"]?.inode == image["usr/bin/busybox"]?.inode)
            #expect(image["bin"]?.target == "usr/bin")
        } else {
            try check(image, isSuperuser: getuid() == 0)
        }
    }

    @Test func damagedArchivesAreRefused() async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        let archive = scratch.path.appending("root.tar")
        _ = shell("tar -C \(tree) -c . > \(archive)")
        let whole = try Files.read(archive)
        var random = Seeded(11)
        var refused = 0
        for turn in 0..<60 {
            var bytes = whole
            if turn % 3 == 0 {
                bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            } else {
                for _ in 0..<8 {
                    let block = Int.random(in: 0..<(bytes.count / 512), using: &random) * 512
                    bytes[block + Int.random(in: 0..<512, using: &random)] ^= 0x5A
                }
            }
            try Files.replace(archive, with: bytes)
            do {
                _ = try await make(scratch, options(archive), name: "t\(turn).evertree")
            } catch let error as HostError {
                #expect(error.exitStatus == 66 || error.exitStatus == 64)
                refused += 1
            }
        }
        #expect(refused >= 20)
        _ = shell("gzip -c \(archive) | head -c 5000 > \(archive).gz")
        let cut = FilePath(archive.string + ".gz")
        let error = await #expect(throws: HostError.self) {
            try await make(scratch, options(cut), name: "cut.evertree")
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains("cannot read"))
    }

    @Test func aStoreTooSmallIsRefusedWithItsSize() async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        _ = shell("head -c 30000000 /dev/zero > \(tree)/large")
        var small = options(tree)
        small.nvmBytes = 32 << 20
        let error = await #expect(throws: HostError.self) {
            try await make(scratch, small, name: "small.evertree")
        }
        guard case .storeTooSmall(let bytes, let needed)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(bytes == 32 << 20)
        // What it says is enough, and not much more than that is needed.
        small.nvmBytes = needed
        _ = try await make(scratch, small, name: "enough.evertree")
        small.nvmBytes = needed - (2 << 20)
        await #expect(throws: HostError.self) {
            try await make(scratch, small, name: "less.evertree")
        }
        small.nvmBytes = 32 << 20
        small.nvmMayGrow = true
        let grown = try await make(scratch, small, name: "grown.evertree")
        #expect(try Manifest.load(grown).nvmBytes > 1 << 30)
    }

    @Test func programsAndUsersAreThoseOfTheRoot() async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        func launch(_ command: [String], _ user: String? = nil) async throws -> Set<String> {
            let name = "\(command.count)\(user ?? "")-\(Int.random(in: 0..<1 << 40)).evertree"
            let store = try await make(
                scratch, options(tree, command: command, user: user), name: name)
            let out = scratch.path.appending("out")
            _ = shell("rm -rf \(out); mkdir \(out); cd \(out); cpio -id --quiet < \(store.bundle)")
            let bytes = try Files.read(out.appending(".evertree/boot"))
            return Set(bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        }
        let plain = try await launch(["sh", "-c", "id"])
        #expect(
            plain.isSuperset(of: ["program=/usr/bin/sh", "user=0", "group=0", "env=HOME=/root"]))
        let app = try await launch(["/bin/sh"], "app")
        #expect(
            app.isSuperset(of: [
                "program=/bin/sh", "user=7", "group=8", "groups=9", "env=HOME=/srv/app",
            ]))
        #expect(try await launch(["sh"], "7:extra").isSuperset(of: ["user=7", "group=9"]))
        #expect(try await launch(["sh"], "123:45").isSuperset(of: ["user=123", "group=45"]))
        for (command, user) in [
            (["/usr/bin/none"], nil), (["none"], nil), (["/etc/passwd"], nil), (["sh"], "nobody"),
            (["sh"], "app:none"),
        ] as [([String], String?)] {
            await #expect(throws: HostError.self) { _ = try await launch(command, user) }
        }
    }

    /// Two layers: one with files, one that takes some away.
    @Test func anOCILayoutGivesLayersAndConfiguration() async throws {
        let scratch = try Scratch()
        let tree = makeTree(scratch)
        let layout = scratch.path.appending("layout")
        _ = shell(
            """
            mkdir -p \(layout)/blobs/sha256 \(scratch.path)/upper/etc \(scratch.path)/upper/opt
            mkdir -p \(tree)/opt/old \(tree)/opt/keep; printf 1 > \(tree)/opt/old/file
            cd \(scratch.path)/upper; : > .wh.empty; printf new > etc/group
            : > opt/.wh..wh..opq; mkdir opt/keep; printf 2 > opt/keep/file
            blob() { sum=$(sha256sum < "$1" | cut -d' ' -f1); cp "$1" \(layout)/blobs/sha256/$sum; \
              printf '"digest":"sha256:%s","size":%d' $sum $(stat -c %s "$1"); }
            cd \(scratch.path)
            tar -C \(tree) -c . | gzip > one; tar -C upper -c . | zstd -q > two
            printf '{"architecture":"amd64","os":"linux","config":{"User":"app","Env":["PATH=/bin","A=b"],\
            "Entrypoint":["sh","-c"],"Cmd":["id"],"WorkingDir":"/opt"}}' > config
            printf '{"schemaVersion":2,"config":{%s},"layers":[{%s},{%s}]}' \
              "$(blob config)" "$(blob one)" "$(blob two)" > manifest
            m=$(blob manifest)
            printf '{"schemaVersion":2,"manifests":[{%s,"annotations":{"org.opencontainers.image.ref.name":"a"}},\
            {"digest":"sha256:00","annotations":{"org.opencontainers.image.ref.name":"b"}}]}' "$m" \
              > \(layout)/index.json
            printf '{"imageLayoutVersion":"1.0.0"}' > \(layout)/oci-layout
            """)
        let store = try await make(
            scratch, options(FilePath(layout.string + ":a"), command: []))
        let image = try ImageContents(store)
        #expect(image["empty"] == nil)
        #expect(image.text("etc/group") == "new")
        #expect(image["opt/old"] == nil)
        #expect(image.text("opt/keep/file") == "2")
        #expect(image["usr/bin/sh"] != nil)
        #expect(image.names.allSatisfy { !$0.contains(".wh.") })
        #expect(try Manifest.load(store).command == ["sh", "-c", "id"])
        let out = scratch.path.appending("out")
        _ = shell("mkdir \(out); cd \(out); cpio -id --quiet < \(store.bundle)")
        let bytes = try Files.read(out.appending(".evertree/boot"))
        let entries = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(
            Set(entries).isSuperset(of: [
                "program=/bin/sh", "arg=sh", "arg=-c", "arg=id", "env=PATH=/bin", "env=A=b",
                "cwd=/opt", "user=7", "env=HOME=/srv/app",
            ]))
        for root in [layout.string, layout.string + ":none"] {
            await #expect(throws: HostError.self) {
                try await make(scratch, options(FilePath(root), command: []), name: "no.evertree")
            }
        }
    }
}
