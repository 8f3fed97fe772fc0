import ABI

/// uname(2), sysinfo(2), getrandom(2), getrlimit(2), sched(7), getcpu(2) and calls that only have
/// to be answered.
extension CallTable {
    static func systemCalls() -> [CallEntry] {
        [
            CallEntry(63, "uname", .full) { (t, a) throws(Errno) -> Int64 in
                try t.store(t.systemName(), to: a.a)
            },
            CallEntry(99, "sysinfo", .full) { (t, a) throws(Errno) -> Int64 in
                try t.store(t.systemInformation(), to: a.a)
            },
            CallEntry(170, "sethostname", .full) { (t, a) throws(Errno) -> Int64 in
                guard t.process.identity.isSuperuser else { throw .EPERM }
                guard a.b <= 64 else { throw .EINVAL }
                t.server.hostName = try t.memory.read(a.a, count: Int(a.b))
                return 0
            },
            CallEntry(318, "getrandom", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.c.word & ~7 == 0 else { throw .EINVAL }
                let count = Int(min(a.b, 65536))
                return Int64(t.memory.writeSome(t.server.random.bytes(count), to: a.a))
            },
            CallEntry(97, "getrlimit", .full) { (t, a) throws(Errno) -> Int64 in
                try t.limit(t.process, a.a.word, new: 0, old: a.b)
            },
            CallEntry(160, "setrlimit", .full) { (t, a) throws(Errno) -> Int64 in
                try t.limit(t.process, a.a.word, new: a.b, old: 0)
            },
            CallEntry(302, "prlimit64", .full) { (t, a) throws(Errno) -> Int64 in
                try t.limit(try t.namedProcess(a.a), a.b.word, new: a.c, old: a.d)
            },
            CallEntry(24, "sched_yield", .full) { (t, _) throws(Errno) -> Int64 in
                t.server.lock.release()
                _ = Native.call(.yield)
                t.server.lock.acquire()
                return 0
            },
            CallEntry(204, "sched_getaffinity", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.b >= 8, a.b % 8 == 0 else { throw .EINVAL }
                try t.memory.store64(
                    (1 << UInt64(t.server.processInformation.cpuCount())) - 1, to: a.c)
                return 8
            },
            CallEntry(309, "getcpu", .partial) { (t, a) throws(Errno) -> Int64 in
                if a.a != 0 { try t.memory.store32(0, to: a.a) }
                if a.b != 0 { try t.memory.store32(0, to: a.b) }
                return 0
            },
            CallEntry(140, "getpriority", .partial) { (_, _) throws(Errno) -> Int64 in 20 },
            CallEntry(141, "setpriority", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(203, "sched_setaffinity", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(144, "sched_setscheduler", .accepted) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(145, "sched_getscheduler", .partial) { (_, _) throws(Errno) -> Int64 in 0 },
            CallEntry(143, "sched_getparam", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.memory.store32(0, to: a.b)
                return 0
            },
            CallEntry(146, "sched_get_priority_max", .partial) { (_, a) throws(Errno) -> Int64 in
                a.a == 1 || a.a == 2 ? 99 : 0
            },
            CallEntry(147, "sched_get_priority_min", .partial) { (_, a) throws(Errno) -> Int64 in
                a.a == 1 || a.a == 2 ? 1 : 0
            },
        ]
    }
}

extension GuestThread {
    /// struct utsname: six fields of 65 bytes.
    func systemName() -> Bytes {
        var writer = ByteWriter(capacity: 390)
        let information = server.processInformation
        for text in [
            Bytes("Linux"), server.hostName, information.kernelRelease(),
            information.kernelVersion(),
            Bytes("x86_64"), Bytes("(none)"),
        ] {
            writer.field(text, width: 65)
        }
        return writer.bytes
    }

    /// struct sysinfo, 112 bytes.
    func systemInformation() -> Bytes {
        let pages = server.processInformation.memoryPages()
        var writer = ByteWriter(capacity: 112)
        writer.put64(server.processInformation.uptimeNanoseconds() / TimeRecord.second)
        writer.zeros(24)
        writer.put64(pages.total)
        writer.put64(pages.free)
        writer.zeros(32)
        writer.put16(UInt16(truncatingIfNeeded: server.processes.count))
        writer.zeros(6)
        writer.zeros(16)
        writer.put32(UInt32(truncatingIfNeeded: pageSize))
        writer.zeros(4)
        return writer.bytes
    }

    func limit(_ target: GuestProcess, _ which: UInt32, new: UInt64, old: UInt64) throws(Errno)
        -> Int64
    {
        guard which < ResourceLimits.count else { throw .EINVAL }
        let before = target.limits.values[Int(which)]
        if new != 0 {
            let record = try memory.read(new, count: 16)
            let wanted = (soft: record.load64(0), hard: record.load64(8))
            guard wanted.soft <= wanted.hard else { throw .EINVAL }
            if wanted.hard > before.hard, !process.identity.isSuperuser { throw .EPERM }
            if which == 7, wanted.hard > UInt64(DescriptorTable.maximum) { throw .EPERM }
            target.limits.values[Int(which)] = wanted
        }
        if old != 0 {
            var writer = ByteWriter(capacity: 16)
            writer.put64(before.soft)
            writer.put64(before.hard)
            try memory.write(writer.bytes, to: old)
        }
        return 0
    }
}
