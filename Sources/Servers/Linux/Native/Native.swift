import ABI
import CLinuxServer

/// The server's native calls, typed. Errors become the Linux error that a guest would see.
enum Native {
    static let ownSpace = RootSlot.vmSpace.value
    static let forever = UInt64.max

    @inline(__always)
    static func call(
        _ number: NativeCall, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0,
        _ e: UInt64 = 0,
        _ f: UInt64 = 0
    ) -> Int64 {
        evertree_native_call(number.rawValue, a, b, c, d, e, f)
    }

    /// The Linux error for a negative native result.
    static func errno(_ result: Int64) -> Errno {
        switch NativeError(rawValue: 0 &- result) {
        case .badAddress, .notMapped: .EFAULT
        case .noMemory: .ENOMEM
        case .timedOut: .ETIMEDOUT
        case .again: .EAGAIN
        case .noRights: .EPERM
        default: .EINVAL
        }
    }

    static func check(_ result: Int64) throws(Errno) {
        if result < 0 { throw errno(result) }
    }

    static func slot(_ result: Int64) throws(Errno) -> Slot {
        if result < 0 { throw errno(result) }
        return Slot(UInt32(truncatingIfNeeded: result))
    }

    // MARK: Time

    /// Nanoseconds of the clock that goes on where it stopped after a restore.
    static func monotonic() -> UInt64 { UInt64(bitPattern: call(.clockRead, 0)) }
    /// Nanoseconds since 1970.
    static func wallClock() -> UInt64 { UInt64(bitPattern: call(.clockRead, 1)) }
    static func restoreCount() -> UInt64 { UInt64(bitPattern: call(.clockRead, 2)) }

    /// Returns when a version is committed that holds everything up to this call.
    static func checkpoint() { _ = call(.checkpoint, UInt64(RootSlot.system.value)) }

    // MARK: Memory

    /// Copies as much as can be copied; the number of bytes, which is `length` unless an address is
    /// bad.
    static func copy(to: MemoryReference, from: MemoryReference, length: UInt64) -> UInt64 {
        var done: UInt64 = 0
        while done < length {
            let moved = call(
                .memoryCopy, UInt64(to.slot), to.address &+ done, UInt64(from.slot),
                from.address &+ done,
                min(length &- done, 256 * 1024))
            if moved <= 0 { break }
            done = done &+ UInt64(moved)
        }
        return done
    }

    static func delete(_ slot: Slot) { _ = call(.capabilityDelete, UInt64(slot.value)) }

    static func map(
        space: Slot, address: UInt64, length: UInt64, pmo: Slot, offset: UInt64,
        protection: Protection
    ) throws(Errno) {
        try check(
            call(
                .map, UInt64(space.value), address, length, UInt64(pmo.value), offset,
                UInt64(protection.rawValue)))
    }

    // MARK: Threads

    static func signal(_ notification: Slot) {
        _ = call(.notificationSignal, UInt64(notification.value))
    }

    /// False when the deadline (monotonic nanoseconds) passed first.
    static func wait(_ notification: Slot, deadline: UInt64) -> Bool {
        call(.notificationWait, UInt64(notification.value), deadline) == 0
    }
}

extension MemoryReference {
    /// Memory of the server itself.
    init(_ pointer: UnsafeRawPointer) {
        self.init(slot: Native.ownSpace, address: UInt64(UInt(bitPattern: pointer)))
    }
    func advanced(by count: UInt64) -> MemoryReference {
        MemoryReference(slot: slot, address: address &+ count)
    }
}
