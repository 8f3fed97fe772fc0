/// The general registers of a thread, in the order in which the entry code saves them. 20 words,
/// 160 bytes.
public struct Registers: Equatable, Sendable {
    public var rax: UInt64 = 0, rbx: UInt64 = 0, rcx: UInt64 = 0, rdx: UInt64 = 0
    public var rsi: UInt64 = 0, rdi: UInt64 = 0, rbp: UInt64 = 0, rsp: UInt64 = 0
    public var r8: UInt64 = 0, r9: UInt64 = 0, r10: UInt64 = 0, r11: UInt64 = 0
    public var r12: UInt64 = 0, r13: UInt64 = 0, r14: UInt64 = 0, r15: UInt64 = 0
    public var rip: UInt64 = 0, rflags: UInt64 = 0x202
    public var fsBase: UInt64 = 0, gsBase: UInt64 = 0

    @inlinable public init() {}

    /// Bits of `rflags` that a user may set (Intel SDM vol. 1, 3.4.3): status flags, DF, AC, ID.
    public static let userFlags: UInt64 = 0x0024_0CD5
    /// Bits that are always set in user mode: reserved bit 1 and IF.
    public static let fixedFlags: UInt64 = 0x202

    /// The same registers with nothing in them that user mode may not have: a checked `rflags`, and
    /// addresses below the user limit, so that loading them can never fault in the kernel.
    @inlinable public var sanitized: Registers {
        var copy = self
        copy.rflags = rflags & Registers.userFlags | Registers.fixedFlags
        if rip >= UserAddress.limit.value { copy.rip = 0 }
        if fsBase >= UserAddress.limit.value { copy.fsBase = 0 }
        if gsBase >= UserAddress.limit.value { copy.gsBase = 0 }
        return copy
    }
}

/// What `enterRestricted` takes from and gives back to the server's memory. 24 words, 192 bytes.
public struct RestrictedState: Equatable, Sendable {
    public var registers = Registers()
    /// Why restricted mode ended: a `RestrictedExit`.
    public var reason: UInt64 = 0
    /// Exception vector (Intel SDM vol. 3, 6.3.1); 14 for a page fault.
    public var vector: UInt64 = 0
    /// The processor's error code for the exception.
    public var errorCode: UInt64 = 0
    /// The faulting address, for a page fault.
    public var faultAddress: UInt64 = 0

    @inlinable public init() {}
    public static let byteCount: UInt64 = 192
}

/// Why restricted mode ended.
public enum RestrictedExit: UInt64, Sendable {
    /// The guest executed `syscall`; its number is in `rax`, `rip` is behind the instruction.
    case systemCall = 0
    /// The guest touched an address with no mapping, or against its protection.
    case pageFault = 1
    /// Any other exception.
    case exception = 2
    /// Another thread called `threadKick`.
    case kicked = 3
}

/// Byte offsets for the assembly, checked against the compiler's layout by a test and at boot.
public enum RegisterOffset {
    public static let rip = 128, rflags = 136, fsBase = 144, gsBase = 152
}
