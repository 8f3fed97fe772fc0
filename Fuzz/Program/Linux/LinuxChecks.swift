import ABI

@testable import LinuxServer

/// What must be so after each input.
final class LinuxChecks {
    private let machine: LinuxMachine
    private let server: Server
    private struct Weak {
        weak var process: GuestProcess?
    }
    /// Every process that there ever was, except the first.
    private var everyone: [Weak] = []
    private var newest: Int32 = 0

    init(_ scenery: LinuxScenery) {
        machine = scenery.machine
        server = scenery.server
        watch()
    }

    var processCount: Int { everyone.count }

    func watch() {
        if server.newestID == newest { return }
        for process in server.processes
        where process.id > newest && process !== server.firstProcess {
            everyone.append(Weak(process: process))
        }
        newest = server.newestID
    }

    // MARK: Memory

    /// Each address space's areas are what the kernel has mapped.
    func checkSpaces() {
        for process in server.processes where !process.isZombie {
            guard case .space(let space)? = machine.object(UInt64(process.space.slot.value)) else {
                finding("process \(process.id) has no VM space")
            }
            if let problem = difference(process.space, space) {
                finding("process \(process.id)'s address space: \(problem)")
            }
        }
    }

    private func difference(_ space: AddressSpace, _ native: LinuxSpace) -> String? {
        var end = AddressSpace.lowest
        var covered: UInt64 = 0
        for area in space.areas {
            if area.start < end || area.end <= area.start || area.end > AddressSpace.top
                || area.start % pageSize != 0 || area.end % pageSize != 0
            {
                return "areas overlap or are out of order at \(area.start)"
            }
            end = area.end
            guard let memory = area.memory else { continue }
            guard case .pmo(let pmo)? = machine.object(UInt64(memory.slot.value)) else {
                return "the area at \(area.start) has no PMO"
            }
            var at = area.start
            while at < area.end {
                guard let region = native.region(at: at), region.pmo === pmo,
                    region.offset + (at - region.start) == area.offset + (at - area.start),
                    region.protection == area.protection
                else { return "the mapping at \(at) is not that of its area" }
                at = min(region.end, area.end)
            }
            covered += area.length
        }
        let mapped = native.regions.reduce(0) { $0 + ($1.end - $1.start) }
        return mapped == covered ? nil : "\(mapped) bytes are mapped, \(covered) have areas"
    }

    // MARK: The end

    /// Everybody has ended: what they had is gone.
    func checkEnd() {
        if let fault = server.fileSystem.fault() { finding("file system: \(fault)") }
        if !server.processes.isEmpty || !server.threads.isEmpty {
            finding("these processes do not end: \(describeProcesses())")
        }
        if server.idleWorkers.count != server.workers.count {
            finding("\(server.workers.count - server.idleWorkers.count) workers are not idle")
        }
        // Waits, which the boot thread may not, if somebody still has it.
        server.lock.acquire()
        server.lock.release()
        server.firstProcess = nil
        if let left = everyone.lazy.compactMap({ $0.process }).first {
            finding("process \(left.id), which was reaped, is still in the server's memory")
        }
        removeFiles()
        var counts = (pmos: 0, spaces: 0, notifications: 0)
        for object in machine.slots {
            switch object {
            case .pmo: counts.pmos += 1
            case .space: counts.spaces += 1
            case .notification: counts.notifications += 1
            default: break
            }
        }
        // Two rings and the statistics page; the space of zombies; lock, doorbell and timers.
        if counts.pmos != 3 { finding("\(counts.pmos - 3) PMOs are left over") }
        if counts.spaces != 1 { finding("\(counts.spaces - 1) VM spaces are left over") }
        if counts.notifications != 3 + server.workers.count {
            finding("\(counts.notifications) notifications for \(server.workers.count) workers")
        }
    }

    func describeProcesses() -> String {
        server.processes.map { process in
            let states = process.threads.map { thread -> String in
                let place = machine.threads.first {
                    $0.restricted != nil && $0.restricted == thread.worker?.state
                }
                return "thread \(thread.id) \(place == nil ? "in the server" : "in its guest")"
            }
            let parent = process.parent.map { ", child of \($0.id)" } ?? ""
            let state = process.isZombie ? "zombie" : process.isExiting ? "exiting" : "alive"
            return "process \(process.id)\(parent), \(state): \(states.joined(separator: ", "))"
        }.joined(separator: "; ")
    }

    /// Takes away all files, so that every PMO that is left is one too many; and counts inodes.
    private func removeFiles() {
        let fileSystem = server.fileSystem
        let caller = Caller(root: fileSystem.root, workingDirectory: fileSystem.root, umask: 0)
        var pending = [fileSystem.root]
        var directories: UInt64 = 0
        while let inode = pending.popLast() {
            guard let directory = inode.directory else { continue }
            directories += 1
            for entry in directory.entries {
                guard let child = entry.inode else { continue }
                if child.directory != nil {
                    pending.append(child)
                } else if child.generated == nil {
                    try? fileSystem.unlink(entry.name, at: inode, caller)
                }
            }
        }
        if fileSystem.liveInodes != directories {
            finding("\(fileSystem.liveInodes) inodes live, \(directories) directories are there")
        }
    }
}
