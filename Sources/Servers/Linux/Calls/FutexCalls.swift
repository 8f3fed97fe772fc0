import ABI

/// futex(2).
private enum FutexOperation {
    static let wait: UInt32 = 0, wake: UInt32 = 1, requeue: UInt32 = 3, compareRequeue: UInt32 = 4,
        wakeOp: UInt32 = 5
    static let waitBits: UInt32 = 9, wakeBits: UInt32 = 10
    static let privateFlag: UInt32 = 128, wallClockFlag: UInt32 = 256
}

extension GuestThread {
    func callFutex(_ a: Arguments) throws(Errno) -> Int64 {
        let operation = a.b.word & ~(FutexOperation.privateFlag | FutexOperation.wallClockFlag)
        guard a.a % 4 == 0 else { throw .EINVAL }
        switch operation {
        case FutexOperation.wait:
            let deadline = try duration(a.d, unit: 1).map { TimeRecord.deadline(after: $0) }
            return try futexWait(a, bits: .max, deadline: deadline)
        case FutexOperation.waitBits:
            guard a.f.word != 0 else { throw .EINVAL }
            return try futexWait(a, bits: a.f.word, deadline: try absoluteDeadline(a))
        case FutexOperation.wake:
            return Int64(
                server.futexes.wake(
                    space: process.space, address: a.a, count: UInt64(max(0, a.c.int))))
        case FutexOperation.wakeBits:
            guard a.f.word != 0 else { throw .EINVAL }
            return Int64(
                server.futexes.wake(
                    space: process.space, address: a.a, count: UInt64(max(0, a.c.int)),
                    bits: a.f.word))
        case FutexOperation.requeue, FutexOperation.compareRequeue:
            return try futexRequeue(a, compares: operation == FutexOperation.compareRequeue)
        case FutexOperation.wakeOp: return try futexWakeOperation(a)
        default: throw .ENOSYS
        }
    }

    private func absoluteDeadline(_ a: Arguments) throws(Errno) -> UInt64? {
        guard let time = try duration(a.d, unit: 1) else { return nil }
        if a.b.word & FutexOperation.wallClockFlag == 0 { return time }
        let now = Native.wallClock()
        return TimeRecord.deadline(after: time > now ? time - now : 0)
    }

    private func futexWait(_ a: Arguments, bits: UInt32, deadline: UInt64?) throws(Errno) -> Int64 {
        guard try memory.load32(a.a) == a.c.word else { throw .EAGAIN }
        let waiter = FutexTable.Waiter(
            thread: self, key: FutexTable.key(process.space, a.a), bits: bits)
        server.futexes.add(waiter)
        defer { if !waiter.isWoken { server.futexes.remove(waiter) } }
        while !waiter.isWoken {
            if isInterrupted {
                throw deadline == nil ? .restartWithFlag : .EINTR
            }
            let isInTime = park(on: [], deadline: deadline ?? Native.forever)
            if !isInTime, !waiter.isWoken { throw .ETIMEDOUT }
        }
        return 0
    }

    private func futexRequeue(_ a: Arguments, compares: Bool) throws(Errno) -> Int64 {
        guard a.c.int >= 0, a.d.int >= 0, a.e % 4 == 0 else { throw .EINVAL }
        if compares, try memory.load32(a.a) != a.f.word { throw .EAGAIN }
        let result = server.futexes.requeue(
            FutexTable.key(process.space, a.a), to: FutexTable.key(process.space, a.e),
            wake: UInt64(a.c.int),
            move: UInt64(a.d.int))
        return Int64(result.woken) + (compares ? Int64(result.moved) : 0)
    }

    /// FUTEX_WAKE_OP. The change of the second word is not atomic against guest threads on other
    /// processors.
    private func futexWakeOperation(_ a: Arguments) throws(Errno) -> Int64 {
        let code = a.f.word
        let old = try memory.load32(a.e)
        let operand = Int32(bitPattern: code << 8) >> 20
        let comparison = Int32(bitPattern: code << 20) >> 20
        var value = UInt32(bitPattern: operand)
        if code >> 31 != 0 { value = 1 << (value & 31) }
        switch code >> 28 & 7 {
        case 0: break
        case 1: value = old &+ value
        case 2: value = old | value
        case 3: value = old & ~value
        case 4: value = old ^ value
        default: throw .ENOSYS
        }
        try memory.store32(value, to: a.e)
        var woken = server.futexes.wake(
            space: process.space, address: a.a, count: UInt64(max(0, a.c.int)))
        if FutexComparison.holds(code >> 24 & 15, Int32(bitPattern: old), comparison) {
            woken += server.futexes.wake(
                space: process.space, address: a.e, count: UInt64(max(0, a.d.int)))
        }
        return Int64(woken)
    }
}

private enum FutexComparison {
    static func holds(_ operation: UInt32, _ a: Int32, _ b: Int32) -> Bool {
        switch operation {
        case 0: a == b
        case 1: a != b
        case 2: a < b
        case 3: a <= b
        case 4: a > b
        case 5: a >= b
        default: false
        }
    }
}
