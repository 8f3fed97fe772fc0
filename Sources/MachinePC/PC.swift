import ABI
import CMachinePC
import Machine
import Store

/// The bare-metal machine: x86-64 with a local APIC, an I/O APIC, two serial ports and NVM in its address space.
///
/// Invariants:
/// - All of it is used with the big lock held, but for what `pc_core` names as shared.
/// - A core's `translation` is what its CR3 holds; only that core loads CR3.
/// - What a core's TLB holds of a translation that it has not loaded does not matter: loading CR3 empties it.
struct PC: Machine {
    let nvm: NVM
    let coreCount: Int
    let clock: Clock
    let localAPIC: LocalAPIC
    let ioAPIC: IOAPIC
    let kernelRoot: UInt64
    var pages: PagePool
    var writable: WritableList

    // MARK: Time

    func monotonicNanoseconds() -> UInt64 { clock.nanoseconds() }

    func wallClockNanoseconds() -> UInt64 { clock.wallNanoseconds() }

    /// The timer itself is set when the core leaves the kernel; another core is told to come in and do so.
    mutating func setTimer(core: Int, at deadlineNanoseconds: UInt64) {
        let area = Cores.area(core)
        area.pointee.deadline = deadlineNanoseconds
        if area != pc_this_core() && deadlineNanoseconds < area.pointee.armed { interruptCore(core) }
    }

    // MARK: Outside

    func ringDoorbell() { SerialPort.doorbell.send(1, spins: 64) }

    mutating func unmask(line: UInt8) { ioAPIC.setMask(line: line, masked: false) }

    func debugWrite(_ byte: UInt8) { DebugText.write(byte: byte) }

    mutating func halt() { Shutdown.now() }
}

/// The end of the machine.
enum Shutdown {
    /// QEMU's isa-debug-exit: the process ends with status 2 × value + 1 = 99.
    private static let exitPort: UInt16 = 0xF4
    private static let exitValue: UInt8 = 0x31

    static func now() -> Never {
        pc_out8(exitPort, exitValue)
        pc_stop_core()
    }
}
