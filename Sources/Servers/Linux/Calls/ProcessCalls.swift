import ABI

/// clone(2), execve(2), exit(2), wait(2), futex(2), prctl(2), arch_prctl(2) and what threads
/// register.
extension CallTable {
    static func processCalls() -> [CallEntry] {
        [
            CallEntry(56, "clone", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.clone(
                    CloneRequest(
                        flags: CloneFlags(rawValue: a.a & ~0xFF), exitSignal: Int32(a.a & 0xFF),
                        stack: a.b,
                        parentTID: a.c, childTID: a.d, tls: a.e))
            },
            CallEntry(435, "clone3", .partial) { (t, a) throws(Errno) -> Int64 in try t.callClone(a)
            },
            CallEntry(57, "fork", .full) { (t, _) throws(Errno) -> Int64 in
                try t.clone(CloneRequest(flags: [], exitSignal: Signal.child.number))
            },
            CallEntry(58, "vfork", .full) { (t, _) throws(Errno) -> Int64 in
                try t.clone(CloneRequest(flags: [.vm, .vfork], exitSignal: Signal.child.number))
            },
            CallEntry(59, "execve", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callExecute(path: a.a, at: -100, arguments: a.b, environment: a.c, flags: 0)
            },
            CallEntry(322, "execveat", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callExecute(
                    path: a.b, at: a.a.int, arguments: a.c, environment: a.d, flags: a.e.word)
            },
            CallEntry(60, "exit", .full) { (t, a) throws(Errno) -> Int64 in
                t.end(status: .exited(a.a.word))
                return 0
            },
            CallEntry(231, "exit_group", .full) { (t, a) throws(Errno) -> Int64 in
                t.process.exitAll(.exited(a.a.word))
                return 0
            },
            CallEntry(61, "wait4", .full) { (t, a) throws(Errno) -> Int64 in try t.callWait(a) },
            CallEntry(247, "waitid", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callWaitID(a)
            },
            CallEntry(202, "futex", .partial) { (t, a) throws(Errno) -> Int64 in try t.callFutex(a)
            },
            CallEntry(218, "set_tid_address", .full) { (t, a) throws(Errno) -> Int64 in
                t.clearTID = a.a
                return Int64(t.id)
            },
            CallEntry(273, "set_robust_list", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.b == 24 else { throw .EINVAL }
                t.robustList = a.a
                return 0
            },
            CallEntry(274, "get_robust_list", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.memory.store64(t.robustList, to: a.b)
                try t.memory.store64(24, to: a.c)
                return 0
            },
            CallEntry(157, "prctl", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callProcessControl(a)
            },
            CallEntry(158, "arch_prctl", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callArchitecture(a)
            },
        ]
    }
}

extension GuestThread {
    func callClone(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.b >= 64, a.b <= 4096 else { throw .EINVAL }
        let record = try memory.read(a.a, count: 64)
        let flags = record.load64(0)
        guard flags & 0xFF == 0, record.load64(32) <= 64 else { throw .EINVAL }
        var request = CloneRequest(flags: CloneFlags(rawValue: flags))
        request.exitSignal = record.loadInt32(32)
        request.childTID = record.load64(16)
        request.parentTID = record.load64(24)
        request.tls = record.load64(56)
        if record.load64(40) != 0 { request.stack = record.load64(40) &+ record.load64(48) }
        return try clone(request)
    }

    func callExecute(
        path: UInt64, at descriptor: Int32, arguments: UInt64, environment: UInt64, flags: UInt32
    ) throws(Errno) -> Int64 {
        let name = try memory.readPath(path)
        var budget = ProgramStack.argumentLimit
        let list = try strings(arguments, &budget)
        let variables = try strings(environment, &budget)
        server.stampTime()
        if name.isEmpty, flags & PathFlags.emptyPath != 0 {
            var link = Bytes("/proc/self/fd/")
            link.append(decimal: Int64(descriptor))
            try execute(link, at: nil, arguments: list, environment: variables)
        } else {
            let base = name.first == 0x2F ? nil : try directory(descriptor)
            try execute(
                name, at: base, arguments: list, environment: variables,
                flags: flags & PathFlags.noFollow != 0 ? [] : .followFinal)
        }
        return Int64(bitPattern: registers.rax)
    }

    /// An array of string pointers that ends with a null pointer.
    private func strings(_ address: UInt64, _ budget: inout Int) throws(Errno) -> [Bytes] {
        var list: [Bytes] = []
        if address == 0 { return list }
        var next = address
        while true {
            let pointer = try memory.load64(next)
            if pointer == 0 { return list }
            let text = try memory.readString(pointer, limit: min(131072, budget), tooLong: .E2BIG)
            budget -= text.count + 9
            if budget <= 0 { throw .E2BIG }
            list.append(text)
            next = next &+ 8
        }
    }

