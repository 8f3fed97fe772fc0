import ABI

/// What /proc shows of the server's processes (proc(5)).
final class ServerProcessInformation: ProcessInformation {
    /// Set right after the server was made; both live as long as the program.
    var server: Server?

    private func process(_ id: Int32) -> GuestProcess? { server?.process(id) }

    override func processIDs() -> [Int32] { server?.processes.map { $0.id } ?? [] }
    override func owner(_ process: Int32) -> (user: UInt32, group: UInt32) {
        guard let who = self.process(process)?.identity else { return (0, 0) }
        return (who.effectiveUser, who.effectiveGroup)
    }
    override func threadIDs(_ process: Int32) -> [Int32] {
        self.process(process)?.threads.map { $0.id } ?? []
    }

    override func commandLine(_ process: Int32) -> Bytes { strings(process) { $0.commandLine } }
    override func environment(_ process: Int32) -> Bytes { strings(process) { $0.environment } }

    private func strings(_ id: Int32, _ range: (GuestProcess) -> (start: UInt64, end: UInt64))
        -> Bytes
    {
        guard let process = process(id), !process.isZombie else { return [] }
        let (start, end) = range(process)
        return process.memory.readSome(
            start, count: Int(truncatingIfNeeded: min(end &- start, 1 << 20)))
    }

    override func commandName(_ process: Int32) -> Bytes { self.process(process)?.name ?? [] }
    override func setCommandName(_ process: Int32, _ name: Bytes) {
        self.process(process)?.name = Bytes(name.prefix(15))
    }

    private func state(_ process: GuestProcess) -> UInt8 {
        if process.isZombie { return UInt8(ascii: "Z") }
        return process.stopSignal != nil ? UInt8(ascii: "T") : UInt8(ascii: "S")
    }

    override func statLine(_ id: Int32) -> Bytes {
        guard let process = process(id) else { return [] }
        var line = Bytes()
        line.append(decimal: Int64(id))
        line.append(" (")
        line.append(contentsOf: process.name)
        line.append(") ")
        line.append(state(process))
        let tick: UInt64 = 10_000_000
        let size = process.space.areas.reduce(UInt64(0)) { $0 &+ $1.length }
        let terminal: Int64 = process.hasTerminal ? 0x501 : 0
        let foreground: Int64 =
            process.hasTerminal ? Int64(server?.console.terminal.foregroundGroup ?? -1) : -1
        let start = (process.startNanoseconds &- (server?.startMonotonic ?? 0)) / tick
        let numbers: [Int64] = [
            Int64(process.parentID), Int64(process.groupID), Int64(process.sessionID), terminal,
            foreground, 0x400000,
            0, 0, 0, 0, Int64(truncatingIfNeeded: process.ownTime / tick), 0,
            Int64(truncatingIfNeeded: process.times.children / tick), 0, 20, 0,
            Int64(process.threads.count), 0,
            Int64(truncatingIfNeeded: start), Int64(truncatingIfNeeded: size),
            Int64(truncatingIfNeeded: size / pageSize), -1,
        ]
        for number in numbers {
            line.append(" ")
            line.append(decimal: number)
        }
        for _ in 0..<27 { line.append(" 0") }
        line.append("\n")
        return line
    }

    override func statusText(_ id: Int32) -> Bytes {
        guard let process = process(id) else { return [] }
        var text = Bytes("Name:\t")
        text.append(contentsOf: process.name)
        text.append("\nState:\t")
        text.append(state(process))
        let numbers: [(StaticString, Int64)] = [
            ("\nTgid:\t", Int64(id)), ("\nPid:\t", Int64(id)),
            ("\nPPid:\t", Int64(process.parentID)),
            ("\nTracerPid:\t", 0), ("\nThreads:\t", Int64(process.threads.count)),
        ]
        for (label, value) in numbers {
            text.append(label)
            text.append(decimal: value)
        }
        let who = process.identity
        for (label, ids) in [
            (
                "\nUid:" as StaticString,
                [who.realUser, who.effectiveUser, who.savedUser, who.effectiveUser]
            ),
            ("\nGid:", [who.realGroup, who.effectiveGroup, who.savedGroup, who.effectiveGroup]),
        ] {
            text.append(label)
            for id in ids {
                text.append("\t")
                text.append(decimal: UInt64(id))
            }
        }
        text.append("\nVmSize:\t")
        text.append(
            decimal: process.space.areas.reduce(UInt64(0)) { $0 &+ $1.length } / 1024, width: 8)
        text.append(" kB\n")
        return text
    }

    override func maps(_ id: Int32) -> Bytes {
        guard let process = process(id) else { return [] }
        var text = Bytes()
        for area in process.space.areas { text.append(contentsOf: mapsLine(area, process)) }
        return text
    }

