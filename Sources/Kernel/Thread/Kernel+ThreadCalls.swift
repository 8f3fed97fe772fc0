import ABI
import Machine
import Store

/// Native calls on threads and time, decoded.
extension Kernel {
    mutating func threadCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .yield:
            frame.thread.pointee.context.registers.rax = 0
            yieldCurrent(core: frame.core)
            return nil
        case .clockRead: return try readClock(frame.word(0))
        case .threadCreate:
            let group: CapGroupPointer = try object(frame.slot(0), of: frame, .manage)
            let space: VMSpacePointer = try object(frame.slot(1), of: frame, .manage)
            let start = ThreadStart(
                entry: frame.address(2), stack: frame.address(3), argument: frame.word(4))
            return try startThread(start, in: group, space, for: frame)
        case .threadExit:
            endThread(frame.thread)
            return nil
        case .threadKick:
            kick(try object(frame.slot(0), of: frame, .write))
            return 0
        case .threadFPU:
            guard frame.word(0) < 2 else { throw .badArgument }
            try exchangeFPU(frame.thread, set: frame.word(0) == 1, buffer: frame.address(1))
            return 0
        case .enterRestricted:
            let space: VMSpacePointer = try object(frame.slot(0), of: frame, .manage)
            return try enterRestricted(frame.thread, space: space, state: frame.address(1))
        default: throw .unknownCall
        }
    }

    private func readClock(_ which: UInt64) throws(NativeError) -> UInt64 {
        switch which {
        case 0: return now
        case 1: return machine.wallClockNanoseconds()
        case 2: return store.history.incarnation
        case 3: return store.committed.value
        default: throw .badArgument
        }
    }

    private struct ThreadStart {
        let entry: UserAddress
        let stack: UserAddress
        let argument: UInt64
    }

    private mutating func startThread(
        _ start: ThreadStart, in group: CapGroupPointer, _ space: VMSpacePointer,
        for frame: CallFrame
    ) throws(NativeError) -> UInt64 {
        guard start.entry < UserAddress.limit, start.stack < UserAddress.limit else {
            throw .badArgument
        }
        // A free slot first: a thread that began only to end would empty a group without another.
        _ = try tableWithRoom(frame.group)
        let made = try makeThread(group: group, space: space)
        let slot = try insert(made.pointee.id, rights: .all, into: frame.group)
        var registers = Registers()
        registers.rip = start.entry.value
        registers.rsp = start.stack.value
        registers.rdi = start.argument
        made.pointee.context.registers = registers
        enqueue(made)
        return UInt64(slot.value)
    }
}
