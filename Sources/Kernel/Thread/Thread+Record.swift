import ABI
import Machine
import Store

/// A thread's record, and the way back into the queues (Docs/store-format.md).
extension Kernel {
    func encode(_ thread: ThreadPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(thread.pointee.group.pointee.id.packed)
        writer.append(thread.pointee.space.pointee.id.packed)
        writer.append(
            UInt64(thread.pointee.state.rawValue) | (thread.pointee.kickPending ? 1 << 8 : 0))
        writer.append(thread.pointee.waitObject.packed)
        writer.append(thread.pointee.waitSequence)
        writer.append(thread.pointee.deadline)
        writer.append(thread.pointee.message.value)
        writer.append(thread.pointee.callBadge)
        writer.append(thread.pointee.peer?.pointee.id.packed ?? 0)
        writer.append(thread.pointee.restrictedSpace?.pointee.id.packed ?? 0)
        writer.append(thread.pointee.restrictedState.value)
        if thread.pointee.isRestricted {
            withUnsafeBytes(of: &thread.pointee.serverRegisters) { append($0, words: 20, &writer) }
        }
        withUnsafeBytes(of: &thread.pointee.context) { append($0, words: usedWords($0), &writer) }
    }

    /// A context without the zeros at its end, which the reader supplies: few threads use all
    /// vector registers.
    private func usedWords(_ context: UnsafeRawBufferPointer) -> Int {
        var count = Kernel.contextWords
        while count > 0
            && context.loadUnaligned(fromByteOffset: count * 8 - 8, as: UInt64.self) == 0
        { count -= 1 }
        return count
    }

    private func append(
        _ bytes: UnsafeRawBufferPointer, words: Int, _ writer: inout RecordWriter<M.Memory>
    ) {
        for index in 0..<words {
            writer.append(bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
    }

    mutating func decodeThread(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> ThreadPointer? {
        let groupID = ObjectID(packed: reader.next())
        let spaceID = ObjectID(packed: reader.next())
        let word = reader.next()
        guard let state = ThreadState(rawValue: UInt8(truncatingIfNeeded: word)) else { return nil }
        let isDead = state == .dead
        guard let group = isDead ? nowhere.group : body(groupID, as: CapGroup.self),
            let space = isDead ? nowhere.space : body(spaceID, as: VMSpace.self)
        else { return nil }
        var thread = Thread(id: id, group: group, space: space)
        thread.state = state
        thread.kickPending = word & 1 << 8 != 0
        thread.waitObject = ObjectID(packed: reader.next())
        thread.waitSequence = reader.next()
        thread.deadline = reader.next()
        thread.message = UserAddress(reader.next())
        thread.callBadge = reader.next()
        thread.restoredPeer = ObjectID(packed: reader.next())
        let restricted = ObjectID(packed: reader.next())
        thread.restrictedState = UserAddress(reader.next())
        if !restricted.isNone {
            guard let space = body(restricted, as: VMSpace.self) else { return nil }
            thread.restrictedSpace = space
            withUnsafeMutableBytes(of: &thread.serverRegisters) { fill($0, words: 20, &reader) }
            thread.serverRegisters = thread.serverRegisters.sanitized
        }
        withUnsafeMutableBytes(of: &thread.context) {
            fill($0, words: Kernel.contextWords, &reader)
        }
        thread.context.fpu.sanitize()
        thread.context.registers = thread.context.registers.sanitized
        waitSequence = max(waitSequence, thread.waitSequence)
        return threads.allocate(thread)
    }

    /// A thread's registers and floating-point area, in words.
    static var contextWords: Int { 84 }

    private func fill(
        _ bytes: UnsafeMutableRawBufferPointer, words: Int, _ reader: inout RecordReader<M.Memory>
    ) {
        for index in 0..<words {
            bytes.storeBytes(of: reader.next(), toByteOffset: index * 8, as: UInt64.self)
        }
    }

    mutating func linkThreads() throws(StoreError) {
        for number in 0..<objects.pointee.highLarge {
            guard let thread = thread(number: number) else { continue }
            let peer = thread.pointee.restoredPeer
            thread.pointee.restoredPeer = .none
            if thread.pointee.state == .dead { continue }
            if !peer.isNone {
                guard thread.pointee.state == .waitingReply,
                    let server = body(peer, as: Thread.self), server.pointee.caller == nil
                else { throw .damagedRecord(index: number | RecordClass.largeBit) }
                thread.pointee.peer = server
                server.pointee.caller = thread
            }
            retain(thread.pointee.id)
            retain(thread.pointee.group.pointee.id)
            retain(thread.pointee.space.pointee.id)
            thread.pointee.group.pointee.threadCount += 1
            if let space = thread.pointee.restrictedSpace { retain(space.pointee.id) }
            try enqueueRestored(thread)
        }
    }

    private mutating func enqueueRestored(_ thread: ThreadPointer) throws(StoreError) {
        switch thread.pointee.state {
        case .ready: runQueue.append(thread)
        case .waitingReply, .dead: break
        case .waitingNotification, .waitingReceiver, .waitingCaller:
            guard let queue = queue(of: thread) else {
                throw .damagedRecord(index: thread.pointee.id.index)
            }
            queue.pointee.insertBySequence(thread)
            if thread.pointee.deadline != .max { sleepers.insert(thread) }
        }
    }
}