    private func mapsLine(_ area: MemoryArea, _ process: GuestProcess) -> Bytes {
        var line = Bytes()
        line.append(hexadecimal: area.start, width: 8)
        line.append("-")
        line.append(hexadecimal: area.end, width: 8)
        line.append(" ")
        line.append(area.protection.contains(.read) ? UInt8(ascii: "r") : UInt8(ascii: "-"))
        line.append(area.protection.contains(.write) ? UInt8(ascii: "w") : UInt8(ascii: "-"))
        line.append(area.protection.contains(.execute) ? UInt8(ascii: "x") : UInt8(ascii: "-"))
        line.append(area.isShared ? UInt8(ascii: "s") : UInt8(ascii: "p"))
        line.append(" ")
        line.append(hexadecimal: area.file == nil ? 0 : area.fileOffset, width: 8)
        line.append(area.file == nil ? " 00:00 0" : " 00:01 ")
        if let file = area.file { line.append(decimal: file.inode.number) }
        var name = area.file?.path ?? []
        if let file = area.file {
            name = shownPath(file.inode, opened: file.path, root: process.view.root)
        }
        if area.kind == .heap { name = Bytes("[heap]") }
        if area.kind == .stack { name = Bytes("[stack]") }
        while !name.isEmpty, line.count < 73 { line.append(" ") }
        line.append(contentsOf: name)
        line.append("\n")
        return line
    }

    override func executable(_ process: Int32) -> (inode: Inode, path: Bytes)? {
        guard let owner = self.process(process), let file = owner.executable else { return nil }
        return (file.inode, shownPath(file.inode, opened: file.path, root: owner.view.root))
    }
    override func workingDirectory(_ process: Int32) -> Inode? {
        self.process(process)?.view.workingDirectory
    }
    override func root(_ process: Int32) -> Inode? { self.process(process)?.view.root }
    override func descriptors(_ process: Int32) -> [Int32] {
        self.process(process)?.descriptors.descriptors ?? []
    }
    override func descriptor(_ process: Int32, _ fd: Int32) -> (inode: Inode?, path: Bytes)? {
        guard let owner = self.process(process), let file = owner.descriptors.entry(fd)?.file else {
            return nil
        }
        guard let inode = file.inode else { return (nil, file.path) }
        return (inode, shownPath(inode, opened: file.path, root: owner.view.root))
    }

    /// The name that a file was opened by, the one it has now when that has changed, or a mark that
    /// it has none any more (proc(5), /proc/PID/fd).
    private func shownPath(_ inode: Inode, opened: Bytes, root: Inode) -> Bytes {
        if inode.kind != .regular && inode.kind != .directory || inode.generated != nil {
            return opened
        }
        if inode.device == FileSystemDevice.anonymous {
            return opened.first == .slash ? opened + Bytes(" (deleted)") : opened
        }
        if inode.linkCount == 0 {
            return inode.parent == nil
                ? opened + Bytes(" (deleted)") : inode.shownPath(below: root)
        }
        return server?.fileSystem.path(of: inode, root: root) ?? opened
    }

    override func descriptorInformation(_ process: Int32, _ fd: Int32) -> Bytes {
        guard let file = self.process(process)?.descriptors.entry(fd)?.file else { return [] }
        var text = Bytes("pos:\t")
        text.append(decimal: file.offset)
        text.append("\nflags:\t0")
        var digits = Bytes()
        var rest = file.flags
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(rest & 7))
            rest >>= 3
        } while rest > 0
        text.append(contentsOf: digits.reversed())
        text.append("\nmnt_id:\t1\n")
        return text
    }

    // MARK: Machine

    override func network(_ item: NetworkItem) -> Bytes { server?.sockets.text(item) ?? [] }

    override func memoryPages() -> (total: UInt64, free: UInt64) { (1 << 18, 1 << 17) }
    override func uptimeNanoseconds() -> UInt64 {
        Native.monotonic() &- (server?.startMonotonic ?? 0)
    }
    override func bootEpochSeconds() -> Int64 {
        Int64(truncatingIfNeeded: (server?.startWallClock ?? 0) / TimeRecord.second)
    }
    override func hostName() -> Bytes { server?.hostName ?? [] }
    override func setHostName(_ name: Bytes) { server?.hostName = Bytes(name.prefix(64)) }
    override func cpuCount() -> Int { 1 }
    override func loadedThreads() -> (running: Int, total: Int, lastID: Int32) {
        (1, server?.threads.count ?? 0, server?.newestID ?? 0)
    }

    override func randomUUID() -> Bytes {
        var raw = server?.random.bytes(16) ?? Bytes(repeating: 0, count: 16)
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        var text = Bytes()
        for (index, byte) in raw.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append("-") }
            text.append(hexadecimal: UInt64(byte), width: 2)
        }
        return text
    }
}
