import ABI
import CMachinePC
import Kernel
import Machine
import Store

/// Where the kernel is, and the lock around it.
enum KernelHost {
    nonisolated(unsafe) static var kernel: UnsafeMutablePointer<Kernel<PC>>?
    /// A ticket lock: cores get in in the order in which they came.
    nonisolated(unsafe) private static var nextTicket: UInt32 = 0
    nonisolated(unsafe) private static var nowServing: UInt32 = 0
    /// The tables that a core without a translation loads. Set before other cores start.
    nonisolated(unsafe) static var kernelRoot: UInt64 = 0
    /// Physical address of the local APICs. Set before other cores start.
    nonisolated(unsafe) static var localAPICAddress: UInt64 = 0

    /// The core that has the lock. It may wait for others: that they leave user mode, or serve a
    /// request.
    nonisolated(unsafe) private static var holder: UInt32 = 0
    /// Set before other cores start.
    nonisolated(unsafe) static var coreCount = 1

    /// Takes the big lock. While it waits, the core serves what the holder asks of it.
    static func lock(_ area: Cores.Area) {
        let ticket = pc_fetch_add(&nextTicket, 1)
        if pc_load_acquire(&nowServing) != ticket { waitForTurn(area, ticket) }
        holder = area.pointee.number
    }

    private static func waitForTurn(_ area: Cores.Area, _ ticket: UInt32) {
        area.pointee.ticket = ticket
        wakeHolder()
        while pc_load_acquire(&nowServing) != ticket {
            CoreWait.until(area) {
                pc_load_acquire(&nowServing) == ticket || Cores.pendingRequest(area) != 0
            }
            if Cores.serve(area, kernelRoot: kernelRoot) { wakeHolder() }
        }
    }

    private static func wakeHolder() { CoreWait.wake(Cores.area(Int(holder))) }

    static func unlock() {
        let next = nowServing &+ 1
        pc_store_release(&nowServing, next)
        if pc_load_acquire(&nextTicket) == next { return }
        for core in 0..<coreCount where Cores.area(core).pointee.ticket == next {
            CoreWait.wake(Cores.area(core))
        }
    }

    /// Address of the context that the kernel runs on a core, 0 for none.
    static func currentContext(_ core: Int) -> UInt64 {
        UInt64(UInt(bitPattern: kernel?.pointee.context(core: core)))
    }

    /// Puts a panic's first line where the host reads it after the machine has stopped
    /// (`StatisticsLayout`).
    static func recordStop(_ message: UnsafeRawBufferPointer) {
        guard let nvm = kernel?.pointee.machine.nvm else { return }
        let page = StoreLayout.statistics.offset
        let text = page + UInt64(StatisticsLayout.messageOffset)
        let room = min(message.count, 255)
        var zero: UInt64 = 0
        nvm.write(UnsafeRawBufferPointer(rebasing: message[0..<room]), at: text)
        withUnsafeBytes(of: &zero) {
            nvm.write(UnsafeRawBufferPointer(rebasing: $0[0..<1]), at: text + UInt64(room))
        }
        nvm.store(1, at: page + UInt64(Statistic.stopReason.rawValue * 8))
        nvm.flush(page, length: pageSize)
        nvm.fence()
    }
}

/// Every way into the kernel ends here, with the registers saved, interrupts off, on the core's own
/// stack. Returns the context to load, or 0 for idle.
@c(pc_enter)
public func enterKernel(_ vector: UInt64, _ errorCode: UInt64, _ address: UInt64) -> UInt64 {
    let area = pc_this_core()
    KernelHost.lock(area)
    guard let kernel = KernelHost.kernel else { Panic.stop("entered before the kernel was made") }
    let core = Int(area.pointee.number)
    if let event = KernelEntry.event(
        vector, errorCode, address, area: area, machine: &kernel.pointee.machine)
    {
        if case .systemCall = event {
            kernel.pointee.context(core: core)?.pointee.registers.rip &+= 2
        }
        kernel.pointee.handle(event, core: core)
    }
    return KernelEntry.leave(area, kernel: kernel)
}

enum KernelEntry {
    /// Names the event and acknowledges the interrupt. Nil: nothing that the kernel must know.
    static func event(
        _ vector: UInt64, _ errorCode: UInt64, _ address: UInt64, area: Cores.Area,
        machine: inout PC
    ) -> KernelEvent? {
        switch vector {
        case Vector.systemCall:
            return .systemCall
        case Vector.pageFault:
            return .pageFault(
                address: address, isWrite: errorCode & 2 != 0, isExecute: errorCode & 16 != 0,
                errorCode: errorCode)
        case 0..<32:
            return .exception(vector: vector, errorCode: errorCode)
        case Vector.timer:
            machine.localAPIC.endOfInterrupt()
            area.pointee.armed = UInt64.max
            // The deadline may have moved since the timer was armed; then it is armed again on the
            // way out.
            guard machine.clock.nanoseconds() >= area.pointee.deadline else { return nil }
            area.pointee.deadline = UInt64.max
            return .timer
        case Vector.deviceBase..<Vector.deviceBase + 16:
            let line = UInt8(truncatingIfNeeded: vector - Vector.deviceBase)
            machine.setMask(line: line, masked: true)
            if line == SerialPort.doorbellLine { SerialPort.doorbell.drain() }
            machine.localAPIC.endOfInterrupt()
            return .deviceInterrupt(line: line)
        case Vector.interrupt:
            machine.localAPIC.endOfInterrupt()
            return .interrupt
        default:
            // Spurious vectors want no acknowledgement (Intel SDM vol. 3A, 10.9).
            return .interrupt
        }
    }

    /// Loads what the kernel wants to run on this core, says "in user mode", and releases the lock.
    static func leave(_ area: Cores.Area, kernel: UnsafeMutablePointer<Kernel<PC>>) -> UInt64 {
        let core = Int(area.pointee.number)
        armTimer(area, machine: &kernel.pointee.machine)
        guard let context = kernel.pointee.context(core: core) else {
            area.pointee.context = 0
            KernelHost.unlock()
            return 0
        }
        let address = UInt64(UInt(bitPattern: context))
        Cores.use(kernel.pointee.translation(core: core), on: area)
        Cores.loadBases(
            area, fs: context.pointee.registers.fsBase, gs: context.pointee.registers.gsBase,
            threadChanged: area.pointee.context != address)
        area.pointee.context = address
        pc_store_release(pc_core_in_user(area), 1)
        KernelHost.unlock()
        return address
    }

    /// Arms the timer if the deadline is sooner than what it is armed for. A later deadline is seen
    /// when it fires.
    private static func armTimer(_ area: Cores.Area, machine: inout PC) {
        let deadline = area.pointee.deadline
        guard deadline < area.pointee.armed else { return }
        let now = machine.clock.nanoseconds()
        let distance = deadline > now ? deadline - now : 0
        let product = distance.multipliedFullWidth(by: machine.clock.timerScale)
        let ticks = product.high << 32 | product.low >> 32
        let isFar = product.high >> 32 != 0 || ticks > UInt64(UInt32.max)
        machine.localAPIC.arm(count: isFar ? UInt32.max : UInt32(truncatingIfNeeded: ticks))
        area.pointee.armed = deadline
    }
}
