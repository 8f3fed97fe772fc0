import ABI

/// sigaltstack(2).
struct AlternateStack {
    static let disabled: UInt32 = 2
    static let minimumSize: UInt64 = 2048
    var start: UInt64 = 0
    var size: UInt64 = 0
    var flags: UInt32 = AlternateStack.disabled

    func contains(_ address: UInt64) -> Bool {
        flags & AlternateStack.disabled == 0 && address > start && address &- start <= size
    }
}

/// The frame that a handler finds on its stack, as Linux lays it out (arch/x86 struct rt_sigframe):
/// return address, ucontext (304 bytes), siginfo (128 bytes); the FXSAVE area above, 64-byte
/// aligned.
enum SignalFrame {
    static let contextOffset: UInt64 = 8
    static let informationOffset: UInt64 = 8 + 304
    static let byteCount: UInt64 = 8 + 304 + 128
    /// In ucontext: registers at 40, signal mask at 296.
    static let registersOffset = 40
    static let maskOffset = 296
    static let contextBytes = 304
    static let userCodeSegment: UInt16 = 0x33
    static let userStackSegment: UInt16 = 0x2B
    /// uc_flags: UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
    static let contextFlags: UInt64 = 6

    static func context(
        _ r: Registers, stack: AlternateStack, mask: UInt64, fpuAddress: UInt64,
        fault: (code: UInt64, address: UInt64)
    ) -> Bytes {
        var writer = ByteWriter(capacity: contextBytes)
        writer.put64(contextFlags)
        writer.put64(UInt64(0))
        writer.put64(stack.start)
        writer.put64(UInt64(stack.flags))
        writer.put64(stack.size)
        let words = [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx,
            r.rax, r.rcx,
            r.rsp, r.rip, r.rflags,
        ]
        for word in words { writer.put64(word) }
        writer.put16(userCodeSegment)
        writer.put16(0)
        writer.put16(0)
        writer.put16(userStackSegment)
        writer.put64(fault.code)
        writer.put64(UInt64(fault.address == 0 ? 0 : 14))
        writer.put64(mask)
        writer.put64(fault.address)
        writer.put64(fpuAddress)
        writer.zeros(64)
        writer.put64(mask)
        return writer.bytes
    }

    /// The registers that sigreturn takes back; flags are checked by the kernel when they are
    /// loaded.
    static func registers(from context: Bytes, over old: Registers) -> Registers {
        var r = old
        let at = registersOffset
        r.r8 = context.load64(at)
        r.r9 = context.load64(at + 8)
        r.r10 = context.load64(at + 16)
        r.r11 = context.load64(at + 24)
        r.r12 = context.load64(at + 32)
        r.r13 = context.load64(at + 40)
        r.r14 = context.load64(at + 48)
        r.r15 = context.load64(at + 56)
        r.rdi = context.load64(at + 64)
        r.rsi = context.load64(at + 72)
        r.rbp = context.load64(at + 80)
        r.rbx = context.load64(at + 88)
        r.rdx = context.load64(at + 96)
        r.rax = context.load64(at + 104)
        r.rcx = context.load64(at + 112)
        r.rsp = context.load64(at + 120)
        r.rip = context.load64(at + 128)
        r.rflags = context.load64(at + 136)
        return r
    }
}

extension GuestThread {
    /// Makes the guest's next instruction the first of its handler.
    func pushFrame(_ info: SignalInfo, _ action: SignalAction) throws(Errno) {
        guard action.flags & SignalAction.hasRestorer != 0 else { throw .EFAULT }
        let old = registers
        var top = old.rsp &- 128
        let isOnStack = alternateStack.contains(old.rsp)
        if action.flags & SignalAction.onStack != 0,
            alternateStack.flags & AlternateStack.disabled == 0, !isOnStack
        {
            top = alternateStack.start &+ alternateStack.size
        }
        let fpu = (top &- UInt64(FloatingPoint.byteCount)) & ~63
        let frame = ((fpu &- SignalFrame.byteCount) & ~15) &- 8
        var fault: (code: UInt64, address: UInt64) = (0, 0)
        if case .fault(let address) = info.details, let worker {
            fault = (worker.state.pointee.errorCode, address)
        }
        var writer = ByteWriter(capacity: Int(SignalFrame.byteCount))
        writer.put64(action.restorer)
        writer.put(
            SignalFrame.context(
                old, stack: alternateStack, mask: savedMask ?? blocked, fpuAddress: fpu,
                fault: fault))
        writer.put(info.bytes)
        try memory.write(FloatingPoint.save().bytes, to: fpu)
        try memory.write(writer.bytes, to: frame)

        var new = old
        new.rsp = frame
        new.rip = action.handler
        new.rdi = UInt64(UInt32(bitPattern: info.signal.number))
        new.rsi = frame &+ SignalFrame.informationOffset
        new.rdx = frame &+ SignalFrame.contextOffset
        new.rax = 0
        new.rflags &= ~0x500  // direction and trap flags
        registers = new
    }

    /// rt_sigreturn(2): everything goes back to where the signal came. The value is the interrupted
    /// rax.
    func returnFromSignal() throws(Errno) -> Int64 {
        let context = registers.rsp
        do throws(Errno) {
            let bytes = try memory.read(context, count: SignalFrame.contextBytes)
            let restored = SignalFrame.registers(from: bytes, over: registers)
            blocked = bytes.load64(SignalFrame.maskOffset) & ~Signal.unblockable
            let fpu = bytes.load64(SignalFrame.registersOffset + 184)
            if fpu != 0 {
                FloatingPoint(try memory.read(fpu, count: FloatingPoint.byteCount)).load()
            }
            registers = restored
            return Int64(bitPattern: restored.rax)
        } catch {
            force(SignalInfo(signal: .segmentation, code: 0x80, details: .none))
            return 0
        }
    }
}
