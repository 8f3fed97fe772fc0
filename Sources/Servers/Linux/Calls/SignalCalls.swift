import ABI

/// rt_sigaction(2), rt_sigprocmask(2), kill(2), tgkill(2), sigaltstack(2), rt_sigsuspend(2),
/// rt_sigtimedwait(2), pause(2).
extension CallTable {
    static func signalCalls() -> [CallEntry] {
        [
            CallEntry(13, "rt_sigaction", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSignalAction(a)
            },
            CallEntry(14, "rt_sigprocmask", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSignalMask(a)
            },
            CallEntry(15, "rt_sigreturn", .full) { (t, _) throws(Errno) -> Int64 in
                try t.returnFromSignal()
            },
            CallEntry(34, "pause", .full) { (t, _) throws(Errno) -> Int64 in try t.waitForSignal()
            },
            CallEntry(62, "kill", .full) { (t, a) throws(Errno) -> Int64 in try t.callKill(a) },
            CallEntry(127, "rt_sigpending", .full) { (t, a) throws(Errno) -> Int64 in
                try t.memory.store64(
                    (t.signals.pending | t.process.signals.pending) & t.blocked, to: a.a)
                return 0
            },
            CallEntry(128, "rt_sigtimedwait", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSignalWait(a)
            },
            CallEntry(129, "rt_sigqueueinfo", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSignalQueue(a)
            },
            CallEntry(130, "rt_sigsuspend", .full) { (t, a) throws(Errno) -> Int64 in
                try t.replaceMask(a.a == 0 ? 1 : a.a, size: a.b)
                return try t.waitForSignal()
            },
            CallEntry(131, "sigaltstack", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callAlternateStack(a)
            },
            CallEntry(200, "tkill", .full) { (t, a) throws(Errno) -> Int64 in
                try t.killThread(nil, a.a.int, a.b.int)
            },
            CallEntry(234, "tgkill", .full) { (t, a) throws(Errno) -> Int64 in
                try t.killThread(a.a.int, a.b.int, a.c.int)
            },
        ]
    }
}

extension GuestThread {
    func callSignalAction(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.d == 8, let signal = Signal(checking: a.a.int) else { throw .EINVAL }
        let old = process.actions[signal]
        if a.b != 0 {
            guard signal.bit & Signal.unblockable == 0 else { throw .EINVAL }
            let record = try memory.read(a.b, count: 32)
            process.actions[signal] = SignalAction(
                handler: record.load64(0), flags: record.load64(8), restorer: record.load64(16),
                mask: record.load64(24) & ~Signal.unblockable)
            if process.actions.isIgnored(signal) {
                process.signals.drop(signal.bit)
                for thread in process.threads { thread.signals.drop(signal.bit) }
            }
        }
        if a.c != 0 {
            var writer = ByteWriter(capacity: 32)
            for word in [old.handler, old.flags, old.restorer, old.mask] { writer.put64(word) }
            try memory.write(writer.bytes, to: a.c)
        }
        return 0
    }

    func callSignalMask(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.d == 8 else { throw .EINVAL }
        let old = blocked
        if a.b != 0 {
            let set = try memory.load64(a.b) & ~Signal.unblockable
            switch a.a.word {
            case 0: blocked |= set
            case 1: blocked &= ~set
            case 2: blocked = set
            default: throw .EINVAL
            }
        }
        if a.c != 0 { try memory.store64(old, to: a.c) }
        return 0
    }

    /// Waits until a handler has run; EINTR then.
    func waitForSignal() throws(Errno) -> Int64 {
        while true {
            if isInterrupted { throw .restartWithoutHandler }
            _ = park(on: [])
        }
    }

    /// Who may signal whom (kill(2)): root, the same user, or SIGCONT within a session.
    private func mayKill(_ target: GuestProcess, _ signal: Int32) -> Bool {
        let me = process.identity
        let other = target.identity
        if me.isSuperuser || me.effectiveUser == other.realUser
            || me.effectiveUser == other.savedUser
        {
            return true
        }
        if me.realUser == other.realUser || me.realUser == other.savedUser { return true }
        return signal == Signal.proceed.number && target.sessionID == process.sessionID
    }

