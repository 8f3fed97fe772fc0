import ABI

/// Starts the Linux server in the calling thread, which afterwards has nothing more to do.
public enum LinuxServerBoot {
    /// Reads the bundle, builds the file system and starts the first program. Throws what kept it
    /// from starting; the console has been told then, if there was one, and got an exit frame of
    /// 127 or 126.
    public static func start(bundleLength: UInt64) throws(Errno) {
        let console = try Console()
        let server = try Server(console: console, statistics: try CallStatistics())
        _ = Unmanaged.passRetained(server)
        server.lock.acquire()
        defer { server.lock.release() }
        let pages = (bundleLength &+ 4095) / 4096
        let bundle = PMOContents(
            memory: MemoryObject(slot: RootSlot.bundle, pageCount: pages), size: bundleLength)
        let specification = try server.populate(from: bundle)
        try server.timers.start(lock: server.lock)
        server.connectionRings = try? ConnectionRings(server)
        try console.start(server: server, isTerminal: specification.terminals[0])
        try server.startFirstProgram(specification)
    }
}

extension Server {
    /// Takes in the files of the image and of the bundle, and returns the boot specification.
    fileprivate func populate(from bundle: PMOContents) throws(Errno) -> BootSpecification {
        do throws(ArchiveError) {
            guard let found = try FileSystem.archiveMember(bundle, Bytes(".evertree/boot")) else {
                console.diagnostic("the boot bundle has no boot specification")
                throw ArchiveError(.refused(.ENOENT), offset: 0)
            }
            let specification = try specification(bundle, found)
            if specification.imagePages > 0 {
                try populate(imagePages: specification.imagePages)
                // A store without room for the table has none.
                if let table = try? MissingPathTable() {
                    fileSystem.onMissing = { table.count($0) }
                }
            }
            // After the image, whose names stay as they are; before the bundle, so that what that
            // has below /bin lands in /usr/bin, as on a Debian host.
            fileSystem.populateDefaults()
            try fileSystem.unpack(archive: bundle) {
                $0.hasPrefix(".evertree/") || $0.equals(".evertree")
            }
            hostName = specification.hostName
            if !specification.entropy.isEmpty { random.mix(specification.entropy) }
            return specification
        } catch {
            if error.fault == .refused(.ENOENT) { throw .ENOENT }
            var text = Bytes("the boot bundle is damaged at byte ")
            text.append(decimal: error.offset)
            text.append(": ")
            text.append(error.message)
            console.diagnostic(text)
            throw error.errno
        }
    }

    private func specification(_ bundle: PMOContents, _ found: (offset: UInt64, size: UInt64))
        throws(ArchiveError) -> BootSpecification
    {
        do throws(Errno) {
            let count = Int(min(found.size, 1 << 20))
            return BootSpecification(try bundle.readBytes(offset: found.offset, count: count))
        } catch { throw ArchiveError(.refused(error), offset: found.offset) }
    }

    private func populate(imagePages: UInt64) throws(ArchiveError) {
        let memory = MemoryObject(slot: RootSlot.image, pageCount: imagePages)
        let whole = PMOContents(memory: memory, size: imagePages * pageSize)
        do throws(ImageError) {
            try fileSystem.populate(image: whole) { PMOContents(image: memory, at: $0) }
        } catch {
            var text = Bytes("the store's image is damaged at record ")
            text.append(decimal: error.record)
            text.append(": ")
            text.append(error.message)
            console.diagnostic(text)
            // Said already: no place in the bundle is wrong.
            throw ArchiveError(.refused(.ENOENT), offset: 0)
        }
    }

    fileprivate func startFirstProgram(_ specification: BootSpecification) throws(Errno) {
        let root = fileSystem.root
        let view = FileSystemView(root: root, workingDirectory: root)
        let id = takeID()
        let process = GuestProcess(
            id: id, server: self, space: try AddressSpace(),
            descriptors: DescriptorTable(server: self), view: view,
            actions: SignalActions())
        let thread = GuestThread(
            id: id, process: process, registers: Registers(), fpu: FloatingPoint())
        process.threads = [thread]
        process.identity = Identity(
            user: specification.user, group: specification.group, groups: specification.groups)
        firstProcess = process
        console.terminal.becomeControlling(session: id, group: id)
        add(process)
        add(thread)
        do throws(Errno) {
            try openStandardFiles(process, specification)
            let directory = try fileSystem.resolve(
                specification.workingDirectory, at: nil, flags: [.followFinal, .directoryRequired],
                thread.caller)
            if let inode = directory.inode { view.workingDirectory = inode }
            try thread.execute(
                specification.program, at: nil, arguments: specification.arguments,
                environment: specification.environment)
            try Worker.serve(thread, server: self)
        } catch {
            reportStartFailure(specification.program, error)
            throw error
        }
    }

    private func openStandardFiles(_ process: GuestProcess, _ specification: BootSpecification)
        throws(Errno)
    {
        let kinds: [ConsoleFrame.Output?] = [nil, .standardOutput, .standardError]
        for (index, kind) in kinds.enumerated() {
            let file: OpenFile
            if specification.terminals[index] {
                let caller = process.threads[0].caller
                let opened = try fileSystem.open(
                    Bytes("/dev/console"), at: nil, flags: OpenFlags.readWrite, mode: 0, caller)
                file = TerminalFile(
                    server: self, inode: opened.inode, path: opened.path, flags: OpenFlags.readWrite
                )
            } else {
                let inode = fileSystem.makeAnonymous(kind: .fifo, permissions: 0o600)
                fileSystem.retain(inode)
                inode.attachment = StreamEnd(kind: kind)
                file = StreamFile(
                    server: self, inode: inode, kind: kind,
                    flags: kind == nil ? 0 : OpenFlags.writeOnly)
            }
            _ = try process.descriptors.add(file, closesOnExec: false, limit: 3)
        }
    }

    /// As a shell says it: 127 for a program that is not there, 126 for one that cannot be run.
    private func reportStartFailure(_ program: Bytes, _ error: Errno) {
        var text = program
        text.append(error == .ENOENT ? ": no such file in the guest\n" : ": cannot be run, errno ")
        if error != .ENOENT {
            text.append(decimal: Int64(error.rawValue))
            text.append("\n")
        }
        console.diagnostic(text)
        console.exit(status: error == .ENOENT ? 127 : 126)
    }
}
