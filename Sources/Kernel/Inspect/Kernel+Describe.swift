import ABI
import Machine
import Store

/// The state that a version holds, word by word in a fixed order: equal descriptions are equal
/// systems. For tests and the simulation, which compare a restored system with the one that was
/// committed. Independent of `Kernel+Records`, on purpose. Left out is what no program can see: run
/// queue, translations, frames, whether a page of zeros has a frame.
extension Kernel {
    public func describe(_ emit: (UInt64) -> Void) {
        emit(rootGroup?.pointee.id.packed ?? 0)
        emit(system.packed)
        for index in 0..<objects.pointee.highSmall { describe(index, emit) }
        for index in 0..<objects.pointee.highLarge { describe(index | RecordClass.largeBit, emit) }
    }

    /// Threads that were kicked out of restricted mode and have not noticed: what they do next
    /// happens inside `handle`, after the checkpoint.
    public var pendingKicks: Int {
        var count = 0
        for number in 0..<objects.pointee.highLarge {
            let place = objects.pointee.header(number | RecordClass.largeBit)
            guard place.pointee.kind == .thread, let body = place.pointee.body else { continue }
            let thread = body.assumingMemoryBound(to: Thread.self)
            if thread.pointee.kickPending && thread.pointee.isRestricted { count += 1 }
        }
        return count
    }

    private func describe(_ index: UInt32, _ emit: (UInt64) -> Void) {
        let header = objects.pointee.header(index).pointee
        guard header.kind != .none, !header.isDying, let body = header.body else { return }
        emit(
            ObjectID(index: index, generation: header.generation).packed | UInt64(
                header.kind.rawValue) << 56)
        switch header.kind {
        case .none, .vmSpace, .system: break
        case .capGroup:
            let group = body.assumingMemoryBound(to: CapGroup.self)
            emit(group.pointee.badge)
            emit(UInt64(group.pointee.threadCount))
            for word in 0..<4 { emit(group.pointee.name[word]) }
        case .capabilityTable: describe(body.assumingMemoryBound(to: CapabilityTable.self), emit)
        case .pmo: describe(body.assumingMemoryBound(to: PhysicalMemoryObject.self), emit)
        case .region: describe(body.assumingMemoryBound(to: Region.self), emit)
        case .thread: describe(body.assumingMemoryBound(to: Thread.self), emit)
        case .notification, .irqNotification:
            let place = body.assumingMemoryBound(to: Notification.self)
            emit(place.pointee.count)
            emit(UInt64(place.pointee.line))
            describe(place.pointee.waiters, emit)
        case .connection:
            let place = body.assumingMemoryBound(to: Connection.self)
            emit(place.pointee.memory.packed)
            emit(UInt64(place.pointee.source.value))
            describe(place.pointee.callers, emit)
            describe(place.pointee.receivers, emit)
        }
    }

    private func describe(_ queue: ThreadQueue, _ emit: (UInt64) -> Void) {
        var thread = queue.first
        while let waiter = thread {
            emit(waiter.pointee.id.packed)
            thread = waiter.pointee.next
        }
    }

    private func describe(_ table: CapabilityTablePointer, _ emit: (UInt64) -> Void) {
        emit(table.pointee.group.packed)
        emit(UInt64(table.pointee.number))
        for index in 0..<Capability.perTable {
            let entry = table.pointee.entries[index]
            if entry.isEmpty { continue }
            emit(UInt64(index) << 48 | UInt64(entry.rights.rawValue))
            emit(entry.object.packed)
            emit(entry.badge)
            emit(UInt64(entry.parent.value) << 8 | UInt64(entry.depth))
        }
    }

    private func describe(_ region: RegionPointer, _ emit: (UInt64) -> Void) {
        emit(region.pointee.space.pointee.id.packed)
        emit(region.pointee.pmo.pointee.id.packed)
        emit(region.pointee.start)
        emit(region.pointee.end)
        emit(region.pointee.offset)
        emit(
            UInt64(region.pointee.protection.rawValue) << 8 | UInt64(region.pointee.limit.rawValue))
    }

