/// Builds the fixed parts of /proc and /sys.
struct GeneratedTree {
    /// A directory that is being filled.
    struct Branch {
        let inode: Inode
        let node: FixedDirectory
    }

    let fileSystem: FileSystem
    let device: UInt64
    private var information: ProcessInformation { fileSystem.process }

    /// The whole of /proc.
    static func processes(_ fileSystem: FileSystem) -> Inode {
        let tree = GeneratedTree(fileSystem: fileSystem, device: FileSystemDevice.processes)
        let fixed = FixedDirectory()
        let root = Branch(
            inode: tree.makeInode(.directory, 0o555, ProcRoot(fixed, tree.information)), node: fixed
        )
        tree.fillProcesses(root)
        tree.fillSettings(tree.add("sys", to: root))
        return root.inode
    }

    /// The whole of /sys.
    static func system(_ fileSystem: FileSystem) -> Inode {
        let tree = GeneratedTree(fileSystem: fileSystem, device: FileSystemDevice.system)
        let fixed = FixedDirectory()
        let root = Branch(inode: tree.makeInode(.directory, 0o555, fixed), node: fixed)
        let devices = tree.add("system", to: tree.add("devices", to: root))
        let cpu = tree.add("cpu", to: devices)
        tree.add("online", .cpuRange, to: cpu)
        tree.add("possible", .cpuRange, to: cpu)
        tree.add("present", .cpuRange, to: cpu)
        tree.add("kernel_max", .cpuMaximum, to: cpu)
        let clock = tree.add("clocksource0", to: tree.add("clocksource", to: devices))
        tree.add("current_clocksource", .clockSource, to: clock)
        tree.add("available_clocksource", .clockSource, to: clock)
        let pages = tree.add(
            "transparent_hugepage", to: tree.add("mm", to: tree.add("kernel", to: root)))
        tree.add("enabled", .hugePages, to: pages)
        return root.inode
    }

    private func fillProcesses(_ root: Branch) {
        add("cmdline", .commandLine, to: root)
        add("cpuinfo", .cpuInformation, to: root)
        add("filesystems", .filesystems, to: root)
        add("loadavg", .loadAverage, to: root)
        add("meminfo", .memoryInformation, to: root)
        add("mounts", .symbolicLink, 0o777, FixedLink("self/mounts"), to: root)
        let network = add("net", to: root)
        for item in NetworkItem.allCases {
            add(item.name, .regular, 0o444, NetworkFile(item, information), to: network)
        }
        add("self", .symbolicLink, 0o777, SelfLink(isThread: false), to: root)
        add("stat", .statistics, to: root)
        add("thread-self", .symbolicLink, 0o777, SelfLink(isThread: true), to: root)
        add("uptime", .uptime, to: root)
        add("version", .version, to: root)
    }

    private func fillSettings(_ settings: Branch) {
        let kernel = add("kernel", to: settings)
        add("cap_last_cap", .lastCapability, to: kernel)
        add("domainname", .domainName, to: kernel)
        add("hostname", .hostName, to: kernel)
        add("ngroups_max", .greatestGroupCount, to: kernel)
        add("osrelease", .kernelRelease, to: kernel)
        add("ostype", .kernelType, to: kernel)
        add("overflowgid", .overflowUser, to: kernel)
        add("overflowuid", .overflowUser, to: kernel)
        add("version", .kernelVersion, to: kernel)
        let random = add("random", to: kernel)
        add("boot_id", .bootUUID, to: random)
        add("entropy_avail", .entropyAvailable, to: random)
        add("uuid", .randomUUID, to: random)
        let memory = add("vm", to: settings)
        add("mmap_min_addr", .lowestMapping, to: memory)
        // Memory is given when it is touched: "always overcommit" is what happens.
        add("overcommit_memory", .regular, 0o644, StoredNumber(1), to: memory)
        let core = add("core", to: add("net", to: settings))
        add("somaxconn", .regular, 0o644, StoredNumber(4096), to: core)
    }

    // MARK: Adding

    private func makeInode(_ kind: NodeKind, _ permissions: UInt32, _ node: GeneratedNode) -> Inode
    {
        Inode(
            number: fileSystem.takeNumber(), device: device, kind: kind, permissions: permissions,
            time: fileSystem.now, generated: node)
    }

    private func add(
        _ name: StaticString, _ kind: NodeKind, _ permissions: UInt32, _ node: GeneratedNode,
        to branch: Branch
    ) {
        enter(makeInode(kind, permissions, node), name, in: branch)
    }

    private func add(_ name: StaticString, _ item: MachineItem, to branch: Branch) {
        add(
            name, .regular, item == .hostName ? 0o644 : 0o444, MachineFile(item, information),
            to: branch)
    }

    private func add(_ name: StaticString, to branch: Branch) -> Branch {
        let node = FixedDirectory()
        let inode = makeInode(.directory, 0o555, node)
        enter(inode, name, in: branch)
        return Branch(inode: inode, node: node)
    }

    private func enter(_ inode: Inode, _ name: StaticString, in branch: Branch) {
        inode.name = .text(name)
        inode.parent = branch.inode
        branch.node.add(inode)
    }
}
