import ABI

/// credentials(7): users and groups; process groups and sessions (setpgid(2), setsid(2)).
extension CallTable {
    static func identityCalls() -> [CallEntry] {
        [
            CallEntry(39, "getpid", .full) { (t, _) throws(Errno) -> Int64 in Int64(t.process.id) },
            CallEntry(186, "gettid", .full) { (t, _) throws(Errno) -> Int64 in Int64(t.id) },
            CallEntry(110, "getppid", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.parentID)
            },
            CallEntry(102, "getuid", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.realUser)
            },
            CallEntry(104, "getgid", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.realGroup)
            },
            CallEntry(107, "geteuid", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.effectiveUser)
            },
            CallEntry(108, "getegid", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.effectiveGroup)
            },
            CallEntry(105, "setuid", .full) { (t, a) throws(Errno) -> Int64 in
                let isSuper = t.process.identity.isSuperuser
                return try t.setUsers(
                    isSuper ? a.a.word : .max, a.a.word, isSuper ? a.a.word : .max)
            },
            CallEntry(106, "setgid", .full) { (t, a) throws(Errno) -> Int64 in
                let isSuper = t.process.identity.isSuperuser
                return try t.setGroups(
                    isSuper ? a.a.word : .max, a.a.word, isSuper ? a.a.word : .max)
            },
            CallEntry(113, "setreuid", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setUsers(
                    a.a.word, a.b.word, a.a.word != .max || a.b.word != .max ? a.b.word : .max)
            },
            CallEntry(114, "setregid", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setGroups(
                    a.a.word, a.b.word, a.a.word != .max || a.b.word != .max ? a.b.word : .max)
            },
            CallEntry(117, "setresuid", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setUsers(a.a.word, a.b.word, a.c.word)
            },
            CallEntry(119, "setresgid", .full) { (t, a) throws(Errno) -> Int64 in
                try t.setGroups(a.a.word, a.b.word, a.c.word)
            },
            CallEntry(118, "getresuid", .full) { (t, a) throws(Errno) -> Int64 in
                let who = t.process.identity
                return try t.storeThree(a, who.realUser, who.effectiveUser, who.savedUser)
            },
            CallEntry(120, "getresgid", .full) { (t, a) throws(Errno) -> Int64 in
                let who = t.process.identity
                return try t.storeThree(a, who.realGroup, who.effectiveGroup, who.savedGroup)
            },
            CallEntry(115, "getgroups", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callGetGroups(a)
            },
            CallEntry(116, "setgroups", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSetGroups(a)
            },
            CallEntry(122, "setfsuid", .partial) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.effectiveUser)
            },
            CallEntry(123, "setfsgid", .partial) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.identity.effectiveGroup)
            },
            CallEntry(109, "setpgid", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callSetProcessGroup(a)
            },
            CallEntry(111, "getpgrp", .full) { (t, _) throws(Errno) -> Int64 in
                Int64(t.process.groupID)
            },
            CallEntry(121, "getpgid", .full) { (t, a) throws(Errno) -> Int64 in
                Int64(try t.namedProcess(a.a).groupID)
            },
            CallEntry(124, "getsid", .full) { (t, a) throws(Errno) -> Int64 in
                Int64(try t.namedProcess(a.a).sessionID)
            },
            CallEntry(112, "setsid", .full) { (t, _) throws(Errno) -> Int64 in
                try t.callSetSession()
            },
            CallEntry(125, "capget", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callCapabilities(a)
            },
            CallEntry(126, "capset", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
        ]
    }
}

extension GuestThread {
    /// The process that an id names; 0: the caller's own.
    func namedProcess(_ id: UInt64) throws(Errno) -> GuestProcess {
        if id.int == 0 { return process }
        guard let found = server.process(id.int) else { throw .ESRCH }
        return found
    }

