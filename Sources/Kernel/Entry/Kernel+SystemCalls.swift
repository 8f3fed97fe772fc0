import ABI
import Machine
import Store

/// The calling thread and its six arguments.
struct CallFrame {
    let thread: ThreadPointer
    let core: Int
    let a: UInt64, b: UInt64, c: UInt64, d: UInt64, e: UInt64
    let number: UInt64

    init(_ thread: ThreadPointer, core: Int) {
        self.thread = thread
        self.core = core
        number = thread.pointee.context.registers.rax
        a = thread.pointee.context.registers.rdi
        b = thread.pointee.context.registers.rsi
        c = thread.pointee.context.registers.rdx
        d = thread.pointee.context.registers.r10
        e = thread.pointee.context.registers.r8
    }
    var group: CapGroupPointer { thread.pointee.group }
    var space: VMSpacePointer { thread.pointee.space }
}

extension Kernel {
    /// A native system call, or a guest's Linux call on its way to the server.
    mutating func systemCall(core: Int) {
        guard let thread = cores[core].current else { return }
        if thread.pointee.isRestricted {
            leaveRestricted(thread, .systemCall)
            return
        }
        statistics.nativeCalls &+= 1
        let frame = CallFrame(thread, core: core)
        guard let number = NativeCall(rawValue: frame.number) else {
            thread.pointee.context.registers.rax = encode(.unknownCall)
            return
        }
        do throws(NativeError) {
            // Nil: the thread waits, has ended, or is in restricted mode; its registers are someone
            // else's business.
            if let result = try dispatch(number, frame) {
                thread.pointee.context.registers.rax = result
            }
        } catch {
            thread.pointee.context.registers.rax = encode(error)
        }
    }