    func callKill(_ a: Arguments) throws(Errno) -> Int64 {
        let id = a.a.int
        let number = a.b.int
        guard number == 0 || Signal(checking: number) != nil else { throw .EINVAL }
        if id == 1 { return 0 }
        let targets: [GuestProcess]
        if id > 0 {
            guard let target = server.process(id) ?? server.thread(id)?.process else {
                throw .ESRCH
            }
            targets = [target]
        } else if id == -1 {
            targets = server.processes.filter { $0 !== process }
        } else {
            targets = server.processes.filter {
                $0.groupID == (id == 0 ? process.groupID : 0 &- id)
            }
        }
        if targets.isEmpty { throw .ESRCH }
        let allowed = targets.filter { mayKill($0, number) }
        if allowed.isEmpty { throw .EPERM }
        if let signal = Signal(checking: number) {
            for target in allowed { try? target.send(sent(signal, code: 0)) }
        }
        return 0
    }

    private func sent(_ signal: Signal, code: Int32, value: UInt64 = 0) -> SignalInfo {
        SignalInfo(
            signal: signal, code: code,
            details: .sender(process: process.id, user: process.identity.realUser, value: value))
    }

    func killThread(_ group: Int32?, _ id: Int32, _ number: Int32) throws(Errno) -> Int64 {
        guard id > 0, group ?? 1 > 0, number >= 0, number <= 64 else { throw .EINVAL }
        guard let target = server.thread(id), group == nil || target.process.id == group else {
            throw .ESRCH
        }
        guard mayKill(target.process, number) else { throw .EPERM }
        if let signal = Signal(checking: number) { try target.send(sent(signal, code: -6)) }
        return 0
    }

    func callSignalQueue(_ a: Arguments) throws(Errno) -> Int64 {
        let record = try memory.read(a.c, count: 32)
        guard let target = server.process(a.a.int) else { throw .ESRCH }
        guard mayKill(target, a.b.int) else { throw .EPERM }
        guard record.loadInt32(8) < 0 || target === process else { throw .EPERM }
        if a.b.int == 0 { return 0 }
        guard let signal = Signal(checking: a.b.int) else { throw .EINVAL }
        try target.send(sent(signal, code: record.loadInt32(8), value: record.load64(24)))
        return 0
    }

    /// rt_sigtimedwait(2): takes one of a set of blocked signals.
    func callSignalWait(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.d == 8 else { throw .EINVAL }
        let wanted = try memory.load64(a.a) & ~Signal.unblockable
        let deadline =
            try duration(a.c, unit: 1).map { TimeRecord.deadline(after: $0) } ?? Native.forever
        while true {
            if let info = signals.take(wanted) ?? process.signals.take(wanted) {
                if a.b != 0 { try memory.write(info.bytes, to: a.b) }
                return Int64(info.signal.number)
            }
            if Native.monotonic() >= deadline { throw .EAGAIN }
            if isInterrupted { throw .EINTR }
            _ = park(on: [server.signalQueue], deadline: deadline)
        }
    }

    func callAlternateStack(_ a: Arguments) throws(Errno) -> Int64 {
        let isOn = alternateStack.contains(registers.rsp)
        let old = alternateStack
        if a.a != 0 {
            if isOn { throw .EPERM }
            let record = try memory.read(a.a, count: 24)
            let flags = record.load32(8)
            guard flags & ~(AlternateStack.disabled | 1 | 1 << 31) == 0 else { throw .EINVAL }
            if flags & AlternateStack.disabled != 0 {
                alternateStack = AlternateStack()
            } else {
                guard record.load64(16) >= AlternateStack.minimumSize else { throw .ENOMEM }
                alternateStack = AlternateStack(
                    start: record.load64(0), size: record.load64(16), flags: 0)
            }
        }
        if a.b != 0 {
            var writer = ByteWriter(capacity: 24)
            writer.put64(old.start)
            writer.put64(UInt64(isOn ? 1 : old.flags))
            writer.put64(old.size)
            try memory.write(writer.bytes, to: a.b)
        }
        return 0
    }
}
