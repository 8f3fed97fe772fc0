import Glibc
import SystemPackage

/// From what a run was asked for to the guest's first files and the way its program is started.
struct RootFileSystem {
    private let specification: ProgramSpecification
    private let writer: ImageWriter
    private(set) var tree: ImageTree
    private var image = OCILayout.Configuration()

    init(_ specification: ProgramSpecification, _ writer: ImageWriter) {
        self.specification = specification
        self.writer = writer
        tree = specification.root == nil ? .mergedUsr() : ImageTree()
    }

    /// Takes all files in.
    mutating func build() throws(HostError) -> Launch {
        if let root = specification.root { try take(root) }
        let source = HostSource(tree: tree, writer: writer)
        // Files named by the user first: they win over what a program would bring along.
        for option in specification.files { try source.add(option) }
        var launch = Launch(
            program: "", arguments: command, environment: [], workingDirectory: "/")
        launch.hostname = specification.hostname
        launch.terminals = specification.terminals
        let home = try setUser(of: &launch)
        launch.workingDirectory =
            specification.workingDirectory ?? configured(image.WorkingDir)
            ?? "/"
        launch.environment = environment(home: home)
        guard let name = launch.arguments.first else {
            throw .usage("the image names no program; name one after --")
        }
        if specification.root == nil {
            let program = try ProgramSearch.find(name)
            try source.addProgram(program)
            launch.program = program.string
        } else {
            launch.program = try find(name, launch)
        }
        return launch
    }

    private mutating func take(_ root: String) throws(HostError) {
        if let (layout, tag) = OCILayout.open(root) {
            let (layers, configuration) = try layout.image(tag: tag)
            image = configuration
            var source = ArchiveSource(tree, writer)
            for layer in layers { try source.add(layer, hasWhiteouts: true) }
        } else if Files.status(FilePath(root))?.isDirectory ?? false {
            var source = DirectorySource(tree, writer)
            try source.add(FilePath(root))
        } else {
            var source = ArchiveSource(tree, writer)
            try source.add(FilePath(root), hasWhiteouts: false)
        }
        dropDeviceFiles()
    }

    /// Some archives hold empty files where the guest's own devices will be (/dev/console).
    private func dropDeviceFiles() {
        guard let devices = tree.find("dev"), devices.isDirectory else { return }
        for (name, node) in devices.children where node.isRegular { devices.children[name] = nil }
    }

    /// What was asked for, or the image's entry point and its arguments.
    private var command: [String] {
        if !specification.command.isEmpty { return specification.command }
        return (image.Entrypoint ?? []) + (image.Cmd ?? [])
    }

    /// Later settings of a variable win: the usual ones, the image's, the user's.
    private func environment(home: String) -> [String] {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var result: [String] = []
        for entry in [path, "HOME=\(home)"] + (image.Env ?? []) + specification.environment {
            let key = entry.prefix { $0 != "=" } + "="
            result.removeAll { $0.hasPrefix(key) }
            result.append(entry)
        }
        return result
    }

    private func configured(_ text: String?) -> String? {
        text.flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: The program

    /// The path of a program in the tree, as a shell finds it.
    private func find(_ name: String, _ launch: Launch) throws(HostError) -> String {
        if name.contains("/") {
            let path = name.hasPrefix("/") ? name : launch.workingDirectory + "/" + name
            guard let node = tree.find(path) else {
                throw .cannotRead(path: name, reason: "no such file in the root file system")
            }
            guard node.isExecutable else {
                throw .cannotRead(path: name, reason: "it is not an executable file")
            }
            return path
        }
        let path = launch.environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? ""
        for directory in path.split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            if tree.find(candidate)?.isExecutable ?? false { return candidate }
        }
        throw .cannotRead(path: name, reason: "no such program in the root file system's PATH")
    }

    // MARK: The user

    /// Sets user and groups; returns the user's home.
    private func setUser(of launch: inout Launch) throws(HostError) -> String {
        guard let text = specification.user ?? configured(image.User) else {
            return lines("etc/passwd").first { $0.count > 5 && $0[2] == "0" }?[5] ?? "/root"
        }
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        let name = parts.first ?? ""
        let entry = lines("etc/passwd").first {
            $0.count > 5 && ($0[0] == name || $0[2] == name)
        }
        guard let user = entry.flatMap({ UInt32($0[2]) }) ?? UInt32(name) else {
            throw .usage("the root file system's /etc/passwd has no user '\(name)'")
        }
        launch.user = user
        launch.group = entry.flatMap { UInt32($0[3]) } ?? 0
        let groups = lines("etc/group").filter { $0.count > 2 }
        if parts.count > 1 {
            let wanted = groups.first { $0[0] == parts[1] }.flatMap { UInt32($0[2]) }
            guard let group = wanted ?? UInt32(parts[1]) else {
                throw .usage("the root file system's /etc/group has no group '\(parts[1])'")
            }
            launch.group = group
        } else if let own = entry?[0] {
            launch.groups = groups.filter {
                $0.count > 3 && $0[3].split(separator: ",").contains { $0 == own }
            }.compactMap { UInt32($0[2]) }
        }
        return entry?[5] ?? "/"
    }

    /// Lines of passwd(5) or group(5), by fields.
    private func lines(_ path: String) -> [[String]] {
        guard let node = tree.find(path), node.isRegular else { return [] }
        return String(decoding: writer.read(node), as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { line in
                line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            }
    }
}

extension ImageTree {
    /// Names in the whole tree.
    var nameCount: UInt64 {
        var count: UInt64 = 0
        var pending = [root]
        while let node = pending.popLast() {
            count += UInt64(node.children.count)
            pending += node.children.values.filter(\.isDirectory)
        }
        return count
    }
}
