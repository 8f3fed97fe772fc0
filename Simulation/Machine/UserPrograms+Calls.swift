import ABI
import Machine
import Store

/// A word of user memory that an instruction needs and cannot get without a fault.
struct Missing: Error {
    var address: UInt64
    var isWrite = false
}

/// What an instruction is, before it touches anything.
enum Plan: Equatable {
    case call(NativeCall)
    case touchStack, touchShared, output, input, floatingPoint, prepareGuest, skip
}

extension UserProgram {
    private static let firstPlans: [Plan] =
        [
            .output, .output, .output, .output, .input, .input, .touchStack, .touchStack,
            .floatingPoint,
        ]
        + [
            .null, .yield, .yield, .yield, .clockRead, .pmoCreate, .pmoOfImage, .pmoResize,
            .pmoDecommit,
            .memoryCopy, .memoryCopy, .vmSpaceCreate,
            .capabilityRevoke, .capabilityRevoke, .map, .map, .unmap, .protect, .notificationCreate,
            .notificationSignal, .notificationSignal,
            .notificationWait, .capabilityMint, .capabilityGrant, .capabilityRevoke,
            .capabilityDelete,
            .capabilityDelete, .capabilityMint, .capGroupCreate, .capGroupKill, .objectInfo,
            .connectionCreate, .connectionReceive, .connectionReply,
            .connectionMemory, .threadKick, .checkpoint, .threadFPU, .threadCreate, .irqAcknowledge,
        ].map(Plan.call)
    private static let otherPlans: [Plan] =
        [
            .touchStack, .touchStack, .touchShared, .touchShared, .touchShared, .touchShared,
            .floatingPoint,
        ]
        + [.prepareGuest, .prepareGuest]
        + [
            .enterRestricted, .enterRestricted, .enterRestricted, .enterRestricted, .null, .yield,
            .pmoCreate,
            .capabilityMint, .capabilityMint, .capabilityMint, .pmoDecommit, .pmoResize,
            .memoryCopy, .memoryCopy,
            .map, .protect, .notificationSignal, .notificationSignal, .notificationWait,
            .notificationWait,
            .notificationWait, .notificationWait, .capabilityMint, .capabilityGrant,
            .capabilityRevoke,
            .capabilityDelete, .objectInfo, .connectionCall, .connectionCall, .connectionReceive,
            .connectionReply,
            .connectionReply, .connectionMemory, .threadCreate, .threadExit, .clockRead, .threadFPU,
            .checkpoint,
        ].map(Plan.call)
    /// The first program makes another: group, space, stack, shared memory, connection,
    /// notification, thread.
    private static let spawn: [NativeCall] = [
        .capGroupCreate, .vmSpaceCreate, .pmoCreate, .map, .pmoCreate, .map, .capabilityGrant,
        .capabilityGrant,
        .capabilityGrant, .connectionCreate, .capabilityGrant, .notificationCreate,
        .capabilityGrant, .threadCreate,
        .capabilityMint, .capabilityMint, .capabilityGrant, .capabilityRevoke,
        .capabilityDelete, .capabilityDelete, .capabilityDelete,
    ]
    static let blockLength: UInt64 = 40

    /// Step of the making of another program that an instruction is, if it is one, and which
    /// program.
    private func spawnStep(_ number: UInt64) -> (step: Int, program: UInt64)? {
        let index = number / 2
        if role != .first || index < 2 { return nil }
        let (block, step) = (index - 2).quotientAndRemainder(dividingBy: Self.blockLength)
        return step < UInt64(Self.spawn.count) ? (Int(step), block) : nil
    }

    func plan(_ number: UInt64, _ h: UInt64) -> Plan {
        if role == .first {
            if number / 2 < 2 { return .call(.map) }
            if let spawn = spawnStep(number) { return .call(Self.spawn[spawn.step]) }
            return Self.firstPlans[Int(h % UInt64(Self.firstPlans.count))]
        }
        return Self.otherPlans[Int(h % UInt64(Self.otherPlans.count))]
    }

    func plannedCall(_ number: UInt64, _ h: UInt64) -> NativeCall? {
        if case .call(let call) = plan(number, h) { return call }
        return nil
    }