    func storeThree(_ a: Arguments, _ first: UInt32, _ second: UInt32, _ third: UInt32)
        throws(Errno) -> Int64
    {
        try memory.store32(first, to: a.a)
        try memory.store32(second, to: a.b)
        try memory.store32(third, to: a.c)
        return 0
    }

    /// Real, effective and saved user; `UInt32.max` leaves one. Others than root choose among those
    /// they have.
    func setUsers(_ real: UInt32, _ effective: UInt32, _ saved: UInt32) throws(Errno) -> Int64 {
        var who = process.identity
        let allowed = [who.realUser, who.effectiveUser, who.savedUser]
        for wanted in [real, effective, saved] where wanted != .max {
            guard who.isSuperuser || allowed.contains(wanted) else { throw .EPERM }
        }
        if real != .max { who.realUser = real }
        if effective != .max { who.effectiveUser = effective }
        if saved != .max { who.savedUser = saved }
        process.identity = who
        return 0
    }

    func setGroups(_ real: UInt32, _ effective: UInt32, _ saved: UInt32) throws(Errno) -> Int64 {
        var who = process.identity
        let allowed = [who.realGroup, who.effectiveGroup, who.savedGroup]
        for wanted in [real, effective, saved] where wanted != .max {
            guard who.isSuperuser || allowed.contains(wanted) else { throw .EPERM }
        }
        if real != .max { who.realGroup = real }
        if effective != .max { who.effectiveGroup = effective }
        if saved != .max { who.savedGroup = saved }
        process.identity = who
        return 0
    }

    func callGetGroups(_ a: Arguments) throws(Errno) -> Int64 {
        let groups = process.identity.groups
        if a.a.int == 0 { return Int64(groups.count) }
        guard a.a.int >= groups.count else { throw .EINVAL }
        var writer = ByteWriter(capacity: groups.count * 4)
        for group in groups { writer.put32(group) }
        try memory.write(writer.bytes, to: a.b)
        return Int64(groups.count)
    }

    func callSetGroups(_ a: Arguments) throws(Errno) -> Int64 {
        guard process.identity.isSuperuser else { throw .EPERM }
        guard a.a.word <= 65536 else { throw .EINVAL }
        let bytes = try memory.read(a.b, count: Int(a.a.word) * 4)
        process.identity.groups = (0..<Int(a.a.word)).map { bytes.load32($0 * 4) }
        return 0
    }

    func callSetProcessGroup(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.b.int >= 0 else { throw .EINVAL }
        let member = try namedProcess(a.a)
        guard member === process || member.parent === process else { throw .ESRCH }
        guard member.sessionID == process.sessionID, member.id != member.sessionID else {
            throw .EPERM
        }
        if member !== process, member.hasExecuted { throw .EACCES }
        let group = a.b.int == 0 ? member.id : a.b.int
        if group != member.id {
            guard
                server.members(ofGroup: group).contains(where: { $0.sessionID == process.sessionID }
                )
            else {
                throw .EPERM
            }
        }
        member.groupID = group
        return 0
    }

    func callSetSession() throws(Errno) -> Int64 {
        guard server.members(ofGroup: process.id).isEmpty else { throw .EPERM }
        process.sessionID = process.id
        process.groupID = process.id
        process.hasTerminal = false
        return Int64(process.id)
    }

    /// capabilities(7): root has all 41, others none; version 3 of the header.
    func callCapabilities(_ a: Arguments) throws(Errno) -> Int64 {
        let version = try memory.load32(a.a)
        guard version == 0x2008_0522 else {
            try memory.store32(0x2008_0522, to: a.a)
            throw .EINVAL
        }
        if a.b == 0 { return 0 }
        let all: UInt64 = process.identity.isSuperuser ? (1 << 41) - 1 : 0
        var writer = ByteWriter(capacity: 24)
        for half in [all.word, (all >> 32).word] {
            writer.put32(half)
            writer.put32(half)
            writer.put32(UInt32(0))
        }
        return try store(writer.bytes, to: a.b)
    }
}
