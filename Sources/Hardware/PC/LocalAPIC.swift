import CMachinePC

/// The interrupt vectors in use. Exceptions are 0–31; the old interrupt controller, always masked,
/// is at 32–47.
enum Vector {
    static let pageFault: UInt64 = 14
    static let systemCall = UInt64(PC_VECTOR_SYSCALL)
    static let legacyBase: UInt8 = 0x20
    static let timer: UInt64 = 0x40
    static let interrupt: UInt64 = 0x41
    static let deviceBase: UInt64 = 0x50
    /// Of the highest class, which alone gets through to a core in `CoreWait`.
    static let wake = UInt64(PC_VECTOR_WAKE)
    static let spurious: UInt64 = 0xFF
}

/// A core's local APIC in xAPIC mode (Intel SDM vol. 3A, chapter 10). All cores see their own at
/// the same address.
struct LocalAPIC {
    private let base: UInt64

    private enum Register {
        static let identity: UInt64 = 0x20
        static let taskPriority: UInt64 = 0x80
        static let endOfInterrupt: UInt64 = 0xB0
        static let spurious: UInt64 = 0xF0
        static let commandLow: UInt64 = 0x300
        static let commandHigh: UInt64 = 0x310
        static let timer: UInt64 = 0x320
        static let lint0: UInt64 = 0x350
        static let lint1: UInt64 = 0x360
        static let initialCount: UInt64 = 0x380
        static let currentCount: UInt64 = 0x390
        static let divide: UInt64 = 0x3E0
    }
    private static let masked: UInt32 = 1 << 16
    private static let divideByOne: UInt32 = 0b1011

    init(physical: UInt64) { base = Window.address(physical) }

    private func read(_ register: UInt64) -> UInt32 { pc_mmio_read(base + register) }
    private func write(_ register: UInt64, _ value: UInt32) {
        pc_mmio_write(base + register, value)
    }

    /// This core's identity.
    var identity: UInt32 { read(Register.identity) >> 24 }

    /// Turns this core's APIC on, with its timer one-shot and silent.
    func enable() {
        write(Register.taskPriority, 0)
        write(Register.lint0, Self.masked)
        write(Register.lint1, Self.masked)
        write(Register.divide, Self.divideByOne)
        write(Register.timer, UInt32(Vector.timer))
        write(Register.initialCount, 0)
        write(Register.spurious, 0x100 | UInt32(Vector.spurious))
    }

    func endOfInterrupt() { write(Register.endOfInterrupt, 0) }

    /// Fires the timer vector once after `count` ticks, at least one.
    func arm(count: UInt32) { write(Register.initialCount, max(count, 1)) }

    func startCalibration() {
        write(Register.timer, Self.masked | UInt32(Vector.timer))
        write(Register.initialCount, UInt32.max)
    }

    func currentCount() -> UInt32 { read(Register.currentCount) }

    func stop() {
        write(Register.initialCount, 0)
        write(Register.timer, UInt32(Vector.timer))
    }

    /// Sends the interprocessor interrupt to one core.
    func interrupt(_ identity: UInt32) { command(identity, UInt32(Vector.interrupt)) }

    /// Ends a core's halt in `CoreWait`; anywhere else it does nothing.
    func wake(_ identity: UInt32) { command(identity, UInt32(Vector.wake)) }

    /// Where the assembly acknowledges a wake-up.
    var endOfInterruptAddress: UInt64 { base + Register.endOfInterrupt }

    func sendInit(_ identity: UInt32) { command(identity, 0x4500) }

    /// Starts a core in real mode at a page below 1 MiB.
    func sendStartup(_ identity: UInt32, page: UInt64) {
        command(identity, 0x4600 | UInt32(truncatingIfNeeded: page >> 12))
    }

    /// A non-maskable interrupt for all other cores: the end.
    func stopOthers() { command(0, 0xC_4400) }

    private func command(_ identity: UInt32, _ low: UInt32) {
        write(Register.commandHigh, identity << 24)
        write(Register.commandLow, low)
        while read(Register.commandLow) & 1 << 12 != 0 { pc_pause() }
    }
}
