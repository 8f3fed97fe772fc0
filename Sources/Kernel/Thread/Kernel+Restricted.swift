import ABI
import Machine
import Store

/// Restricted mode (Docs/decisions/0004-restricted-mode.md): a server's thread lends its processor
/// state to a guest program.
extension Kernel {
    /// Reads a guest's registers from the server's memory and runs them. The server's own wait in
    /// the thread.
    mutating func enterRestricted(
        _ thread: ThreadPointer, space: VMSpacePointer, state: UserAddress
    ) throws(NativeError) -> UInt64? {
        var guest = RestrictedState()
        try withUnsafeMutableBytes(of: &guest) { bytes throws(NativeError) in
            try readUser(thread.pointee.space, state, into: bytes)
        }
        if thread.pointee.kickPending {
            thread.pointee.kickPending = false
            return RestrictedExit.kicked.rawValue
        }
        try ensureTranslation(space)
        assert(!thread.pointee.isRestricted, "a guest enters restricted mode")
        retain(space.pointee.id)
        thread.pointee.serverRegisters = thread.pointee.context.registers
        thread.pointee.context.registers = guest.registers.sanitized
        thread.pointee.restrictedSpace = space
        thread.pointee.restrictedState = state
        return nil
    }

    /// Gives the guest's registers and the reason back to the server, and lets the server's call
    /// return.
    mutating func leaveRestricted(
        _ thread: ThreadPointer, _ reason: RestrictedExit, vector: UInt64 = 0,
        errorCode: UInt64 = 0,
        address: UserAddress = UserAddress(0)
    ) {
        guard let space = thread.pointee.restrictedSpace else { return }
        var guest = RestrictedState()
        guest.registers = thread.pointee.context.registers
        guest.reason = reason.rawValue
        guest.vector = vector
        guest.errorCode = errorCode
        guest.faultAddress = address.value
        let server = thread.pointee.space
        let target = thread.pointee.restrictedState
        thread.pointee.context.registers = thread.pointee.serverRegisters
        thread.pointee.context.registers.rax = reason.rawValue
        thread.pointee.restrictedSpace = nil
        release(space.pointee.id)
        do throws(NativeError) {
            try withUnsafeBytes(of: &guest) { bytes throws(NativeError) in
                try writeUser(server, target, from: bytes)
            }
        } catch {
            thread.pointee.context.registers.rax = encode(error)
        }
    }

    /// Ends a thread's restricted mode, or its next entry of it. A thread that runs elsewhere is
    /// only marked: its own core may be on its way in with an event, and deals with the kick after
    /// that (`prepare`).
    mutating func kick(_ thread: ThreadPointer) {
        thread.pointee.kickPending = true
        markDirty(thread.pointee.id)
        let core = thread.pointee.core
        if thread.pointee.isRestricted && core >= 0 && core != currentCore {
            machine.interruptCore(core)
        }
    }

    /// Copies the caller's floating-point state to or from its memory.
    mutating func exchangeFPU(_ thread: ThreadPointer, set: Bool, buffer: UserAddress)
        throws(NativeError)
    {
        let context = context(of: thread)
        var state = FPUState()
        if set {
            try withUnsafeMutableBytes(of: &state) { bytes throws(NativeError) in
                try readUser(thread.pointee.space, buffer, into: bytes)
            }
            state.sanitize()
            context.pointee.fpu = state
            machine.loadFloatingPoint(context)
        } else {
            machine.saveFloatingPoint(context)
            state = context.pointee.fpu
            try withUnsafeBytes(of: &state) { bytes throws(NativeError) in
                try writeUser(thread.pointee.space, buffer, from: bytes)
            }
        }
    }
}
