import CHostCalls

@testable import LinuxServer

/// Linux's side of the comparison. Runs in a thread of its own that has changed its root.
final class HostSide {
    private var handles = [Int32](repeating: -1, count: OperationGenerator.handles)

    func identify(ordinary: Bool) {
        _ = ordinary ? host_identity(1000, 100, 200) : host_identity(0, 0, 0)
    }

    func perform(_ operation: Operation) -> Outcome {
        switch operation {
        case .open(let path, let flags, let mode, let keep): open(path, flags, mode, keep)
        case .closeHandle(let index): close(index)
        case .statusOfHandle(let index):
            handles[index] < 0 ? Outcome() : status { host_fstat(handles[index], &$0) }
        case .truncateHandle(let index, let size):
            handles[index] < 0 ? Outcome() : outcome(host_ftruncate(handles[index], size))
        case .makeDirectory(let path, let mode): outcome(host_mkdir(path, mode))
        case .makeNode(let path, let mode): outcome(host_mknod(path, mode, 0x103))
        case .unlink(let path): outcome(host_unlink(path))
        case .removeDirectory(let path): outcome(host_rmdir(path))
        case .rename(let from, let to, let flags): outcome(host_rename(from, to, flags))
        case .link(let from, let to, let follow): outcome(host_link(from, to, follow ? 1 : 0))
        case .symbolicLink(let target, let path): outcome(host_symlink(target, path))
        case .readLink(let path): filled { host_readlink(path, $0, $1) }
        case .setPermissions(let path, let mode): outcome(host_chmod(path, mode))
        case .setOwner(let path, let user, let group, let follow):
            outcome(host_chown(path, user, group, follow ? 1 : 0))
        case .truncate(let path, let size): outcome(host_truncate(path, size))
        case .setTimes(let path, let isNow): outcome(host_utimens(path, isNow ? 1 : 0, 5, 6))
        case .access(let path, let mask): outcome(host_access(path, mask))
        case .status(let path, let follow): status { host_stat(path, follow ? 1 : 0, &$0) }
        case .changeDirectory(let path): outcome(host_chdir(path))
        case .workingDirectory: workingDirectory()
        }
    }

    /// Every file below the root, with what stat(2) says and which names are one inode.
    func tree() -> [String] {
        var lines: [String] = []
        var pending = [""]
        var firstNames: [UInt64: String] = [:]
        while let directory = pending.popLast() {
            for name in names(in: directory + "/").sorted() {
                let path = directory + "/" + name
                var status = host_status()
                guard host_stat(path, 0, &status) == 0 else { continue }
                if status.mode & 0o170000 == 0o040000 { pending.append(path) }
                let first = firstNames[status.inode] ?? path
                firstNames[status.inode] = first
                lines.append("\(path) = \(first): \(show(status))")
            }
        }
        return lines
    }

    /// The file system's own temporary file is open to nobody else: all handles are closed.
    func end() {
        for index in handles.indices { _ = close(index) }
    }

    private func open(_ path: String, _ flags: UInt32, _ mode: UInt32, _ keep: Bool) -> Outcome {
        let value = host_open(path, flags, mode)
        guard value >= 0 else { return outcome(value) }
        let descriptor = Int32(truncatingIfNeeded: value)
        if keep, let free = handles.firstIndex(of: -1) {
            handles[free] = descriptor
        } else {
            _ = host_close(descriptor)
        }
        return Outcome()
    }

    private func close(_ index: Int) -> Outcome {
        if handles[index] >= 0 { _ = host_close(handles[index]) }
        handles[index] = -1
        return Outcome()
    }

    private func workingDirectory() -> Outcome {
        var found = filled { host_getcwd($0, $1) }
        if found.errno == 0 { found.text.removeLast() }
        return found
    }

    private func outcome(_ value: Int) -> Outcome {
        Outcome(errno: value < 0 ? Int32(truncatingIfNeeded: -value) : 0)
    }

    private func filled(_ call: (UnsafeMutablePointer<CChar>, Int) -> Int) -> Outcome {
        var buffer = [CChar](repeating: 0, count: 8192)
        let count = buffer.withUnsafeMutableBufferPointer {
            $0.baseAddress.map { call($0, 8192) } ?? -1
        }
        guard count >= 0 else { return outcome(count) }
        let bytes = buffer.prefix(count).map { UInt8(bitPattern: $0) }
        return Outcome(text: String(decoding: bytes, as: UTF8.self))
    }

    private func status(_ call: (inout host_status) -> Int) -> Outcome {
        var status = host_status()
        let value = call(&status)
        return value < 0 ? outcome(value) : Outcome(text: show(status))
    }

    /// Size of a directory is each file system's own affair.
    private func show(_ status: host_status) -> String {
        let isDirectory = status.mode & 0o170000 == 0o040000
        return describe(
            mode: status.mode, links: status.links, owner: status.owner, group: status.group,
            size: isDirectory ? 0 : status.size, device: status.device_number)
    }

    private func names(in path: String) -> [String] {
        let descriptor = Int32(truncatingIfNeeded: host_open(path, 0o200000, 0))
        guard descriptor >= 0 else { return [] }
        defer { _ = host_close(descriptor) }
        var names: [String] = []
        var buffer = Bytes(repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes {
                host_getdents(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return names }
            names += decodeEntries(buffer.prefix(count)).map { $0.name }.filter {
                $0 != "." && $0 != ".."
            }
        }
    }
}

/// What both sides say of a file.
func describe(
    mode: UInt32, links: UInt64, owner: UInt32, group: UInt32, size: UInt64, device: UInt64
) -> String {
    let permissions = String(mode, radix: 8)
    return
        "mode \(permissions) links \(links) owner \(owner):\(group) size \(size) device \(device)"
}