    // MARK: Waiting for children

    func callWait(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.c & ~0xE000_000B == 0 || a.c.word & ~0xE000_000B == 0 else { throw .EINVAL }
        let id = a.a.int
        let target: WaitTarget =
            id == -1
            ? .any : id == 0 ? .group(process.groupID) : id < 0 ? .group(0 &- id) : .process(id)
        let options = WaitOptions(rawValue: a.c.word & 0xB | WaitOptions.exited.rawValue)
        guard let result = try waitForChild(target, options) else { return 0 }
        if a.b != 0 { try memory.store32(result.status.value, to: a.b) }
        if a.d != 0 { try memory.write(usage(result.times), to: a.d) }
        return Int64(result.process)
    }

    func callWaitID(_ a: Arguments) throws(Errno) -> Int64 {
        let target: WaitTarget
        switch a.a.word {
        case 0: target = .any
        case 1: target = .process(a.b.int)
        case 2: target = .group(a.b.int == 0 ? process.groupID : a.b.int)
        default: throw .EINVAL
        }
        let options = WaitOptions(rawValue: a.d.word)
        guard a.d.word & 0xE != 0, a.d.word & ~0xE100_000F == 0 else { throw .EINVAL }
        guard let result = try waitForChild(target, options) else {
            if a.c != 0 { try memory.write(Bytes(repeating: 0, count: 128), to: a.c) }
            return 0
        }
        if a.c != 0 { try memory.write(childInfo(result).bytes, to: a.c) }
        if a.e != 0 { try memory.write(usage(result.times), to: a.e) }
        return 0
    }

    private func childInfo(_ result: WaitResult) -> SignalInfo {
        let value = result.status.value
        let code: Int32
        let status: UInt32
        if result.status == .proceeded {
            (code, status) = (6, UInt32(Signal.proceed.number))
        } else if value & 0xFF == 0x7F {
            (code, status) = (5, value >> 8)
        } else if result.status.isExit {
            (code, status) = (1, value >> 8)
        } else {
            (code, status) = (2, value & 0x7F)
        }
        return SignalInfo(
            signal: .child, code: code,
            details: .child(
                process: result.process, user: result.user, status: Int32(bitPattern: status)))
    }

    /// struct rusage (144 bytes): CPU time as user time, the rest zero.
    func usage(_ nanoseconds: UInt64) -> Bytes {
        TimeRecord.single(nanoseconds, unit: 1000) + Bytes(repeating: 0, count: 128)
    }

    // MARK: Settings

    func callProcessControl(_ a: Arguments) throws(Errno) -> Int64 {
        switch a.a.word {
        case 1, 2, 29, 30, 35, 36, 37, 38, 39: return try controlFlags(a)
        case 3: return Int64(process.isDumpable)
        case 4:
            guard a.b <= 1 else { throw .EINVAL }
            process.isDumpable = a.b
        case 15:
            name = try memory.readName(a.b)
            if id == process.id { process.name = name }
        case 16:
            var writer = ByteWriter(capacity: 16)
            writer.field(name, width: 16)
            try memory.write(writer.bytes, to: a.b)
        case 23:
            guard a.b <= 40 else { throw .EINVAL }
            return 1
        default: throw .EINVAL
        }
        return 0
    }

    /// Settings that are accepted or read as off: death signal, timer slack, subreaper,
    /// no_new_privs.
    private func controlFlags(_ a: Arguments) throws(Errno) -> Int64 {
        switch a.a.word {
        case 2: try memory.store32(0, to: a.b)
        case 30: return 50_000
        case 36: process.isSubreaper = a.b != 0
        case 37: try memory.store32(process.isSubreaper ? 1 : 0, to: a.b)
        case 39: return 0
        case 1: guard a.b <= 64 else { throw .EINVAL }
        default: break
        }
        return 0
    }

    func callArchitecture(_ a: Arguments) throws(Errno) -> Int64 {
        var current = registers
        switch a.a.word {
        case 0x1001, 0x1002:
            guard a.b < UserAddress.limit.value else { throw .EPERM }
            if a.a.word == 0x1002 { current.fsBase = a.b } else { current.gsBase = a.b }
            registers = current
        case 0x1003: try memory.store64(current.fsBase, to: a.b)
        case 0x1004: try memory.store64(current.gsBase, to: a.b)
        default: throw .EINVAL
        }
        return 0
    }
}

extension GuestMemory {
    /// A thread name: up to 15 bytes, cut without an error.
    func readName(_ address: UInt64) throws(Errno) -> Bytes {
        let bytes = readSome(address, count: 16)
        if bytes.isEmpty { throw .EFAULT }
        return Bytes(bytes.prefix(15).prefix { $0 != 0 })
    }
}
