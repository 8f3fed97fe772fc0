import ABI
import CMachinePC
import Machine

// Cores and what they hold of a translation. Called with the big lock held, so a core that is out
// of user mode cannot go back: it waits for the lock, serving requests (`Entry.lock`), or it is
// idle.

extension PC {
    private var thisCore: UnsafeMutablePointer<pc_core> { pc_this_core() }

    mutating func interruptCore(_ core: Int) {
        localAPIC.interrupt(Cores.area(core).pointee.apic_id)
    }

    mutating func quiesceOtherCores(from core: Int) {
        // All are interrupted before the first is waited for.
        for other in 0..<coreCount where other != core { interruptIfInUser(Cores.area(other)) }
        for other in 0..<coreCount where other != core {
            let area = Cores.area(other)
            waitUntilOut(area)
            // A core that still has a thread is not idle: it is on its way to the lock, with the
            // thread's state in its registers. A thread that was ended meanwhile has left its place
            // to others.
            if area.pointee.context != 0 && area.pointee.context == KernelHost.currentContext(other)
            {
                request(Cores.requestSaveFPU, of: area, mayBeIdle: false)
            }
        }
    }

    func saveFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {
        pc_save_fpu(UInt64(UInt(bitPattern: context)) + Cores.fpuOffset)
    }

    func loadFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {
        pc_load_fpu(UInt64(UInt(bitPattern: context)) + Cores.fpuOffset)
    }

    /// Forgets a page's old entry: on this core, and on others too if they might use it to do what
    /// is not allowed now.
    func flush(_ translation: Translation, address: UInt64, everywhere: Bool) {
        for core in 0..<coreCount {
            let area = Cores.area(core)
            guard area.pointee.translation == translation.value, everywhere || area == thisCore
            else { continue }
            bringOut(area)
            Cores.queueFlush(area, address: address)
        }
    }

    /// Forgets all that cores hold of a translation.
    func flushAll(_ translation: Translation) {
        for core in 0..<coreCount {
            let area = Cores.area(core)
            guard area.pointee.translation == translation.value else { continue }
            bringOut(area)
            area.pointee.must_flush = 1
        }
    }

    /// Makes every core load other tables than the translation's.
    func leave(_ translation: Translation) {
        for core in 0..<coreCount {
            let area = Cores.area(core)
            guard area.pointee.translation == translation.value else { continue }
            if area == thisCore {
                Cores.load(translation: kernelRoot, on: area)
            } else {
                bringOut(area)
                request(Cores.requestLeave, of: area, mayBeIdle: true)
            }
        }
    }

    private func bringOut(_ area: UnsafeMutablePointer<pc_core>) {
        guard area != thisCore else { return }
        interruptIfInUser(area)
        waitUntilOut(area)
    }

    private func interruptIfInUser(_ area: UnsafeMutablePointer<pc_core>) {
        if Cores.isInUser(area) { localAPIC.interrupt(area.pointee.apic_id) }
    }

    private func waitUntilOut(_ area: UnsafeMutablePointer<pc_core>) {
        CoreWait.until(thisCore) { !Cores.isInUser(area) }
    }

    /// Has a core that is out of user mode do something that only it can do, and waits for it.
    private func request(_ bits: UInt32, of area: UnsafeMutablePointer<pc_core>, mayBeIdle: Bool) {
        Cores.post(bits, to: area)
        if mayBeIdle { localAPIC.interrupt(area.pointee.apic_id) }
        CoreWait.until(thisCore) { Cores.pendingRequest(area) == 0 }
    }
}