    private mutating func dispatch(
        _ number: NativeCall, _ f: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .null: return 0
        case .yield:
            f.thread.pointee.context.registers.rax = 0
            yieldCurrent(core: f.core)
            return nil
        case .clockRead: return try clockRead(f)
        case .threadCreate: return try threadCreate(f)
        case .threadExit:
            endThread(f.thread)
            return nil
        case .threadKick:
            kick(try thread(f.a, f, .write))
            return 0
        case .threadFPU:
            guard f.a < 2 else { throw .badArgument }
            try exchangeFPU(f.thread, set: f.a == 1, buffer: f.b)
            return 0
        case .enterRestricted:
            return try enterRestricted(f.thread, space: try space(f.a, f, .manage), state: f.b)
        case .deviceMemory, .pmoCreate, .pmoResize, .pmoDecommit, .memoryCopy, .vmSpaceCreate, .map,
            .unmap,
            .protect:
            return try memoryCall(number, f)
        case .notificationCreate, .notificationSignal, .notificationWait, .irqAcknowledge,
            .irqCreate:
            return try notificationCall(number, f)
        case .capabilityMint, .capabilityGrant, .capabilityRevoke, .capabilityDelete,
            .capGroupCreate,
            .capGroupKill, .objectInfo:
            return try capabilityCall(number, f)
        case .connectionCreate, .connectionMemory, .connectionCall, .connectionReceive,
            .connectionReply:
            return try connectionCall(number, f)
        case .checkpoint:
            _ = try find(f.a, in: f.group, .system, .system)
            // The state that is committed is one in which this call has returned.
            f.thread.pointee.context.registers.rax = store.building.value
            mustCheckpoint = true
            return nil
        case .debugWrite:
            _ = try find(f.a, in: f.group, .system, .system)
            try debugWrite(f)
            return 0
        }
    }

    // MARK: Decoding

    private func thread(_ slot: UInt64, _ f: CallFrame, _ rights: Rights) throws(NativeError)
        -> ThreadPointer
    {
        try find(slot, in: f.group, .thread, rights).body.assumingMemoryBound(to: Thread.self)
    }
    private func space(_ slot: UInt64, _ f: CallFrame, _ rights: Rights) throws(NativeError)
        -> VMSpacePointer
    {
        try find(slot, in: f.group, .vmSpace, rights).body.assumingMemoryBound(to: VMSpace.self)
    }
    private func pmo(_ slot: UInt64, _ f: CallFrame, _ rights: Rights) throws(NativeError)
        -> PMOPointer
    {
        try find(slot, in: f.group, .pmo, rights).body.assumingMemoryBound(
            to: PhysicalMemoryObject.self)
    }
    private func group(_ slot: UInt64, _ f: CallFrame, _ rights: Rights) throws(NativeError)
        -> CapGroupPointer
    {
        try find(slot, in: f.group, .capGroup, rights).body.assumingMemoryBound(to: CapGroup.self)
    }
    private func notification(
        _ slot: UInt64, _ f: CallFrame, _ rights: Rights
    ) throws(NativeError) -> NotificationPointer {
        let found = capability(try find(slot, in: f.group))
        let place = header(found.object)
        guard place.pointee.kind == .notification || place.pointee.kind == .irqNotification,
            let body = place.pointee.body
        else { throw .wrongKind }
        guard found.rights.isSuperset(of: rights) else { throw .noRights }
        return body.assumingMemoryBound(to: Notification.self)
    }

    // MARK: Thread and time

    private func clockRead(_ f: CallFrame) throws(NativeError) -> UInt64 {
        switch f.a {
        case 0: return now
        case 1: return machine.wallClockNanoseconds()
        case 2: return store.history.incarnation
        case 3: return store.committed.value
        default: throw .badArgument
        }
    }

    private mutating func threadCreate(_ f: CallFrame) throws(NativeError) -> UInt64 {
        let group = try group(f.a, f, .manage)
        let space = try space(f.b, f, .manage)
        guard f.c < UserAddress.limit.value, f.d < UserAddress.limit.value else {
            throw .badArgument
        }
        // A free slot first: a thread that began only to end would empty a group without another.
        _ = try tableWithRoom(f.group)
        let made = try makeThread(group: group, space: space)
        let slot = try insert(made.pointee.id, rights: .all, into: f.group)
        var registers = Registers()
        registers.rip = f.c
        registers.rsp = f.d
        registers.rdi = f.e
        made.pointee.context.registers = registers
        enqueue(made)
        return UInt64(slot.value)
    }

    private mutating func debugWrite(_ f: CallFrame) throws(NativeError) {
        guard f.c <= 256 else { throw .badArgument }
        var text: InlineArray<256, UInt8> = InlineArray(repeating: 0)
        let length = Int(f.c)
        try withUnsafeMutableBytes(of: &text) { bytes throws(NativeError) in
            try readUser(
                f.space, f.b, into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]))
        }
        for index in 0..<length { machine.debugWrite(text[index]) }
    }

    // MARK: Memory

    private mutating func memoryCall(_ number: NativeCall, _ f: CallFrame) throws(NativeError)
        -> UInt64?
    {
        switch number {
        case .pmoCreate:
            let made = try makePMO(pageCount: f.a)
            return try give(made.pointee.id, to: f)
        case .pmoResize:
            let pmo = try pmo(f.a, f, .manage)
            guard pmo.pointee.kind == .anonymous, f.b > 0, f.b <= PageTree.maximumPages else {
                throw .badArgument
            }
            return try resize(pmo, pages: f.b)
        case .pmoDecommit:
            let pmo = try pmo(f.a, f, .manage)
            guard pmo.pointee.kind == .anonymous, f.b <= PageTree.maximumPages,
                f.c <= PageTree.maximumPages
            else { throw .badArgument }
            return try decommit(pmo, first: f.b, count: f.c)
        case .memoryCopy:
            let to = try place(f.a, f.b, f, .write)
            let from = try place(f.c, f.d, f, .read)
            return try copy(from: from, to: to, length: min(f.e, 256 * 1024))
        case .deviceMemory:
            _ = try find(f.a, in: f.group, .system, .system)
            guard isDevice(f.b, pages: f.c) else { throw .badArgument }
            let made = try makePMO(pageCount: f.c, kind: .device, base: f.b)
            return try give(made.pointee.id, to: f)
        case .vmSpaceCreate:
            let made = try makeSpace()
            return try give(made.pointee.id, to: f)
        case .map: return try mapCall(f)
        case .unmap:
            let space = try space(f.a, f, .manage)
            try clear(space, try checkRange(f.b, f.c))
            return 0
        case .protect:
            let space = try space(f.a, f, .manage)
            let range = try checkRange(f.b, f.c)
            guard f.d < 8 else { throw .badArgument }
            try protect(space, range, Protection(rawValue: UInt8(f.d)))
            return 0
        default: throw .unknownCall
        }
    }

    /// Whether a device PMO may have this place on this machine.
    func isDevice(_ physical: UInt64, pages: UInt64) -> Bool {
        physical % pageSize == 0 && physical < 1 << 46 && pages > 0
            && pages <= PageTree.maximumPages
            && machine.isDeviceMemory(physical, byteCount: pages * pageSize)
    }

    /// Puts a new object into the caller's group. Without a free slot the object goes again.
    private mutating func give(_ id: ObjectID, to f: CallFrame) throws(NativeError) -> UInt64 {
        do throws(NativeError) {
            return UInt64(try insert(id, rights: .all, into: f.group).value)
        } catch {
            retain(id)
            release(id)
            throw error
        }
    }

    private func place(
        _ slot: UInt64, _ offset: UInt64, _ f: CallFrame, _ rights: Rights
    ) throws(NativeError) -> MemoryPlace {
        let found = capability(try find(slot, in: f.group))
        guard found.rights.isSuperset(of: rights) else { throw .noRights }
        guard let body = header(found.object).pointee.body else { throw .noCapability }
        switch header(found.object).pointee.kind {
        case .pmo:
            return .pmo(body.assumingMemoryBound(to: PhysicalMemoryObject.self), offset: offset)
        case .vmSpace: return .space(body.assumingMemoryBound(to: VMSpace.self), address: offset)
        default: throw .wrongKind
        }
    }

    /// map(space, address, length, pmo, offset, protection): the sixth argument is in r9.
    private mutating func mapCall(_ f: CallFrame) throws(NativeError) -> UInt64 {
        let space = try space(f.a, f, .manage)
        let range = try checkRange(f.b, f.c)
        let (body, capability) = try find(f.d, in: f.group, .pmo, [])
        let asked = f.thread.pointee.context.registers.r9
        guard asked < 8, f.e % pageSize == 0, f.e / pageSize <= PageTree.maximumPages else {
            throw .badArgument
        }
        var limit: Protection = []
        if capability.rights.contains(.read) { limit.insert(.read) }
        if capability.rights.contains(.write) { limit.insert(.write) }
        if capability.rights.contains(.execute) { limit.insert(.execute) }
        let protection = Protection(rawValue: UInt8(asked))
        guard limit.isSuperset(of: protection) else { throw .noRights }
        try map(
            space, range, pmo: body.assumingMemoryBound(to: PhysicalMemoryObject.self), offset: f.e,
            protection: protection, limit: limit)
        return 0
    }

    // MARK: Notifications

    private mutating func notificationCall(
        _ number: NativeCall, _ f: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .notificationCreate:
            let made = try makeNotification()
            return try give(made.pointee.id, to: f)
        case .notificationSignal:
            signal(try notification(f.a, f, .write))
            return 0
        case .notificationWait:
            return try takeOrWait(f.thread, try notification(f.a, f, .read), deadline: f.b)
        case .irqAcknowledge:
            let found = try notification(f.a, f, .write)
            if header(found.pointee.id).pointee.kind == .irqNotification {
                machine.unmask(line: found.pointee.line)
            }
            return 0
        case .irqCreate:
            _ = try find(f.a, in: f.group, .system, .system)
            // The outside's line is the console's: after a restore its notification is known by its
            // number.
            guard f.b < 24, f.b != UInt64(Kernel.doorbellLine) else { throw .badArgument }
            let made = try makeIRQNotification(line: UInt8(f.b))
            return try give(made.pointee.id, to: f)
        default: throw .unknownCall
        }
    }

    // MARK: Capabilities

    private mutating func capabilityCall(
        _ number: NativeCall, _ f: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .capabilityMint:
            let ref = try find(f.a, in: f.group)
            let rights = Rights(rawValue: UInt16(truncatingIfNeeded: f.b))
            return UInt64(try derive(ref, rights: rights, badge: f.c, into: f.group).value)
        case .capabilityGrant:
            let target = try group(f.a, f, .manage)
            let ref = try find(f.b, in: f.group)
            let rights = Rights(rawValue: UInt16(truncatingIfNeeded: f.c))
            return UInt64(try derive(ref, rights: rights, badge: 0, into: target).value)
        case .capabilityRevoke:
            revoke(try find(f.a, in: f.group))
            return 0
        case .capabilityDelete:
            delete(try find(f.a, in: f.group))
            return 0
        case .capGroupCreate:
            var name: InlineArray<4, UInt64> = InlineArray(repeating: 0)
            guard f.b < 32 else { throw .badArgument }
            let length = Int(f.b)
            try withUnsafeMutableBytes(of: &name) { bytes throws(NativeError) in
                try readUser(
                    f.space, f.a, into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]))
            }
            let made = try makeGroup()
            made.pointee.name = name
            made.pointee.badge = f.c
            return try give(made.pointee.id, to: f)
        case .capGroupKill:
            killGroup(try group(f.a, f, .manage))
            return f.thread.pointee.state == .dead ? nil : 0
        case .objectInfo: return try objectInfo(f)
        default: throw .unknownCall
        }
    }

    private mutating func objectInfo(_ f: CallFrame) throws(NativeError) -> UInt64 {
        let found = capability(try find(f.a, in: f.group))
        let place = header(found.object)
        var words: InlineArray<4, UInt64> = [
            UInt64(place.pointee.kind.rawValue), UInt64(found.rights.rawValue), found.badge, 0,
        ]
        if let body = place.pointee.body {
            switch place.pointee.kind {
            case .pmo:
                words[3] = body.assumingMemoryBound(to: PhysicalMemoryObject.self).pointee.pageCount
            case .notification, .irqNotification:
                words[3] = body.assumingMemoryBound(to: Notification.self).pointee.count
            default: break
            }
        }
        try withUnsafeBytes(of: &words) { bytes throws(NativeError) in
            try writeUser(f.space, f.b, from: bytes)
        }
        return 0
    }

    // MARK: Connections

    private mutating func connectionCall(
        _ number: NativeCall, _ f: CallFrame
    ) throws(NativeError) -> UInt64? {
        if number == .connectionCreate {
            var memory = ObjectID.none
            var source = CapabilityRef.none
            if f.a != UInt64(UInt32.max) {
                memory = try pmo(f.a, f, [.read, .write, .grant]).pointee.id
                source = try find(f.a, in: f.group)
            }
            return try give(try makeConnection(memory: memory, source: source).pointee.id, to: f)
        }
        let needed: Rights =
            number == .connectionCall ? .call : number == .connectionMemory ? [] : .read
        let (body, capability) = try find(f.a, in: f.group, .connection, needed)
        let connection = body.assumingMemoryBound(to: Connection.self)
        switch number {
        case .connectionMemory:
            guard !capability.rights.isDisjoint(with: [.call, .read]) else { throw .noRights }
            let source = try memorySource(connection)
            return UInt64(
                try derive(source, rights: [.read, .write], badge: 0, into: f.group).value)
        case .connectionCall:
            return try call(f.thread, connection, badge: capability.badge, message: f.b)
        case .connectionReceive:
            return try receive(f.thread, connection, message: f.b, deadline: f.c)
        case .connectionReply: return try reply(f.thread, message: f.b)
        default: throw .unknownCall
        }
    }
}