    /// Which of a kind's eight places a new slot goes to.
    func placeFor(_ number: UInt64, _ h: UInt64) -> UInt64 {
        guard let spawn = spawnStep(number) else { return h >> 24 }
        switch spawn.step {
        case 4: return spawn.program + 1
        case 14: return spawn.program + 3
        case 15: return spawn.program + 4
        default: return spawn.program
        }
    }

    /// The kind of object that the call at a number returns a slot of.
    func madeKind(_ number: UInt64, _ h: UInt64) -> ObjectKind? {
        guard let call = plannedCall(number, h) else { return nil }
        return call == .capabilityMint && spawnStep(number) != nil ? .pmo : Self.made(by: call, h)
    }

    func first(_ h: UInt64) -> Outcome { run(h) }
    func other(_ h: UInt64) -> Outcome { run(h) }

    private func run(_ h: UInt64) -> Outcome {
        do throws(Missing) {
            switch plan(number, h) {
            case .call(let call):
                if number / 2 < 2 && role == .first { return mapRing() }
                if let spawn = spawnStep(number) {
                    return try self.spawn(spawn.step, spawn.program, h)
                }
                return try perform(call, h)
            case .touchStack: return touch(stack + 0xA00 + h >> 32 % 0x500 / 8 * 8, h >> 8)
            case .touchShared: return touch(shared(h >> 32), h >> 8)
            case .output: return try output(h)
            case .input: return try input()
            case .floatingPoint:
                hardware.cores[core].fpu.words[8 + Int(h >> 32 % 16)] = h
                return .done
            case .prepareGuest: return prepareGuest(h)
            case .skip: return .done
            }
        } catch { return fault(error.address, isWrite: error.isWrite) }
    }

    /// A guest reads, writes, calls, and sometimes does what it may not.
    func guest(_ h: UInt64) -> Outcome {
        switch h % 16 {
        case 0...10: return touch(shared(h >> 32), h >> 8)
        case 11, 12:
            hardware.cores[core].fpu.words[8 + Int(h >> 32 % 16)] = h
            return .done
        case 13: return .event(.exception(vector: 6, errorCode: 0))
        default:
            context.pointee.registers.rax = h & 0xFFFF
            return .event(.systemCall)
        }
    }

    private func shared(_ h: UInt64) -> UInt64 {
        Self.sharedBase + h % 8 * pageSize + h >> 8 % 4 * 8 + h >> 16 % 2 * 2_048
    }

    private func mapRing() -> Outcome {
        number == 0
            ? call(
                .map, 1, Self.outputBase, UInt64(StoreLayout.outputRingFrames) * pageSize, 4, 0, 3)
            : call(.map, 1, Self.inputBase, UInt64(StoreLayout.inputRingFrames) * pageSize, 5, 0, 3)
    }

    private func need(_ address: UInt64) throws(Missing) -> UInt64 {
        guard let value = load(address) else { throw Missing(address: address) }
        return value
    }

    private func need(_ kind: ObjectKind, _ h: UInt64) throws(Missing) -> UInt64 {
        guard let value = slot(kind, h) else { throw Missing(address: tablePlace(kind, h)) }
        return value
    }

