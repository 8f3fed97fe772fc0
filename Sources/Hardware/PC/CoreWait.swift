import CMachinePC
import CPrimitives

/// Waiting for another core: spin for a while, then halt until woken. On a virtual machine whose
/// host has other work, the core that is waited for may need the very processor that a spinning one
/// keeps busy.
///
/// A core that halts says so first (`waiting`), then looks at its condition once more; one that
/// changes something looks for cores that wait after the change. Both steps are sequentially
/// consistent, so one of the two sees the other. While a core halts here, its task priority lets
/// nothing in but the wake-up: all else stays pending.
enum CoreWait {
    /// Iterations before a core halts: some 100 µs under TCG, longer than most pauses.
    private static let spins: UInt32 = 1 << 14
    private static let onlyWakeUps: UInt64 = 14

    static func until(_ area: Cores.Area, _ condition: () -> Bool) {
        var count: UInt32 = 0
        while !condition() {
            count &+= 1
            if count < spins { evertree_spin(count) } else { halt(area, unless: condition) }
        }
    }

    private static func halt(_ area: Cores.Area, unless condition: () -> Bool) {
        pc_write_cr8(onlyWakeUps)
        pc_store_release(pc_core_waiting(area), 1)
        if !condition() { pc_halt_until_interrupt() }
        pc_store_release(pc_core_waiting(area), 0)
        pc_write_cr8(0)
    }

    /// After a change that the core may wait for.
    static func wake(_ area: Cores.Area) {
        guard pc_load_acquire(pc_core_waiting(area)) != 0 else { return }
        LocalAPIC(physical: KernelHost.localAPICAddress).wake(area.pointee.apic_id)
    }
}
