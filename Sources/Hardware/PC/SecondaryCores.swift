import ACPI
import CMachinePC
import CPrimitives

/// Starts the application processors one after the other (Intel SDM vol. 3A, 9.4.4).
enum SecondaryCores {
    private static let initNanoseconds: UInt64 = 10_000_000
    private static let startupNanoseconds: UInt64 = 200_000
    private static let patienceNanoseconds: UInt64 = 1_000_000_000

    /// Returns the number of cores that run, the first one included. A core that does not answer is
    /// left out.
    static func start(_ platform: Platform, localAPIC: LocalAPIC, clock: Clock) -> Int {
        let own = localAPIC.identity
        pc_copy_words(
            Window.address(UInt64(PC_TRAMPOLINE)), pc_trampoline_address(),
            (pc_trampoline_bytes() + 7) / 8)
        var count = 1
        for index in 0..<platform.processorCount
        where platform.processors[index] != own && count < Int(PC_MAX_CORES) {
            let identity = platform.processors[index]
            CoreSetup.prepare(number: count, identity: identity)
            let area = Cores.area(count)
            Window.words(Window.address(UInt64(PC_TRAMPOLINE_STACK)))[0] = area.pointee.stack_top
            Window.words(Window.address(UInt64(PC_TRAMPOLINE_CORE)))[0] = UInt64(count)
            if startOne(area, localAPIC: localAPIC, clock: clock) {
                count += 1
            } else {
                DebugText.write("evertree: a processor did not start, and is left out\n")
            }
        }
        return count
    }

    private static func startOne(_ area: Cores.Area, localAPIC: LocalAPIC, clock: Clock) -> Bool {
        localAPIC.sendInit(area.pointee.apic_id)
        wait(initNanoseconds, clock)
        localAPIC.sendStartup(area.pointee.apic_id, page: UInt64(PC_TRAMPOLINE))
        wait(startupNanoseconds, clock)
        // A second start is what the manual asks for; a core that runs already ignores it.
        if !hasStarted(area) {
            localAPIC.sendStartup(area.pointee.apic_id, page: UInt64(PC_TRAMPOLINE))
        }
        let deadline = clock.nanoseconds() + patienceNanoseconds
        while !hasStarted(area) {
            if clock.nanoseconds() > deadline { return false }
            pc_pause()
        }
        return true
    }

    private static func hasStarted(_ area: Cores.Area) -> Bool {
        pc_load_acquire(pc_core_started(area)) != 0
    }

    private static func wait(_ nanoseconds: UInt64, _ clock: Clock) {
        let deadline = clock.nanoseconds() + nanoseconds
        while clock.nanoseconds() < deadline { pc_pause() }
    }
}

/// The first Swift code of an application processor: it becomes a core, and asks the kernel for
/// work.
@c(pc_secondary_main)
public func secondaryMain(_ number: UInt64) -> Never {
    let area = Cores.area(Int(number))
    CoreSetup.activate(area, kernelRoot: KernelHost.kernelRoot)
    LocalAPIC(physical: KernelHost.localAPICAddress).enable()
    pc_store_release(pc_core_started(area), 1)
    pc_leave(enterKernel(Vector.interrupt, 0, 0))
}