    private func spawn(_ step: Int, _ program: UInt64, _ h: UInt64) throws(Missing) -> Outcome {
        func kept(_ kind: ObjectKind, _ index: UInt64) throws(Missing) -> UInt64 {
            try need(tablePlace(kind, index))
        }
        let group = try kept(.capGroup, program)
        let space = try kept(.vmSpace, program)
        let shared = try kept(.pmo, program + 1)
        // Without a group of its own a program would run in the first one's, and end everything
        // with its fault.
        if step > 0 && group == 0 { return .done }
        let rights = h >> 40 & 3 == 0 ? h >> 8 & 0x7F : 0x7F
        // What could not be made is not passed on: its slot reads as 0, the first program's own
        // group.
        func give(_ slot: UInt64, _ rights: UInt64) -> Outcome {
            slot < 9 ? .done : call(.capabilityGrant, group, slot, rights)
        }
        switch step {
        case 0: return call(.capGroupCreate, stack + 0x700, 4, program + 1)
        case 1: return call(.vmSpaceCreate)
        case 2: return call(.pmoCreate, 4)
        case 3:
            return call(.map, space, Self.otherStack, 4 * pageSize, try kept(.pmo, program), 0, 3)
        case 4: return call(.pmoCreate, 8)
        case 5: return call(.map, space, Self.sharedBase, 8 * pageSize, shared, 0, 3)
        case 6: return give(group, rights)
        case 7: return give(space, rights | 0x18)
        case 8: return give(shared, rights)
        case 9: return call(.connectionCreate, h >> 16 & 1 == 0 ? shared : UInt64(UInt32.max))
        case 10: return give(try kept(.connection, program & ~1), rights | 0x21)
        case 11: return call(.notificationCreate)
        // All programs wait for the same few notifications.
        case 12: return give(try kept(.notification, program & ~3), rights)
        case 13:
            return call(.threadCreate, group, space, Self.otherEntry, Self.otherStack + 0x3FF0, h)
        // The shared memory is passed on twice, and then perhaps taken back from all who got it so.
        case 14: return shared < 9 ? .done : call(.capabilityMint, shared, 0x7F)
        case 15:
            let first = try kept(.pmo, program + 3)
            return first < 9 ? .done : call(.capabilityMint, first, rights | 0x10, 3)
        case 16: return give(try kept(.pmo, program + 4), rights)
        case 17:
            let slot = h >> 50 & 1 == 0 ? shared : try kept(.pmo, program + 3)
            return slot < 9 || h >> 51 & 1 == 0 ? .done : call(.capabilityRevoke, slot)
        // Half of the programs are let go: when their thread ends, all that they had goes.
        default:
            let kept = [space, try kept(.pmo, program), shared][step - 18]
            return program & 1 == 0 || kept < 9 ? .done : call(.capabilityDelete, kept)
        }
    }

    // MARK: Rings

    private func output(_ h: UInt64) throws(Missing) -> Outcome {
        let local = try need(Self.outputBase + Ring.localOffset)
        let remote = try need(Self.outputBase + Ring.remoteOffset)
        if local - remote + 8 > OutsideWorld.outputCapacity { return .done }
        let place = Self.outputBase + Ring.dataOffset + local % OutsideWorld.outputCapacity
        if !store(context.pointee.registers.r14 + 1, at: place) {
            throw Missing(address: place, isWrite: true)
        }
        if !store(local + 8, at: Self.outputBase + Ring.localOffset) {
            throw Missing(address: Self.outputBase + Ring.localOffset, isWrite: true)
        }
        context.pointee.registers.r14 += 1
        return .done
    }

    private func input() throws(Missing) -> Outcome {
        let local = try need(Self.inputBase + Ring.localOffset)
        if local >= (try need(Self.inputBase + Ring.remoteOffset)) { return .done }
        let value = try need(Self.inputBase + Ring.dataOffset + local % OutsideWorld.inputCapacity)
        if !store(local + 8, at: Self.inputBase + Ring.localOffset) {
            throw Missing(address: Self.inputBase + Ring.localOffset, isWrite: true)
        }
        if value != context.pointee.registers.r13 + 1 {
            return .wrong(
                "input word \(value) came instead of \(context.pointee.registers.r13 + 1)")
        }
        context.pointee.registers.r13 += 1
        return .done
    }

    /// Writes the registers of a new guest where `enterRestricted` takes them from.
    private func prepareGuest(_ h: UInt64) -> Outcome {
        let base = stack + Self.stateOffset
        let words: [(Int, UInt64)] = [
            (12, h), (3, h >> 3), (16, Self.guestEntry + h >> 16 % 64 * 2), (17, 0x202),
        ]
        for (word, value) in words where !store(value, at: base + UInt64(word) * 8) {
            return fault(base + UInt64(word) * 8, isWrite: true)
        }
        return .done
    }

    // MARK: Calls with arguments that mostly make sense

