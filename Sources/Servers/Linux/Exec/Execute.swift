import ABI

/// execve(2): everything that can fail happens before the old program is given up.
extension GuestThread {
    /// A program that was found, and the arguments it gets (interpreters of scripts get more).
    private struct Program {
        var inode: Inode
        var path: Bytes
        var arguments: [Bytes]
    }

    func execute(
        _ path: Bytes, at base: Inode?, arguments: [Bytes], environment: [Bytes],
        flags: ResolveFlags = [.followFinal]
    ) throws(Errno) {
        var program = try find(path, at: base, arguments, flags)
        // The name as it was asked for: "exe" for /proc/self/exe, the script's for a script.
        let name = path.isEmpty ? program.path : path
        var depth = 0
        while let script = try interpreterLine(program.inode) {
            depth += 1
            if depth > 4 { throw .ELOOP }
            let rest = Bytes(depth == 1 ? path : program.path)
            program = try find(
                script.interpreter, at: nil,
                [script.interpreter] + script.argument + [rest]
                    + program.arguments.dropFirst(), [.followFinal])
        }
        let space = try AddressSpace()
        let file = FileMapping(
            inode: program.inode, path: program.path, fileSystem: server.fileSystem)
        guard let contents = program.inode.contents else { throw .EACCES }
        let image = try ElfImage(contents)
        let loaded = try space.load(image, file, base: AddressSpace.executableBase)
        var entry = loaded.entry
        var interpreterBase: UInt64 = 0
        if let interpreter = image.interpreter {
            let linker = try loadInterpreter(interpreter, into: space)
            entry = linker.entry
            interpreterBase = linker.bias
        }
        let stack = try makeStack(space, isExecutable: image.isStackExecutable)
        let layout = ProgramStack(
            arguments: program.arguments, environment: environment, executableName: path,
            random: server.random.bytes(16), identity: identityAfter(program.inode), image: loaded,
            interpreterBase: interpreterBase)
        let result = try layout.write(to: space.memory, top: stack.end)
        space.breakStart = loaded.end
        space.breakEnd = loaded.end

        endOtherThreads()
        if process.isExiting || isKilled { throw .EINTR }
        commit(space, file, result, entry: entry, name: name)
    }

    private func find(
        _ path: Bytes, at base: Inode?, _ arguments: [Bytes], _ flags: ResolveFlags
    ) throws(Errno) -> Program {
        let resolved = try server.fileSystem.resolve(path, at: base, flags: flags, caller)
        guard let inode = resolved.inode else { throw .ENOENT }
        if inode.kind == .symbolicLink { throw .ELOOP }
        guard inode.kind == .regular else { throw .EACCES }
        try server.fileSystem.access(inode, AccessMask.execute, caller)
        let name = server.fileSystem.path(of: resolved, root: process.view.root)
        return Program(inode: inode, path: name, arguments: arguments)
    }

    /// The first line of a script: `#!interpreter [one argument]`.
    private func interpreterLine(_ inode: Inode) throws(Errno) -> (
        interpreter: Bytes, argument: [Bytes]
    )? {
        guard let head = try inode.contents?.readBytes(offset: 0, count: 256), head.count > 2,
            head[0] == 0x23,
            head[1] == 0x21
        else { return nil }
        let blanks: Bytes = [32, 9]
        let end = head.firstIndex(of: 10) ?? head.count
        var line = Bytes(head[2..<end])
        while let first = line.first, blanks.contains(first) { line.removeFirst() }
        while let last = line.last, blanks.contains(last) { line.removeLast() }
        guard !line.isEmpty else { throw .ENOEXEC }
        guard let gap = line.firstIndex(where: { blanks.contains($0) }) else { return (line, []) }
        let argument = Bytes(line[gap...].drop { blanks.contains($0) })
        return (Bytes(line[..<gap]), [argument])
    }

    private func loadInterpreter(_ path: Bytes, into space: AddressSpace) throws(Errno)
        -> LoadedImage
    {
        let program = try find(path, at: nil, [], [.followFinal])
        guard let contents = program.inode.contents else { throw .ENOEXEC }
        let image = try ElfImage(contents)
        let span = image.span
        guard image.isRelocatable, image.interpreter == nil else { throw .ENOEXEC }
        let base = try space.findRoom(span.end - span.start, hint: 0)
        let file = FileMapping(
            inode: program.inode, path: program.path, fileSystem: server.fileSystem)
        return try space.load(image, file, base: base)
    }

    private func makeStack(_ space: AddressSpace, isExecutable: Bool) throws(Errno) -> MemoryArea {
        let end = AddressSpace.top
        var stack = MemoryArea(
            start: end - AddressSpace.stackBytes, end: end, protection: [.read, .write])
        if isExecutable { stack.protection.insert(.execute) }
        stack.memory = try MemoryObject(pageCount: AddressSpace.stackBytes / pageSize)
        stack.kind = .stack
        try space.insert(stack)
        return stack
    }

    private func identityAfter(_ inode: Inode) -> Identity {
        var identity = process.identity
        if inode.permissions & 0o4000 != 0 { identity.effectiveUser = inode.owner }
        if inode.permissions & 0o2010 == 0o2010 { identity.effectiveGroup = inode.group }
        identity.savedUser = identity.effectiveUser
        identity.savedGroup = identity.effectiveGroup
        return identity
    }

    /// The other threads of the process end; this one takes the process's id.
    private func endOtherThreads() {
        // Of two threads that call execve at once, the first one ends the other.
        if isKilled { return }
        for other in process.threads where other !== self {
            other.isKilled = true
            other.interrupt()
        }
        while process.threads.count > 1, !process.isExiting { _ = park(on: [process.threadQueue]) }
        if id != process.id, !process.isExiting {
            server.forget(self)
            id = process.id
            server.add(self)
        }
    }

    /// Cannot fail: the new program takes the place of the old one.
    private func commit(
        _ space: AddressSpace, _ file: FileMapping, _ stack: ProgramStack.Result, entry: UInt64,
        name: Bytes
    ) {
        process.space = space
        process.executable = file
        process.commandLine = stack.arguments
        process.environment = stack.environment
        process.identity = identityAfter(file.inode)
        process.actions = SignalActions(copying: process.actions)
        process.actions.resetHandlers()
        process.descriptors = process.descriptors.unshared()
        process.descriptors.closeOnExec()
        process.hasExecuted = true
        process.isDumpable = 1
        let base = name.split(separator: 0x2F).last ?? []
        process.name = Bytes(base.prefix(15))
        self.name = process.name
        process.releaseVforkParent()
        alternateStack = AlternateStack()
        clearTID = 0
        robustList = 0
        var fresh = Registers()
        fresh.rip = entry
        fresh.rsp = stack.stackPointer
        registers = fresh
        if worker != nil { FloatingPoint().load() } else { startFPU = FloatingPoint() }
    }
}
