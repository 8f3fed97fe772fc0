import ABI
import Machine
import Store

/// The native system calls: which room a call belongs to. Each room decodes its own
/// (`Kernel+…Calls`), apart from what they do.
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
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .null: return 0
        case .yield, .clockRead, .threadCreate, .threadExit, .threadKick, .threadFPU,
            .enterRestricted:
            return try threadCall(number, frame)
        case .deviceMemory, .ringCreate, .pmoCreate, .pmoOfImage, .pmoResize, .pmoDecommit,
            .memoryCopy:
            return try memoryCall(number, frame)
        case .vmSpaceCreate, .map, .unmap, .protect: return try spaceCall(number, frame)
        case .notificationCreate, .notificationSignal, .notificationWait, .irqAcknowledge,
            .irqCreate:
            return try notificationCall(number, frame)
        case .capabilityMint, .capabilityGrant, .capabilityRevoke, .capabilityDelete,
            .capGroupCreate, .capGroupKill, .objectInfo:
            return try capabilityCall(number, frame)
        case .connectionCreate, .connectionMemory, .connectionCall, .connectionReceive,
            .connectionReply:
            return try connectionCall(number, frame)
        case .checkpoint, .debugWrite: return try systemCall(number, frame)
        }
    }

    private mutating func systemCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        try requireSystem(frame.slot(0), of: frame)
        if number == .debugWrite {
            try debugWrite(frame.address(1), byteCount: frame.word(2), in: frame.space)
            return 0
        }
        // The state that is committed is one in which this call has returned.
        frame.thread.pointee.context.registers.rax = store.building.value
        mustCheckpoint = true
        return nil
    }

    /// Text at once to the debug port, at most 256 bytes.
    private mutating func debugWrite(
        _ address: UserAddress, byteCount: UInt64, in space: VMSpacePointer
    ) throws(NativeError) {
        guard byteCount <= 256 else { throw .badArgument }
        var text: InlineArray<256, UInt8> = InlineArray(repeating: 0)
        let length = Int(byteCount)
        try withUnsafeMutableBytes(of: &text) { bytes throws(NativeError) in
            try readUser(
                space, address, into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]))
        }
        for index in 0..<length { machine.debugWrite(text[index]) }
    }

    // MARK: What calls have in common

    /// The object that a slot of the caller names.
    func object<Body: KernelObject>(
        _ slot: Slot, of frame: CallFrame, _ rights: Rights
    ) throws(NativeError) -> UnsafeMutablePointer<Body> {
        try find(slot, in: frame.group, as: Body.self, rights).body
    }

    func requireSystem(_ slot: Slot, of frame: CallFrame) throws(NativeError) {
        _ = try find(slot, in: frame.group, as: SystemAuthority.self, .system)
    }

    /// Puts a new object into the caller's group. Without a free slot the object goes again.
    mutating func give(_ id: ObjectID, to frame: CallFrame) throws(NativeError) -> UInt64 {
        do throws(NativeError) {
            return UInt64(try insert(id, rights: .all, into: frame.group).value)
        } catch {
            retain(id)
            release(id)
            throw error
        }
    }
}