    private func perform(_ number: NativeCall, _ h: UInt64) throws(Missing) -> Outcome {
        let (x, y, z) = (h >> 12, h >> 28, h >> 44)
        let message = stack + Self.messageOffset
        let address = Self.sharedBase + x % 8 * pageSize
        switch number {
        case .null, .yield, .vmSpaceCreate, .notificationCreate, .threadExit: return call(number)
        case .clockRead: return call(number, x % 5)
        case .threadCreate:
            return call(
                number, try need(.capGroup, x), try need(.vmSpace, y), Self.otherEntry,
                Self.otherStack + 0x3000, h)
        case .threadKick: return call(number, try need(.thread, x))
        case .threadFPU: return call(number, x % 2, stack + 0xC00)
        case .enterRestricted: return call(number, try need(.vmSpace, x), stack + Self.stateOffset)
        case .pmoCreate:
            return call(number, 1 + x % (hardware.faults.contains(.fullStore) ? 300 : 12))
        case .pmoOfImage: return call(number, UInt64(RootSlot.image.value), x % 8, 1 + y % 8)
        case .pmoResize: return call(number, try need(.pmo, x), 1 + y % 16)
        case .pmoDecommit: return call(number, try need(.pmo, x), y % 8, 1 + z % 8)
        case .memoryCopy: return try copy(x, y, z)
        case .map:
            return call(
                number, try need(.vmSpace, x), address, (1 + y % 4) * pageSize, try need(.pmo, z),
                y % 4 * pageSize,
                h >> 50 % 8)
        case .unmap: return call(number, try need(.vmSpace, x), address, (1 + y % 2) * pageSize)
        case .protect:
            return call(number, try need(.vmSpace, x), address, (1 + y % 4) * pageSize, z % 8)
        case .notificationSignal, .irqAcknowledge: return call(number, try need(.notification, x))
        case .notificationWait: return call(number, try need(.notification, x), deadline(y))
        case .capabilityMint: return call(number, try need(Self.someKind(y), x), z & 0x7F, z % 3)
        case .capabilityGrant:
            return call(number, try need(.capGroup, x), try need(Self.someKind(y), y), z & 0x7F)
        case .capabilityRevoke: return call(number, try need(Self.someKind(y), x))
        case .capabilityDelete, .capGroupKill:
            // Never what every program has: the first one must live.
            let kind: ObjectKind = number == .capGroupKill ? .capGroup : Self.someKind(y)
            let slot = try need(tablePlace(kind, x))
            return slot < RootSlot.firstFree ? .done : call(number, slot)
        case .capGroupCreate: return call(number, stack + 0x700, x % 32, y)
        case .objectInfo: return call(number, try need(Self.someKind(y), x), stack + 0xD00)
        case .connectionCreate:
            return call(number, y & 1 == 0 ? UInt64(UInt32.max) : try need(.pmo, x))
        case .connectionMemory: return call(number, try need(.connection, x))
        case .connectionCall, .connectionReply:
            let count = z % 4 == 0 ? 1 + z >> 2 % 2 : 0
            // The first program does not give its own group away: a thread of that group may not
            // fail.
            let any = role == .first ? UInt64(RootSlot.firstFree) + z % 54 : z & 63
            for (offset, value) in [
                (0, h), (64, count), (72, try need(Self.someKind(y), x)), (80, any),
            ] {
                if !store(value, at: message + UInt64(offset)) {
                    throw Missing(address: message + UInt64(offset), isWrite: true)
                }
            }
            return call(number, try need(.connection, x), message)
        case .connectionReceive: return call(number, try need(.connection, x), message, deadline(y))
        case .checkpoint: return call(number, 7)
        default: return call(number, x, y, z)
        }
    }

    static func someKind(_ h: UInt64) -> ObjectKind {
        let kinds: [ObjectKind] = [
            .pmo, .pmo, .pmo, .notification, .connection, .vmSpace, .capGroup, .thread,
        ]
        return kinds[Int(h >> 5 % 8)]
    }

    /// Soon, not at all, or (never for the first program) never.
    private func deadline(_ h: UInt64) -> UInt64 {
        if h % 4 == 0 && role != .first { return .max }
        return h % 4 == 1 ? 0 : hardware.time + h % 50_000
    }

    private func copy(_ x: UInt64, _ y: UInt64, _ z: UInt64) throws(Missing) -> Outcome {
        var length = z & 1 == 0 ? pageSize * (1 + z >> 1 % 3) : 8 + z >> 1 % 5_000
        if hardware.faults.contains(.fullStore) { length = 60 * pageSize + 8 }
        let to = x & 16 == 0 ? try need(.pmo, x) : try need(.vmSpace, x)
        let from = y & 16 == 0 ? try need(.pmo, y) : try need(.vmSpace, y)
        let toOffset =
            (x & 16 == 0 ? 0 : Self.sharedBase) + x >> 6 % 8 * pageSize + (x & 32 == 0 ? 0 : 104)
        let fromOffset =
            (y & 16 == 0 ? 0 : Self.sharedBase) + y >> 6 % 8 * pageSize + (y & 32 == 0 ? 0 : 55)
        return call(.memoryCopy, to, toOffset, from, fromOffset, length)
    }
}
