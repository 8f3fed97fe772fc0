import Glibc
import SystemPackage

/// Takes files of the host into a tree: programs with what they need, `--file` options, and a whole
/// directory as the root.
struct HostSource {
    let tree: ImageTree
    let writer: ImageWriter

    /// A program, its interpreter, and its libraries, at the paths they have on the host.
    func addProgram(_ path: FilePath, depth: Int = 0) throws(HostError) {
        guard depth < 5 else {
            throw .unsupportedProgram(
                path: path.string, reason: "its interpreters are nested too deeply")
        }
        _ = try ExecutableKind.of(path)
        try addFile(path)
        try addNeeds(path, depth: depth)
    }

    /// What a program needs to start. What is there already stays.
    private func addNeeds(_ path: FilePath, depth: Int) throws(HostError) {
        switch try ExecutableKind.of(path) {
        case .staticELF: break
        case .script(let interpreter):
            try addProgram(FilePath(interpreter), depth: depth + 1)
        case .dynamicELF(let interpreter):
            try addFile(FilePath(interpreter))
            for library in try SharedLibraries.of(path, interpreter: interpreter) {
                try addFile(library)
            }
        }
    }

    /// A `--file` option: a file or a directory with all that is in it. Owner and group become
    /// root, whose processes the guest's are.
    func add(_ option: FileOption) throws(HostError) {
        try addTree(option.host, at: option.guest, isTop: true)
        if ExecutableKind.needsLoader(option.host) { try addNeeds(option.host, depth: 0) }
    }

    /// One regular file, links followed, unless something has the name.
    private func addFile(_ path: FilePath) throws(HostError) {
        let guest = Files.absolute(path)
        guard let status = Files.status(path) else {
            throw .cannotRead(path: path.string, reason: errnoText(errno))
        }
        guard status.isRegular else {
            throw .cannotRead(path: path.string, reason: "it is not a regular file")
        }
        let (directory, name) = try place(guest)
        if directory.children[name] != nil { return }
        directory.children[name] = try regular(path, status)
    }

    private func place(_ guest: FilePath) throws(HostError) -> (ImageNode, ImageName) {
        let top = guest.components.first?.string
        if top == "proc" || top == "sys" {
            throw .usage("nothing can be put into \(guest): the guest's kernel makes it")
        }
        guard let found = tree.place(Array(guest.string.utf8)) else {
            throw .usage("a file is in the way of \(guest) in the guest")
        }
        return found
    }

    private func regular(_ path: FilePath, _ status: stat) throws(HostError) -> ImageNode {
        let input = try Files.open(path, .readOnly)
        defer { try? input.close() }
        let node = ImageNode(status)
        (node.owner, node.group) = (0, 0)
        try writer.add(input, to: node, size: UInt64(status.st_size), source: path.string)
        return node
    }

    private func addTree(_ source: FilePath, at guest: FilePath, isTop: Bool) throws(HostError) {
        guard let status = Files.status(source, followLinks: isTop) else {
            throw .cannotRead(path: source.string, reason: errnoText(errno))
        }
        if status.isDirectory {
            guard let directory = tree.makeDirectory(Array(guest.string.utf8)) else {
                throw .usage("a file is in the way of \(guest) in the guest")
            }
            if directory !== tree.root {
                directory.mode = UInt32(status.st_mode)
                directory.modifiedSeconds = Int64(status.st_mtim.tv_sec)
            }
            for entry in try Files.list(source) {
                try addTree(source.appending(entry), at: guest.appending(entry), isTop: false)
            }
            return
        }
        let (directory, name) = try place(guest)
        if let present = directory.children[name] {
            if present.origin == ImageNode.Origin(status) { return }
            throw .usage("two files are to go to \(guest) in the guest")
        }
        if status.isRegular {
            directory.children[name] = try regular(source, status)
        } else if status.isLink {
            let node = ImageNode(status)
            (node.owner, node.group) = (0, 0)
            node.target = try HostSource.linkTarget(
                source.string.utf8CString.map { $0 }, in: AT_FDCWD, source.string)
            directory.children[name] = node
        } else if isTop {
            throw .cannotRead(path: source.string, reason: "it is neither a file nor a directory")
        }
    }

    /// Where a symbolic link leads: its bytes. `path` is for messages.
    static func linkTarget(_ name: [CChar], in directory: Int32, _ path: String) throws(HostError)
        -> [UInt8]
    {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(directory, name, &buffer, buffer.count)
        guard count > 0 else {
            throw Files.error("readlink", FilePath(path), Errno(rawValue: errno))
        }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}
