import ABI
import Machine
import Store

/// The second half of a restore: threads into their queues, capabilities into their objects' lists.
extension Kernel {
    mutating func decodeThread(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> UnsafeMutableRawPointer? {
        let groupID = ObjectID(packed: reader.next())
        let spaceID = ObjectID(packed: reader.next())
        let word = reader.next()
        guard let state = ThreadState(rawValue: UInt8(truncatingIfNeeded: word)) else { return nil }
        let isDead = state == .dead
        // A dead thread belongs to nobody; the root stands in, and is never asked.
        guard let group = body(isDead ? store.lastCommit.rootGroup : groupID, .capGroup),
            let space = isDead ? UnsafeMutableRawPointer(group) : body(spaceID, .vmSpace)
        else { return nil }
        var thread = Thread(
            id: id, group: group.assumingMemoryBound(to: CapGroup.self),
            space: space.assumingMemoryBound(to: VMSpace.self))
        thread.state = state
        thread.kickPending = word & 1 << 8 != 0
        thread.waitObject = ObjectID(packed: reader.next())
        thread.waitSequence = reader.next()
        thread.deadline = reader.next()
        thread.message = reader.next()
        thread.callBadge = reader.next()
        let peer = ObjectID(packed: reader.next())
        let restricted = ObjectID(packed: reader.next())
        thread.restrictedState = reader.next()
        if !restricted.isNone {
            guard let space = body(restricted, .vmSpace) else { return nil }
            thread.restrictedSpace = space.assumingMemoryBound(to: VMSpace.self)
            withUnsafeMutableBytes(of: &thread.serverRegisters) { fill($0, words: 20, &reader) }
            thread.serverRegisters = thread.serverRegisters.sanitized
        }
        withUnsafeMutableBytes(of: &thread.context) {
            fill($0, words: Kernel.contextWords, &reader)
        }
        thread.context.fpu.sanitize()
        thread.context.registers = thread.context.registers.sanitized
        waitSequence = max(waitSequence, thread.waitSequence)
        guard let place = threads.allocate(thread) else { return nil }
        // Both ends are known only after the sweep; until then the identity waits in the volatile
        // sleep index.
        place.pointee.sleepIndex = Int(peer.packed)
        return UnsafeMutableRawPointer(place)
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
            let place = objects.pointee.header(number | RecordClass.largeBit)
            guard place.pointee.kind == .thread, let body = place.pointee.body else { continue }
            let thread = body.assumingMemoryBound(to: Thread.self)
            let peer = ObjectID(packed: UInt64(truncatingIfNeeded: thread.pointee.sleepIndex))
            thread.pointee.sleepIndex = -1
            if thread.pointee.state == .dead { continue }
            if !peer.isNone {
                guard thread.pointee.state == .waitingReply, let other = self.body(peer, .thread)
                else {
                    throw .damagedRecord(index: number | RecordClass.largeBit)
                }
                let server = other.assumingMemoryBound(to: Thread.self)
                guard server.pointee.caller == nil else {
                    throw .damagedRecord(index: number | RecordClass.largeBit)
                }
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

    mutating func linkCapabilities() throws(StoreError) {
        for number in 0..<objects.pointee.highLarge {
            let index = number | RecordClass.largeBit
            let place = objects.pointee.header(index)
            guard place.pointee.kind == .capabilityTable, let body = place.pointee.body else {
                continue
            }
            let table = body.assumingMemoryBound(to: CapabilityTable.self)
            for entry in 0..<Capability.perTable {
                let object = table.pointee.entries[entry].object
                if object.isNone { continue }
                guard objects.pointee.live(object) != nil,
                    isDerivationPossible(table.pointee.entries[entry])
                else { throw .damagedRecord(index: index) }
                link(CapabilityRef(table: index, entry: entry), to: object)
                retain(object)
            }
        }
    }

    /// Whether a capability's parent is a place that holds one to the same object, with its rights
    /// at least.
    private func isDerivationPossible(_ entry: Capability) -> Bool {
        if entry.parent.isNone { return true }
        let header =
            objects.pointee.isInRange(entry.parent.table)
            ? objects.pointee.header(entry.parent.table) : nil
        guard let header, header.pointee.kind == .capabilityTable else { return false }
        let parent = capability(entry.parent)
        return parent.object == entry.object && parent.rights.isSuperset(of: entry.rights)
    }
}
