import ABI
import CMachinePC
import Machine
import Store

/// The bare-metal machine: x86-64 with a local APIC, an I/O APIC, two serial ports and NVM in its
/// address space.
///
/// Invariants:
/// - All of it is used with the big lock held, but for what `pc_core` names as shared.
/// - A core's `translation` is what its CR3 holds; only that core loads CR3.
/// - What a core's TLB holds of a translation that it has not loaded does not matter: loading CR3
///   empties it.
struct PC: Machine {
    /// In one place that never moves: the kernel's store and others hold copies of the machine.
    private let state: UnsafeMutablePointer<State>

    struct State {
        var nvm: NVM
        var coreCount: Int
        var clock: Clock
        var localAPIC: LocalAPIC
        var ioAPIC: IOAPIC
        /// From the end of memory below 4 GiB on there are only devices, and these two.
        var deviceStart: UInt64
        var controllers: (localAPIC: UInt64, ioAPIC: UInt64)
        var kernelRoot: UInt64
        var pages: PagePool
        var writable: WritableList
        /// The writable entries to watched pages, and these, once there are any.
        var memory = WritableList(storage: Window.words(Window.base), capacity: 0)
        var watched: WatchedPages?
    }

    init(_ initial: State) {
        state = .allocate(capacity: 1)
        state.initialize(to: initial)
    }

    var nvm: NVM { state.pointee.nvm }
    var coreCount: Int { state.pointee.coreCount }
    var clock: Clock { state.pointee.clock }
    var localAPIC: LocalAPIC { state.pointee.localAPIC }
    /// Physical address of the tables without a user half.
    var kernelRoot: UInt64 { state.pointee.kernelRoot }
    /// The pages that translations are made of.
    var pages: PagePool {
        get { state.pointee.pages }
        nonmutating _modify { yield &state.pointee.pages }
    }
    /// The tracked entries that are writable.
    var writable: WritableList {
        get { state.pointee.writable }
        nonmutating _modify { yield &state.pointee.writable }
    }
    var memory: WritableList {
        get { state.pointee.memory }
        nonmutating _modify { yield &state.pointee.memory }
    }
    var watched: WatchedPages? { state.pointee.watched }

    mutating func watch(_ pages: WatchedPages) {
        let capacity = 4 * pages.count + 64
        state.pointee.memory = WritableList(
            storage: .allocate(capacity: 2 * capacity), capacity: capacity)
        state.pointee.watched = pages
    }
    func setMask(line: UInt8, masked: Bool) {
        state.pointee.ioAPIC.setMask(line: line, masked: masked)
    }

    // MARK: Time

    func monotonicNanoseconds() -> UInt64 { clock.nanoseconds() }

    func wallClockNanoseconds() -> UInt64 { clock.wallNanoseconds() }

    /// The timer itself is set when the core leaves the kernel; another core is told to come in and
    /// do so.
    mutating func setTimer(core: Int, at deadlineNanoseconds: UInt64) {
        let area = Cores.area(core)
        area.pointee.deadline = deadlineNanoseconds
        if area != pc_this_core() && deadlineNanoseconds < area.pointee.armed {
            interruptCore(core)
        }
    }

    // MARK: Outside

    func ringDoorbell() { SerialPort.doorbell.send(1, spins: 64) }

    func isDeviceMemory(_ address: PhysicalAddress, byteCount: UInt64) -> Bool {
        let physical = address.value
        let end = physical + byteCount
        guard physical >= state.pointee.deviceStart, end <= 1 << 32 else { return false }
        let region = nvm.physicalBase..<nvm.physicalBase + UInt64(nvm.frameCount) * pageSize
        if (physical..<end).overlaps(region) { return false }
        let controllers = state.pointee.controllers
        for register in [controllers.localAPIC, controllers.ioAPIC] {
            if physical < register + pageSize && register < end { return false }
        }
        return true
    }

    mutating func unmask(line: UInt8) { setMask(line: line, masked: false) }

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
