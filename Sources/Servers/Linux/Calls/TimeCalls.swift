import ABI

/// clock_gettime(2), nanosleep(2), setitimer(2), alarm(2), times(2), getrusage(2).
extension CallTable {
    static func timeCalls() -> [CallEntry] {
        [
            CallEntry(35, "nanosleep", .full) { (t, a) throws(Errno) -> Int64 in
                guard let time = try t.duration(a.a, unit: 1) else { throw .EFAULT }
                return try t.sleep(until: TimeRecord.deadline(after: time), remainder: a.b)
            },
            CallEntry(36, "getitimer", .partial) { (t, a) throws(Errno) -> Int64 in
                guard a.a.word <= 2 else { throw .EINVAL }
                return try t.store(t.alarmRecord(a.a.word), to: a.b)
            },
            CallEntry(37, "alarm", .full) { (t, a) throws(Errno) -> Int64 in
                let left = t.process.alarm?.remaining ?? 0
                t.setAlarm(after: UInt64(a.a.word) * TimeRecord.second, interval: 0)
                return Int64((left + TimeRecord.second - 1) / TimeRecord.second)
            },
            CallEntry(38, "setitimer", .partial) { (t, a) throws(Errno) -> Int64 in
                try t.callSetTimer(a)
            },
            CallEntry(96, "gettimeofday", .full) { (t, a) throws(Errno) -> Int64 in
                if a.b != 0 { try t.memory.store64(0, to: a.b) }
                return a.a == 0
                    ? 0 : try t.store(TimeRecord.single(Native.wallClock(), unit: 1000), to: a.a)
            },
            CallEntry(98, "getrusage", .partial) { (t, a) throws(Errno) -> Int64 in
                switch a.a.int {
                case 0: return try t.store(t.usage(t.process.ownTime), to: a.b)
                case 1: return try t.store(t.usage(t.servedNanoseconds), to: a.b)
                case -1: return try t.store(t.usage(t.process.times.children), to: a.b)
                default: throw .EINVAL
                }
            },
            CallEntry(100, "times", .partial) { (t, a) throws(Errno) -> Int64 in
                let tick: UInt64 = 10_000_000
                if a.a != 0 {
                    var writer = ByteWriter(capacity: 32)
                    for value in [t.process.ownTime, 0, t.process.times.children, 0] {
                        writer.put64(value / tick)
                    }
                    try t.memory.write(writer.bytes, to: a.a)
                }
                return Int64(truncatingIfNeeded: Native.monotonic() / tick)
            },
            CallEntry(201, "time", .full) { (t, a) throws(Errno) -> Int64 in
                let seconds = Native.wallClock() / TimeRecord.second
                if a.a != 0 { try t.memory.store64(seconds, to: a.a) }
                return Int64(truncatingIfNeeded: seconds)
            },
            CallEntry(219, "restart_syscall", .full) { (t, _) throws(Errno) -> Int64 in
                try t.sleep(until: t.sleepDeadline, remainder: t.sleepRemainderAddress)
            },
            CallEntry(227, "clock_settime", .partial) { (_, _) throws(Errno) -> Int64 in
                throw .EPERM
            },
            CallEntry(228, "clock_gettime", .full) { (t, a) throws(Errno) -> Int64 in
                try t.store(TimeRecord.single(try t.clock(a.a.int)), to: a.b)
            },
            CallEntry(229, "clock_getres", .full) { (t, a) throws(Errno) -> Int64 in
                _ = try t.clock(a.a.int)
                let isCoarse = a.a.int == 5 || a.a.int == 6
                return a.b == 0
                    ? 0 : try t.store(TimeRecord.single(isCoarse ? 1_000_000 : 1), to: a.b)
            },
            CallEntry(230, "clock_nanosleep", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callClockSleep(a)
            },
        ]
    }
}

extension GuestThread {
    /// Nanoseconds of a clock of clock_gettime(2).
    func clock(_ which: Int32) throws(Errno) -> UInt64 {
        switch which {
        case 0, 5, 8, 11: return Native.wallClock()
        case 1, 4, 6, 7, 9: return Native.monotonic()
        case 2: return process.ownTime
        case 3: return servedNanoseconds
        default:
            // Clocks of processes and threads (clock_getcpuclockid(3)): only one's own.
            if which < 0 { return which & 4 != 0 ? servedNanoseconds : process.ownTime }
            throw .EINVAL
        }
    }

    /// Sleeps until a monotonic deadline; interrupted by a handler: EINTR, and the rest at
    /// `remainder`.
    func sleep(until deadline: UInt64, remainder: UInt64) throws(Errno) -> Int64 {
        while Native.monotonic() < deadline {
            if isInterrupted {
                sleepDeadline = deadline
                sleepRemainderAddress = remainder
                if remainder != 0 { try? storeRemaining(until: deadline, to: remainder, unit: 1) }
                throw .restartSleep
            }
            _ = park(on: [], deadline: deadline)
        }
        return 0
    }

    func callClockSleep(_ a: Arguments) throws(Errno) -> Int64 {
        let now = try clock(a.a.int)
        guard a.a.int != 3, let time = try duration(a.c, unit: 1) else { throw .EINVAL }
        if a.b & 1 == 0 {
            return try sleep(until: TimeRecord.deadline(after: time), remainder: a.d)
        }
        if time <= now { return 0 }
        do throws(Errno) {
            return try sleep(until: TimeRecord.deadline(after: time - now), remainder: 0)
        } catch {
            throw .restartWithoutHandler
        }
    }

    // MARK: Interval timer

    func setAlarm(after nanoseconds: UInt64, interval: UInt64) {
        process.alarm?.cancel()
        process.alarm = nil
        if nanoseconds == 0 { return }
        // The cycle of process and timer ends with the process (`finish`).
        let owner = process
        let timer = ServerTimer { _ in owner.raise(.alarm) }
        process.alarm = timer
        server.timers.arm(
            timer, deadline: TimeRecord.deadline(after: nanoseconds), interval: interval)
    }

    func alarmRecord(_ which: UInt32) -> Bytes {
        let timer = which == 0 ? process.alarm : nil
        return TimeRecord.pair(timer?.interval ?? 0, timer?.remaining ?? 0, unit: 1000)
    }

    /// ITIMER_REAL; the CPU timers are refused.
    func callSetTimer(_ a: Arguments) throws(Errno) -> Int64 {
        guard a.a.word <= 2 else { throw .EINVAL }
        let old = alarmRecord(a.a.word)
        var interval: UInt64 = 0
        var value: UInt64 = 0
        if a.b != 0 {
            let record = try memory.read(a.b, count: 32)
            interval = try TimeRecord.nanoseconds(record, 0, unit: 1000)
            value = try TimeRecord.nanoseconds(record, 16, unit: 1000)
        }
        if a.a.word == 0 {
            setAlarm(after: value, interval: interval)
        } else if value != 0 {
            throw .ENOSYS
        }
        if a.c != 0 { try memory.write(old, to: a.c) }
        return 0
    }
}