    private func describe(_ thread: ThreadPointer, _ emit: (UInt64) -> Void) {
        emit(UInt64(thread.pointee.state.rawValue))
        if thread.pointee.state == .dead { return }
        emit(thread.pointee.group.pointee.id.packed)
        emit(thread.pointee.space.pointee.id.packed)
        emit(thread.pointee.kickPending ? 1 : 0)
        emit(thread.pointee.waitObject.packed)
        emit(thread.pointee.deadline)
        emit(thread.pointee.message)
        emit(thread.pointee.callBadge)
        emit(thread.pointee.peer?.pointee.id.packed ?? 0)
        emit(thread.pointee.caller?.pointee.id.packed ?? 0)
        emit(thread.pointee.restrictedSpace?.pointee.id.packed ?? 0)
        emit(thread.pointee.restrictedState)
        let context = UnsafeRawPointer(thread).assumingMemoryBound(to: UInt64.self)
        for word in 0..<84 { emit(context[word]) }
        guard thread.pointee.isRestricted else { return }
        withUnsafeBytes(of: thread.pointee.serverRegisters) { bytes in
            for word in 0..<20 {
                emit(bytes.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self))
            }
        }
    }

    private func describe(_ pmo: PMOPointer, _ emit: (UInt64) -> Void) {
        emit(UInt64(pmo.pointee.kind.rawValue))
        emit(pmo.pointee.pageCount)
        emit(pmo.pointee.base)
        emit(pmo.pointee.isRing ? pmo.pointee.ringLocal : 0)
        guard pmo.pointee.kind == .anonymous else { return }
        for page in 0..<pmo.pointee.pageCount {
            do throws(StoreError) {
                guard case .present(let frame, _) = try store.pageState(page, of: pmo.pointee.tree)
                else { continue }
                describe(frame, page, emit)
            } catch { emit(Self.damageMark) }
        }
    }

    private func describe(_ frame: FrameNumber, _ page: UInt64, _ emit: (UInt64) -> Void) {
        for word in 0..<(pageSize / 8) {
            let value = store.memory.load(frame.offset + word * 8)
            if value != 0 {
                emit(page << 16 | word)
                emit(value)
            }
        }
    }

    /// Stands in a description for a page whose table is damaged: touching it would stop the system
    /// with the name of the damage.
    public static var damageMark: UInt64 { 0xDA3A_6ED0_DA3A_6ED0 }

    // MARK: What translations may hold

    /// Checks one entry of a space's translation against its regions and pages. Returns what is
    /// wrong.
    public func checkEntry(
        _ translation: Translation, page: UInt64, frame: FrameNumber, writable: Bool, tracked: Bool
    ) -> StaticString? {
        for index in 0..<objects.pointee.highSmall {
            let header = objects.pointee.header(index).pointee
            guard header.kind == .vmSpace, let body = header.body else { continue }
            let space = body.assumingMemoryBound(to: VMSpace.self)
            if space.pointee.translation != translation { continue }
            guard let region = region(space, at: page * pageSize) else {
                return "an entry without a region"
            }
            if writable && !permits(region, .write) {
                return "an entry allows writes that its region does not"
            }
            let pmo = region.pointee.pmo
            let number =
                (region.pointee.offset + (page * pageSize - region.pointee.start)) / pageSize
            if number >= pmo.pointee.pageCount { return "an entry behind the end of its PMO" }
            if pmo.pointee.kind == .eternal {
                return UInt64(frame.value) == pmo.pointee.base + number
                    ? nil : "an entry to a wrong eternal frame"
            }
            guard
                case .present(let current, let dirty)? = try? store.pageState(
                    number, of: pmo.pointee.tree)
            else {
                return "an entry to a page that is not there"
            }
            if current != frame { return "an entry to an old frame" }
            if writable && !dirty { return "a writable entry to a clean page" }
            if writable && !tracked { return "a writable entry that a checkpoint would miss" }
            return nil
        }
        return "a translation without a space"
    }
}
