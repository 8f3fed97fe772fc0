import ABI

/// poll(2), ppoll(2), select(2), pselect6(2), epoll(7).
extension CallTable {
    static func pollCalls() -> [CallEntry] {
        [
            CallEntry(7, "poll", .full) { (t, a) throws(Errno) -> Int64 in
                let deadline =
                    a.c.int < 0
                    ? Native.forever : TimeRecord.deadline(after: UInt64(a.c.int) * 1_000_000)
                return try t.poll(a.a, count: a.b, deadline: deadline)
            },
            CallEntry(271, "ppoll", .full) { (t, a) throws(Errno) -> Int64 in
                let deadline = try t.duration(a.c, unit: 1).map { TimeRecord.deadline(after: $0) }
                try t.replaceMask(a.d, size: a.e)
                return try t.poll(a.a, count: a.b, deadline: deadline ?? Native.forever)
            },
            CallEntry(23, "select", .full) { (t, a) throws(Errno) -> Int64 in
                let deadline = try t.duration(a.e, unit: 1000).map {
                    TimeRecord.deadline(after: $0)
                }
                let result = try t.select(a, deadline: deadline ?? Native.forever)
                if let deadline { try? t.storeRemaining(until: deadline, to: a.e, unit: 1000) }
                return result
            },
            CallEntry(270, "pselect6", .full) { (t, a) throws(Errno) -> Int64 in
                let deadline = try t.duration(a.e, unit: 1).map { TimeRecord.deadline(after: $0) }
                if a.f != 0 {
                    let pointer = try t.memory.read(a.f, count: 16)
                    try t.replaceMask(pointer.load64(0), size: pointer.load64(8))
                }
                let result = try t.select(a, deadline: deadline ?? Native.forever)
                if let deadline { try? t.storeRemaining(until: deadline, to: a.e, unit: 1) }
                return result
            },
            CallEntry(213, "epoll_create", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.a.int > 0 else { throw .EINVAL }
                return try t.makeEpoll(flags: 0)
            },
            CallEntry(291, "epoll_create1", .full) { (t, a) throws(Errno) -> Int64 in
                guard a.a.word & ~OpenFlags.closeOnExec == 0 else { throw .EINVAL }
                return try t.makeEpoll(flags: a.a.word)
            },
            CallEntry(233, "epoll_ctl", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callEpollControl(a)
            },
            CallEntry(232, "epoll_wait", .full) { (t, a) throws(Errno) -> Int64 in
                try t.callEpollWait(a)
            },
            CallEntry(281, "epoll_pwait", .full) { (t, a) throws(Errno) -> Int64 in
                try t.replaceMask(a.e, size: a.f)
                return try t.callEpollWait(a)
            },
        ]
    }
}

extension GuestThread {
    /// Another signal mask until the call returns; address 0: none.
    func replaceMask(_ address: UInt64, size: UInt64) throws(Errno) {
        if address == 0 { return }
        guard size == 8 else { throw .EINVAL }
        let mask = try memory.load64(address)
        savedMask = blocked
        blocked = mask & ~Signal.unblockable
    }

    func storeRemaining(until deadline: UInt64, to address: UInt64, unit: UInt64) throws(Errno) {
        let now = Native.monotonic()
        try memory.write(
            TimeRecord.single(deadline > now ? deadline - now : 0, unit: unit), to: address)
    }

    /// A wait that is EINTR when a signal comes, with or without SA_RESTART, but goes on after a
    /// stop.
    private func waitForEvents(_ queues: [WaitQueue], _ deadline: UInt64) throws(Errno) -> Bool {
        do throws(Errno) {
            return try wait(on: queues, deadline: deadline)
        } catch {
            throw .restartWithoutHandler
        }
    }

    func poll(_ address: UInt64, count: UInt64, deadline: UInt64) throws(Errno) -> Int64 {
        guard count <= process.limits.openFiles else { throw .EINVAL }
        var records = try memory.read(address, count: Int(count) * 8)
        while true {
            var ready: Int64 = 0
            var queues: [WaitQueue] = []
            for index in 0..<Int(count) {
                let found = pollOne(
                    records.loadInt32(index * 8), records.load16(index * 8 + 4), &queues)
                records[index * 8 + 6] = UInt8(truncatingIfNeeded: found)
                records[index * 8 + 7] = UInt8(truncatingIfNeeded: found >> 8)
                if found != 0 { ready += 1 }
            }
            if ready > 0 || Native.monotonic() >= deadline {
                try memory.write(records, to: address)
                return ready
            }
            _ = try waitForEvents(queues, deadline)
        }
    }

