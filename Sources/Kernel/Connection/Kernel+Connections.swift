import ABI
import Machine
import Store

/// Synchronous IPC: a call hands a message over and waits for the reply. The message is copied
/// once, at the moment when both sides are there, straight from one memory to the other.
extension Kernel {
    mutating func makeConnection(memory: ObjectID, source: CapabilityRef) throws(NativeError)
        -> ConnectionPointer
    {
        let id = try newIdentity(large: false)
        guard let place = connections.allocate(Connection(id: id, memory: memory, source: source))
        else {
            throw noRoom(id)
        }
        attach(.connection, place)
        return place
    }

    mutating func buryConnection(_ connection: ConnectionPointer) {
        wakeAll(&connection.pointee.callers, with: .gone)
        wakeAll(&connection.pointee.receivers, with: .gone)
        abandonCallers(of: connection.pointee.id)
        connections.free(connection)
    }

    /// Callers whose message was taken on a connection that is gone: nobody can answer them any
    /// more.
    mutating func abandonCallers(of connection: ObjectID) {
        for number in 0..<objects.pointee.highLarge {
            guard let thread = thread(number: number), thread.pointee.state == .waitingReply,
                thread.pointee.waitObject == connection
            else { continue }
            thread.pointee.peer?.pointee.caller = nil
            thread.pointee.peer = nil
            wake(thread, result: encode(.gone))
        }
    }

    mutating func call(
        _ thread: ThreadPointer, _ connection: ConnectionPointer, badge: UInt64,
        message: UserAddress
    ) throws(NativeError) -> UInt64? {
        thread.pointee.message = message
        thread.pointee.callBadge = badge
        while let receiver = connection.pointee.receivers.popFirst() {
            do throws(NativeError) {
                try deliver(from: thread, to: receiver)
            } catch {
                // The caller's message cannot be read: its error; the receiver goes on waiting, at
                // its old place.
                connection.pointee.receivers.insertBySequence(receiver)
                throw error
            }
            wake(receiver, result: 0)
            awaitReply(thread, from: receiver, on: connection)
            return nil
        }
        withUnsafeMutablePointer(to: &connection.pointee.callers) {
            wait(thread, .waitingReceiver, on: connection.pointee.id, deadline: .max, queue: $0)
        }
        return nil
    }

    private mutating func awaitReply(
        _ caller: ThreadPointer, from receiver: ThreadPointer, on connection: ConnectionPointer
    ) {
        caller.pointee.state = .waitingReply
        caller.pointee.waitObject = connection.pointee.id
        caller.pointee.peer = receiver
        receiver.pointee.caller = caller
        leaveCore(caller)
        markDirty(caller.pointee.id)
        markDirty(receiver.pointee.id)
    }

    mutating func receive(
        _ thread: ThreadPointer, _ connection: ConnectionPointer, message: UserAddress,
        deadline: UInt64
    ) throws(NativeError) -> UInt64? {
        // A caller that was never answered must not wait for ever.
        if let old = thread.pointee.caller {
            thread.pointee.caller = nil
            old.pointee.peer = nil
            wake(old, result: encode(.gone))
        }
        thread.pointee.message = message
        while let caller = connection.pointee.callers.popFirst() {
            do throws(NativeError) {
                try deliver(from: caller, to: thread)
            } catch {
                wake(caller, result: encode(error))
                continue
            }
            awaitReply(caller, from: thread, on: connection)
            return 0
        }
        if deadline <= now { throw .timedOut }
        withUnsafeMutablePointer(to: &connection.pointee.receivers) {
            wait(thread, .waitingCaller, on: connection.pointee.id, deadline: deadline, queue: $0)
        }
        return nil
    }

    /// The capability that a connection's memory is handed out from. Errors: `noCapability` when
    /// there is none, or it was revoked, deleted or changed since.
    func memorySource(_ connection: ConnectionPointer) throws(NativeError) -> CapabilityRef {
        let source = connection.pointee.source
        guard !source.isNone, objects.pointee.isInRange(source.table),
            header(ObjectID(index: source.table, generation: 0)).pointee.kind == .capabilityTable
        else { throw .noCapability }
        let held = capability(source)
        guard !held.isEmpty, held.object == connection.pointee.memory,
            held.rights.isSuperset(of: [.read, .write, .grant])
        else { throw .noCapability }
        return source
    }

    mutating func reply(_ thread: ThreadPointer, message: UserAddress) throws(NativeError)
        -> UInt64
    {
        guard let caller = thread.pointee.caller else { throw .noCaller }
        thread.pointee.message = message
        try transfer(from: thread, to: caller, badge: 0)
        thread.pointee.caller = nil
        caller.pointee.peer = nil
        markDirty(thread.pointee.id)
        wake(caller, result: 0)
        return 0
    }

    private mutating func deliver(
        from caller: ThreadPointer, to receiver: ThreadPointer
    ) throws(NativeError) {
        try transfer(from: caller, to: receiver, badge: caller.pointee.callBadge)
    }

    /// Copies words and derives the named capabilities into the other side's group. All slots are
    /// checked before the first is derived; if the other side runs out of slots in the middle, it
    /// keeps those it got and the error is the sender's.
    private mutating func transfer(
        from sender: ThreadPointer, to receiver: ThreadPointer, badge: UInt64
    ) throws(NativeError) {
        var words: InlineArray<18, UInt64> = InlineArray(repeating: 0)
        try withUnsafeMutableBytes(of: &words) { bytes throws(NativeError) in
            try readUser(sender.pointee.space, sender.pointee.message, into: bytes)
        }
        let count = words[8]
        guard count <= UInt64(Message.capabilityCount) else { throw .badArgument }
        for index in 0..<Int(count) {
            let ref = try find(Slot(alleged: words[9 + index]), in: sender.pointee.group)
            guard capability(ref).rights.contains(.grant) else { throw .noRights }
        }
        for index in 0..<Int(count) {
            let ref = try find(Slot(alleged: words[9 + index]), in: sender.pointee.group)
            let slot = try derive(ref, rights: .all, badge: 0, into: receiver.pointee.group)
            words[9 + index] = UInt64(slot.value)
        }
        words[17] = badge
        try withUnsafeBytes(of: &words) { bytes throws(NativeError) in
            try writeUser(receiver.pointee.space, receiver.pointee.message, from: bytes)
        }
    }
}
