/// What is in /proc/N (proc(5)). Raw values are the place in the directory and part of inode
/// numbers.
enum ProcessItem: UInt8, CaseIterable {
    case commandLine, commandName, workingDirectory, environment, executable, descriptors,
        descriptorInformation
    case maps, mounts, root, statLine, statusText, threads

    var name: StaticString {
        switch self {
        case .commandLine: "cmdline"
        case .commandName: "comm"
        case .workingDirectory: "cwd"
        case .environment: "environ"
        case .executable: "exe"
        case .descriptors: "fd"
        case .descriptorInformation: "fdinfo"
        case .maps: "maps"
        case .mounts: "mounts"
        case .root: "root"
        case .statLine: "stat"
        case .statusText: "status"
        case .threads: "task"
        }
    }

    var kind: NodeKind {
        switch self {
        case .workingDirectory, .executable, .root: .symbolicLink
        case .descriptors, .descriptorInformation, .threads: .directory
        default: .regular
        }
    }

    var permissions: UInt32 {
        switch self {
        case .workingDirectory, .executable, .root: 0o777
        case .descriptors, .descriptorInformation: 0o500
        case .threads: 0o555
        case .commandName: 0o644
        case .environment: 0o400
        default: 0o444
        }
    }
}

/// Makes the inodes of /proc/N. They are made anew at each look-up; the number says what they are,
/// so it repeats.
struct ProcessInodes {
    let information: ProcessInformation

    func make(
        _ process: Int32, _ part: UInt8, _ detail: Int32, _ kind: NodeKind, _ permissions: UInt32,
        _ node: GeneratedNode
    ) -> Inode {
        let owner = information.owner(process)
        return Inode(
            number: Self.number(process, part, detail), device: FileSystemDevice.processes,
            kind: kind, permissions: permissions, owner: owner.user, group: owner.group,
            time: Timestamp(seconds: information.bootEpochSeconds()), generated: node)
    }

    /// Process in the upper half, part in the next eight bits, a thread or descriptor below.
    static func number(_ process: Int32, _ part: UInt8, _ detail: Int32 = 0) -> UInt64 {
        UInt64(UInt32(bitPattern: process)) << 32 | UInt64(part) << 24
            | UInt64(UInt32(bitPattern: detail) & 0xFF_FFFF)
    }

    static let directoryPart: UInt8 = 0xFF
    static let threadPart: UInt8 = 0xFE
}

/// /proc/N, or /proc/N/task/M: the files of a thread are those of its process.
final class ProcessDirectory: GeneratedNode {
    private let process: Int32
    private let items: [ProcessItem]
    private let information: ProcessInformation

    init(_ process: Int32, isThread: Bool, _ information: ProcessInformation) {
        self.process = process
        self.information = information
        items = ProcessItem.allCases.filter { !isThread || $0 != .threads }
        super.init()
    }

    override func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? {
        guard information.processIDs().contains(process) else { return nil }
        guard let item = items.first(where: { name.equals($0.name) }) else { return nil }
        return ProcessInodes(information: information)
            .make(process, item.rawValue, 0, item.kind, item.permissions, node(for: item))
    }

    override func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        guard information.processIDs().contains(process) else { throw .ENOENT }
        var result: [DirectoryEntry] = []
        var place = GeneratedNode.firstCookie
        for item in items {
            place += 1
            if place <= cookie { continue }
            let number = ProcessInodes.number(process, item.rawValue)
            result.append(
                DirectoryEntry(name: .text(item.name), inode: number, kind: item.kind, next: place))
        }
        return result
    }

    private func node(for item: ProcessItem) -> GeneratedNode {
        switch item {
        case .descriptors: DescriptorDirectory(process, .link, information)
        case .descriptorInformation: DescriptorDirectory(process, .information, information)
        case .threads: ThreadDirectory(process, information)
        default: ProcessFile(process, item, information)
        }
    }
}

/// A file or a magic link in /proc/N.
final class ProcessFile: GeneratedNode {
    private let process: Int32
    private let item: ProcessItem
    private let information: ProcessInformation

    init(_ process: Int32, _ item: ProcessItem, _ information: ProcessInformation) {
        self.process = process
        self.item = item
        self.information = information
        super.init()
    }

    override func text(_ caller: Caller) throws(Errno) -> Bytes {
        guard information.processIDs().contains(process) else { throw .ESRCH }
        return switch item {
        case .commandLine: information.commandLine(process)
        case .commandName: information.commandName(process) + [.newline]
        case .environment: information.environment(process)
        case .maps: information.maps(process)
        case .mounts: .text(MountTable.text)
        case .statLine: information.statLine(process)
        case .statusText: information.statusText(process)
        default: throw .EINVAL
        }
    }

    override func write(_ bytes: Bytes, _ caller: Caller) throws(Errno) {
        guard item == .commandName else { throw .EACCES }
        guard caller.processID == process else { throw .EINVAL }
        information.setCommandName(process, Bytes(bytes.prefix { $0 != .newline }.prefix(15)))
    }

    override func target(_ caller: Caller) throws(Errno) -> Bytes {
        if item == .executable {
            guard let executable = information.executable(process) else { throw .ENOENT }
            return executable.path
        }
        guard let inode = try follow(caller) else { throw .EINVAL }
        return inode.shownPath(below: caller.root)
    }

    override func follow(_ caller: Caller) throws(Errno) -> Inode? {
        let goal: Inode? =
            switch item {
            case .executable: information.executable(process)?.inode
            case .workingDirectory: information.workingDirectory(process)
            case .root: information.root(process)
            default: throw .EINVAL
            }
        guard let goal else { throw .ENOENT }
        return goal
    }
}