    private func pollOne(_ descriptor: Int32, _ wanted: UInt16, _ queues: inout [WaitQueue])
        -> UInt32
    {
        if descriptor < 0 { return 0 }
        guard let file = process.descriptors.entry(descriptor)?.file else {
            return PollEvents.invalid
        }
        let found = file.readiness & (UInt32(wanted) | PollEvents.always)
        if found == 0 { queues.append(contentsOf: file.queues) }
        return found
    }

    /// select(2): three bit sets of `a.a` descriptors at b, c and d.
    func select(_ a: Arguments, deadline: UInt64) throws(Errno) -> Int64 {
        guard a.a.int >= 0 else { throw .EINVAL }
        let count = min(Int(a.a.int), DescriptorTable.maximum)
        let size = (count + 63) / 64 * 8
        let wanted = [
            PollEvents.input | PollEvents.hangup | PollEvents.error,
            PollEvents.output | PollEvents.error,
            PollEvents.urgent,
        ]
        let addresses = [a.b, a.c, a.d]
        var sets: [Bytes] = []
        for address in addresses {
            sets.append(
                address == 0
                    ? Bytes(repeating: 0, count: size) : try memory.read(address, count: size))
        }
        while true {
            var results = [Bytes](repeating: Bytes(repeating: 0, count: size), count: 3)
            var queues: [WaitQueue] = []
            let ready = try scan(sets, wanted, count, &results, &queues)
            if ready > 0 || Native.monotonic() >= deadline {
                for (index, address) in addresses.enumerated() where address != 0 {
                    try memory.write(results[index], to: address)
                }
                return ready
            }
            _ = try waitForEvents(queues, deadline)
        }
    }

    private func scan(
        _ sets: [Bytes], _ wanted: [UInt32], _ count: Int, _ results: inout [Bytes],
        _ queues: inout [WaitQueue]
    ) throws(Errno) -> Int64 {
        var ready: Int64 = 0
        for byte in 0..<(count + 7) / 8 where (sets[0][byte] | sets[1][byte] | sets[2][byte]) != 0 {
            for bit in 0..<8 where byte * 8 + bit < count {
                let mask = UInt8(1) << UInt8(bit)
                if (sets[0][byte] | sets[1][byte] | sets[2][byte]) & mask == 0 { continue }
                let file = try process.descriptors.file(Int32(truncatingIfNeeded: byte * 8 + bit))
                let state = file.readiness
                for kind in 0..<3 where sets[kind][byte] & mask != 0 && state & wanted[kind] != 0 {
                    results[kind][byte] |= mask
                    ready += 1
                }
                queues.append(contentsOf: file.queues)
            }
        }
        return ready
    }

    // MARK: epoll

    func makeEpoll(flags: UInt32) throws(Errno) -> Int64 {
        let inode = server.fileSystem.makeAnonymous(kind: .regular, permissions: 0o600)
        server.fileSystem.retain(inode)
        return Int64(try install(EpollFile(server: server, inode: inode, flags: 0), flags: flags))
    }

    func callEpollControl(_ a: Arguments) throws(Errno) -> Int64 {
        let target = try file(a.c)
        guard let epoll = try file(a.a) as? EpollFile, epoll !== target else { throw .EINVAL }
        if target is RegularFile || target is DirectoryFile { throw .EPERM }
        if a.b.word == 2 {
            try epoll.remove(a.c.int, target)
            return 0
        }
        let record = try memory.read(a.d, count: 12)
        let (events, data) = (record.load32(0), record.load64(4))
        switch a.b.word {
        case 1:
            try epoll.add(
                EpollInterest(descriptor: a.c.int, file: target, events: events, data: data))
        case 3: try epoll.modify(a.c.int, target, events: events, data: data)
        default: throw .EINVAL
        }
        return 0
    }

    func callEpollWait(_ a: Arguments) throws(Errno) -> Int64 {
        guard let epoll = try file(a.a) as? EpollFile, a.c.int > 0 else { throw .EINVAL }
        let limit = min(Int(a.c.int), 4096)
        let deadline =
            a.d.int < 0 ? Native.forever : TimeRecord.deadline(after: UInt64(a.d.int) * 1_000_000)
        while true {
            let found = epoll.collect(limit: limit)
            if !found.isEmpty || a.d.int == 0 || Native.monotonic() >= deadline {
                var writer = ByteWriter(capacity: found.count * 12)
                for event in found {
                    writer.put32(event.events)
                    writer.put64(event.data)
                }
                try memory.write(writer.bytes, to: a.b)
                return Int64(found.count)
            }
            _ = try waitForEvents(epoll.queues, deadline)
        }
    }
}
