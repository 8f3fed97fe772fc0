@testable import LinuxServer

/// Our side of the comparison: what the server's system calls do with the file system.
final class OurSide {
    private let bench = Bench()
    private var caller: Caller
    private var handles = [Inode?](repeating: nil, count: OperationGenerator.handles)
    private var openFlags = [UInt32](repeating: 0, count: OperationGenerator.handles)
    private var fileSystem: FileSystem { bench.fileSystem }

    init(umask: UInt32) {
        caller = bench.superuser
        caller.umask = umask
        fileSystem.root.permissions = 0o777
    }

    func identify(ordinary: Bool) {
        caller.credentials = ordinary ? bench.user.credentials : Credentials()
    }

    func perform(_ operation: Operation) -> Outcome {
        do throws(Errno) {
            return Outcome(text: try act(operation))
        } catch {
            return Outcome(errno: error.rawValue)
        }
    }

    private func act(_ operation: Operation) throws(Errno) -> String {
        switch operation {
        case .open(let path, let flags, let mode, let keep): try open(path, flags, mode, keep)
        case .closeHandle(let index): close(index)
        case .statusOfHandle(let index): return handles[index].map { show($0) } ?? ""
        case .truncateHandle(let index, let size): try truncateHandle(index, size)
        case .makeDirectory(let path, let mode):
            try fileSystem.makeDirectory(bytes(path), at: nil, mode: mode, caller)
        case .makeNode(let path, let mode):
            try fileSystem.makeNode(bytes(path), at: nil, mode: mode, deviceNumber: 0x103, caller)
        case .unlink(let path): try fileSystem.unlink(bytes(path), at: nil, caller)
        case .removeDirectory(let path):
            try fileSystem.removeDirectory(bytes(path), at: nil, caller)
        case .rename(let from, let to, let flags):
            try fileSystem.rename(
                bytes(from), oldAt: nil, bytes(to), newAt: nil, flags: flags, caller)
        case .link(let from, let to, let follow):
            try fileSystem.link(from: try find(from, follow: follow), bytes(to), at: nil, caller)
        case .symbolicLink(let target, let path):
            try fileSystem.makeSymbolicLink(target: bytes(target), bytes(path), at: nil, caller)
        case .readLink(let path):
            return text(try fileSystem.readLink(try find(path, follow: false), caller))
        case .status(let path, let follow): return show(try find(path, follow: follow))
        case .workingDirectory:
            guard let path = fileSystem.path(of: caller.workingDirectory, root: caller.root) else {
                throw .ENOENT
            }
            return text(path)
        default: try change(operation)
        }
        return ""
    }

    private func change(_ operation: Operation) throws(Errno) {
        switch operation {
        case .setPermissions(let path, let mode):
            try fileSystem.setPermissions(try find(path), mode, caller)
        case .setOwner(let path, let user, let group, let follow):
            try fileSystem.setOwner(
                try find(path, follow: follow), user: user == .max ? nil : user,
                group: group == .max ? nil : group,
                caller)
        case .truncate(let path, let size):
            let inode = try find(path)
            if inode.kind == .directory { throw .EISDIR }
            if inode.kind != .regular { throw .EINVAL }
            try fileSystem.access(inode, AccessMask.write, caller)
            try fileSystem.truncate(inode, to: UInt64(size), caller)
        case .setTimes(let path, let isNow):
            let time = Timestamp(seconds: 5)
            try fileSystem.setTimes(
                try find(path), accessed: time, modified: time, isNow: isNow, caller)
        case .access(let path, let mask):
            try fileSystem.access(try find(path), UInt32(mask), caller)
        case .changeDirectory(let path):
            let flags: ResolveFlags = [.followFinal, .directoryRequired]
            guard
                let inode = try fileSystem.resolve(bytes(path), at: nil, flags: flags, caller).inode
            else {
                throw .ENOENT
            }
            try fileSystem.access(inode, AccessMask.execute, caller)
            caller.workingDirectory = inode
        default: break
        }
    }

    private func find(_ path: String, follow: Bool = true) throws(Errno) -> Inode {
        let flags: ResolveFlags = follow ? .followFinal : []
        guard let inode = try fileSystem.resolve(bytes(path), at: nil, flags: flags, caller).inode
        else {
            throw .ENOENT
        }
        return inode
    }

    private func open(_ path: String, _ flags: UInt32, _ mode: UInt32, _ keep: Bool) throws(Errno) {
        let inode = try fileSystem.open(bytes(path), at: nil, flags: flags, mode: mode, caller)
            .inode
        guard let errno = specialFileErrno(inode, flags) else {
            guard keep, let free = handles.firstIndex(where: { $0 == nil }) else {
                return fileSystem.release(inode)
            }
            handles[free] = inode
            openFlags[free] = flags
            return
        }
        fileSystem.release(inode)
        throw errno
    }

    /// What the server's open(2) adds: a fifo without a reader, a socket, a device that it does not
    /// have.
    private func specialFileErrno(_ inode: Inode, _ flags: UInt32) -> Errno? {
        if flags & OpenFlags.pathOnly != 0 { return nil }
        switch inode.kind {
        case .socket, .blockDevice: return .ENXIO
        case .fifo:
            return switch flags & OpenFlags.accessMode {
            case OpenFlags.writeOnly: .ENXIO
            case OpenFlags.accessMode: .EINVAL
            default: nil
            }
        default: return nil
        }
    }

    private func close(_ index: Int) {
        if let inode = handles[index] { fileSystem.release(inode) }
        handles[index] = nil
    }

    /// What the server's ftruncate(2) does.
    private func truncateHandle(_ index: Int, _ size: Int64) throws(Errno) {
        guard let inode = handles[index] else { return }
        guard openFlags[index] & OpenFlags.pathOnly == 0 else { throw .EBADF }
        let isWritable = (1...2).contains(openFlags[index] & OpenFlags.accessMode)
        guard isWritable, inode.kind == .regular else { throw .EINVAL }
        try fileSystem.truncate(inode, to: UInt64(size), caller)
    }

    private func show(_ inode: Inode) -> String {
        let status = inode.status
        return describe(
            mode: status.mode, links: status.linkCount, owner: status.owner, group: status.group,
            size: inode.kind == .directory ? 0 : status.size, device: status.deviceNumber)
    }

    /// As `HostSide.tree`, through readDirectory.
    func tree() throws(Errno) -> [String] {
        var lines: [String] = []
        var pending = [(path: "", inode: fileSystem.root)]
        var firstNames: [UInt64: String] = [:]
        let reader = bench.superuser
        while let place = pending.popLast() {
            var entries: [DirectoryEntry] = []
            try fileSystem.readDirectory(place.inode, from: 2, reader) {
                entries.append($0)
                return true
            }
            for name in entries.map({ text($0.name) }).sorted() {
                let path = place.path + "/" + name
                guard
                    let inode = try fileSystem.child(
                        of: place.inode, named: bytes(name)[...], reader)
                else {
                    continue
                }
                if inode.kind == .directory { pending.append((path, inode)) }
                let first = firstNames[inode.number] ?? path
                firstNames[inode.number] = first
                lines.append("\(path) = \(first): \(show(inode))")
            }
        }
        return lines
    }

    /// What is wrong inside; nil when nothing is.
    func fault() -> String? { fileSystem.fault().map { "\($0)" } }
}
