/// The tree that every guest finds, after hier(7). What is there already is left alone, so that an
/// archive may be unpacked before or after.
extension FileSystem {
    public func populateDefaults() {
        makeDefaultDirectories()
        mountDefault(.text("proc"), GeneratedTree.processes(self))
        mountDefault(.text("sys"), GeneratedTree.system(self))
        makeDevices()
        makeConfiguration()
    }

    private func makeDefaultDirectories() {
        for path: StaticString in [
            "/boot", "/etc", "/home", "/mnt", "/opt", "/run", "/srv", "/usr", "/usr/bin",
            "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin", "/usr/sbin",
            "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log",
        ] {
            makeDefaultDirectory(path, 0o755)
        }
        makeDefaultDirectory("/root", 0o700)
        makeDefaultDirectory("/tmp", 0o1777)
        makeDefaultDirectory("/var/tmp", 0o1777)
        makeDefaultLink("/bin", "usr/bin")
        makeDefaultLink("/lib", "usr/lib")
        makeDefaultLink("/lib64", "usr/lib64")
        makeDefaultLink("/sbin", "usr/sbin")
        makeDefaultLink("/var/run", "/run")
    }

    /// Device nodes of null(4), full(4), random(4), tty(4), console(4), pts(4), and the links of
    /// /dev.
    private func makeDevices() {
        let devices = Inode(
            number: takeNumber(), device: FileSystemDevice.devices, kind: .directory,
            permissions: 0o755, time: now)
        mountDefault(.text("dev"), devices)
        makeDefaultDevice("/dev/null", 1, 3, 0o666)
        makeDefaultDevice("/dev/zero", 1, 5, 0o666)
        makeDefaultDevice("/dev/full", 1, 7, 0o666)
        makeDefaultDevice("/dev/random", 1, 8, 0o666)
        makeDefaultDevice("/dev/urandom", 1, 9, 0o666)
        makeDefaultDevice("/dev/tty", 5, 0, 0o666)
        makeDefaultDevice("/dev/console", 5, 1, 0o600)
        makeDefaultDevice("/dev/ptmx", 5, 2, 0o666)
        makeDefaultDirectory("/dev/pts", 0o755)
        makeDefaultDirectory("/dev/shm", 0o1777)
        makeDefaultLink("/dev/fd", "/proc/self/fd")
        makeDefaultLink("/dev/stdin", "/proc/self/fd/0")
        makeDefaultLink("/dev/stdout", "/proc/self/fd/1")
        makeDefaultLink("/dev/stderr", "/proc/self/fd/2")
    }

    private func makeConfiguration() {
        makeDefaultFile(
            "/etc/passwd",
            """
            root:x:0:0:root:/root:/bin/sh
            nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin

            """)
        makeDefaultFile("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
        makeDefaultFile("/etc/hostname", "localhost\n")
        makeDefaultFile("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n")
        makeDefaultFile(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")
        makeDefaultLink("/etc/mtab", "/proc/self/mounts")
    }

    // MARK: One entry. An error means that something is there, or a file is in the way.

    private var superuser: Caller { Caller(root: root, workingDirectory: root, umask: 0) }

    private func makeDefaultDirectory(_ path: StaticString, _ mode: UInt32) {
        try? makeDirectory(.text(path), at: root, mode: mode, superuser)
    }

    private func makeDefaultLink(_ path: StaticString, _ target: StaticString) {
        try? makeSymbolicLink(target: .text(target), .text(path), at: root, superuser)
    }

    private func makeDefaultDevice(
        _ path: StaticString, _ major: UInt32, _ minor: UInt32, _ mode: UInt32
    ) {
        try? makeNode(
            .text(path), at: root, mode: NodeKind.characterDevice.modeBits | mode,
            deviceNumber: DeviceNumber.make(major, minor), superuser)
    }

    private func makeDefaultFile(_ path: StaticString, _ text: StaticString) {
        let flags = OpenFlags.writeOnly | OpenFlags.create | OpenFlags.exclusive
        guard let opened = try? open(.text(path), at: root, flags: flags, mode: 0o644, superuser)
        else { return }
        try? opened.inode.contents?.writeBytes(.text(text), offset: 0)
        release(opened.inode)
    }

    /// Puts the root of another device into the tree's root. An empty directory of that name gives
    /// way.
    private func mountDefault(_ name: Bytes, _ top: Inode) {
        top.name = name
        top.parent = root
        if let present = root.directory?.inode(named: name[...]) {
            guard present.directory?.isEmpty ?? false, present.device == root.device else { return }
            _ = root.directory?.replace(name, with: top)
            present.linkCount = 0
            disposeIfUnused(present)
        } else {
            root.directory?.insert(name, top)
            root.linkCount &+= 1
        }
        if top.directory != nil {
            top.linkCount = 2
            liveInodes += 1
        }
    }
}
