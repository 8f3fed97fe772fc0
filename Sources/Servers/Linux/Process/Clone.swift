import ABI

/// Flags of clone(2).
struct CloneFlags: OptionSet {
    let rawValue: UInt64
    static let vm = CloneFlags(rawValue: 0x100), fs = CloneFlags(rawValue: 0x200)
    static let files = CloneFlags(rawValue: 0x400), signalHandlers = CloneFlags(rawValue: 0x800)
    static let vfork = CloneFlags(rawValue: 0x4000), parent = CloneFlags(rawValue: 0x8000)
    static let thread = CloneFlags(rawValue: 0x1_0000), setTLS = CloneFlags(rawValue: 0x8_0000)
    static let parentSetTID = CloneFlags(rawValue: 0x10_0000)
    static let childClearTID = CloneFlags(rawValue: 0x20_0000)
    static let childSetTID = CloneFlags(rawValue: 0x100_0000)
    /// New namespaces, ptrace, pidfd and I/O contexts are not here.
    static let refused: UInt64 = 0x7E02_0000 | 0x80 | 0x1000
}

/// What clone(2), clone3(2), fork(2) and vfork(2) have in common.
struct CloneRequest {
    var flags: CloneFlags
    var exitSignal: Int32 = 0
    /// 0: the parent's.
    var stack: UInt64 = 0
    var parentTID: UInt64 = 0
    var childTID: UInt64 = 0
    var tls: UInt64 = 0
}

extension GuestThread {
    /// Makes a thread or a process; returns its id.
    func clone(_ request: CloneRequest) throws(Errno) -> Int64 {
        let flags = request.flags
        if flags.rawValue & CloneFlags.refused != 0 { throw .EINVAL }
        if flags.contains(.thread), !flags.contains(.signalHandlers) { throw .EINVAL }
        if flags.contains(.signalHandlers), !flags.contains(.vm) { throw .EINVAL }
        if server.threads.count >= Server.maximumThreads { throw .EAGAIN }
        let childID = server.takeID()
        let owner = flags.contains(.thread) ? process : try forkProcess(id: childID, request)
        let child = GuestThread(
            id: childID, process: owner, registers: childRegisters(request),
            fpu: FloatingPoint.save())
        child.blocked = blocked
        child.name = name
        if !flags.contains(.vm) || flags.contains(.vfork) { child.alternateStack = alternateStack }
        if flags.contains(.childClearTID) { child.clearTID = request.childTID }
        if flags.contains(.childSetTID) {
            try? owner.memory.store32(UInt32(bitPattern: childID), to: request.childTID)
        }
        if flags.contains(.parentSetTID) {
            try? memory.store32(UInt32(bitPattern: childID), to: request.parentTID)
        }
        try start(child, in: owner, flags)
        if flags.contains(.vfork) {
            while !owner.vforkDone, !process.isExiting, !isKilled {
                _ = park(on: [process.threadQueue, owner.threadQueue])
            }
        }
        return Int64(childID)
    }

    private func childRegisters(_ request: CloneRequest) -> Registers {
        var copy = registers
        copy.rax = 0
        if request.stack != 0 { copy.rsp = request.stack }
        if request.flags.contains(.setTLS) { copy.fsBase = request.tls }
        return copy
    }

    private func forkProcess(id: Int32, _ request: CloneRequest) throws(Errno) -> GuestProcess {
        let flags = request.flags
        let child = GuestProcess(
            id: id, server: server,
            space: flags.contains(.vm)
                ? process.space : try process.space.fork(stackPointer: registers.rsp),
            descriptors: flags.contains(.files)
                ? process.descriptors.shared() : process.descriptors.copy(),
            view: flags.contains(.fs) ? process.view : FileSystemView(copying: process.view),
            actions: flags.contains(.signalHandlers)
                ? process.actions : SignalActions(copying: process.actions))
        child.identity = process.identity
        child.groupID = process.groupID
        child.sessionID = process.sessionID
        child.hasTerminal = process.hasTerminal
        child.exitSignal = request.exitSignal
        child.parent = flags.contains(.parent) ? process.parent : process
        child.executable = process.executable
        child.commandLine = process.commandLine
        child.environment = process.environment
        child.name = name
        child.limits = process.limits
        child.isDumpable = process.isDumpable
        child.vforkDone = !flags.contains(.vfork)
        return child
    }

    private func start(_ child: GuestThread, in owner: GuestProcess, _ flags: CloneFlags)
        throws(Errno)
    {
        owner.threads.append(child)
        do throws(Errno) {
            try Worker.serve(child, server: server)
        } catch {
            owner.threads.removeLast()
            if owner !== process { owner.descriptors.closeAll() }
            throw error
        }
        server.add(child)
        if owner !== process {
            server.add(owner)
            owner.parent?.children.append(owner)
        }
    }
}
