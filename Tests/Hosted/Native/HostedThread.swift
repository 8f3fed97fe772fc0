import ABI
import CHosted
import Glibc

/// A server thread and the traced process in which its guest's instructions run. Several tracees
/// that run threads of one guest process simply map the same memory.
final class HostedThread {
    /// First address that no guest mapping reaches; everything of the tracee's own lies above.
    private static let limit = UserAddress.limit.value
    private static let top: UInt64 = 0x7FFF_FFFF_F000
    /// Numbers of mmap(2) and munmap(2).
    private static let mapCall = 9, unmapCall = 11

    private(set) var tracee: Int32 = 0
    private var stub: UInt64 = 0
    private var template = user_regs_struct()
    private var space: HostedSpace?
    private var appliedChanges = 0
    /// Set by `threadKick`, with the machine's lock held.
    var isKicked = false

    init() {}

    /// The tracee is made when it is first needed, by the thread that traces it.
    func prepare() -> Bool {
        if tracee > 0 { return true }
        guard let page = evertree_hosted_stub_page() else { return false }
        stub = UInt64(UInt(bitPattern: page))
        let pid = evertree_hosted_child()
        guard pid > 0 else { return false }
        tracee = pid
        evertree_hosted_get_registers(pid, &template)
        template.orig_rax = UInt64.max
        // Nothing of the server's own memory stays visible to the guest.
        inject(HostedThread.unmapCall, HostedThread.limit, stub - HostedThread.limit)
        inject(HostedThread.unmapCall, stub + pageSize, HostedThread.top - stub - pageSize)
        return true
    }

    /// Runs one real system call in the tracee.
    @discardableResult
    private func inject(
        _ number: Int, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0,
        _ e: UInt64 = 0,
        _ f: UInt64 = 0
    ) -> Int64 {
        var registers = template
        registers.rip = stub
        registers.rax = UInt64(number)
        registers.rdi = a
        registers.rsi = b
        registers.rdx = c
        registers.r10 = d
        registers.r8 = e
        registers.r9 = f
        evertree_hosted_set_registers(tracee, &registers)
        var status: Int32
        // A kick may stop it before the call; the next run goes on.
        repeat {
            status = evertree_hosted_run_stub(tracee)
        } while status >= 0 && status >> 8 & 0xFF == SIGURG
        evertree_hosted_get_registers(tracee, &registers)
        return Int64(bitPattern: registers.rax)
    }

    /// Brings the tracee's mappings up to date with the space. Called with the machine's lock held.
    func follow(_ wanted: HostedSpace) {
        if space !== wanted {
            inject(HostedThread.unmapCall, pageSize, HostedThread.limit - pageSize)
            space = wanted
            appliedChanges = wanted.changes.count
            for region in wanted.regions { map(region) }
            return
        }
        while appliedChanges < wanted.changes.count {
            let range = wanted.changes[appliedChanges]
            appliedChanges += 1
            inject(HostedThread.unmapCall, range.lowerBound, range.upperBound - range.lowerBound)
            var index = wanted.firstIndex(endingAfter: range.lowerBound)
            while index < wanted.regions.count, wanted.regions[index].start < range.upperBound {
                let region = wanted.regions[index]
                map(
                    region.part(
                        max(region.start, range.lowerBound), min(region.end, range.upperBound)))
                index += 1
            }
        }
    }

    private func map(_ region: HostedSpace.Region) {
        var protection: UInt64 = 0
        if region.protection.contains(.read) { protection |= UInt64(PROT_READ) }
        if region.protection.contains(.write) { protection |= UInt64(PROT_READ | PROT_WRITE) }
        if region.protection.contains(.execute) { protection |= UInt64(PROT_READ | PROT_EXEC) }
        let flags = UInt64(MAP_SHARED | MAP_FIXED | MAP_NORESERVE)
        inject(
            HostedThread.mapCall, region.start, region.end - region.start, protection, flags,
            UInt64(region.pmo.descriptor),
            region.offset)
    }

    func loadFPU(_ pointer: UnsafeRawPointer) { evertree_hosted_set_fpu(tracee, pointer) }
    func saveFPU(_ pointer: UnsafeMutableRawPointer) { evertree_hosted_get_fpu(tracee, pointer) }

    /// Runs the guest until something happens. False: the tracee is gone.
    func run(_ state: UnsafeMutablePointer<RestrictedState>) -> Bool {
        load(state.pointee.registers.sanitized)
        let status = evertree_hosted_run(tracee)
        // 0x7F in the low byte: stopped.
        guard status >= 0, status & 0xFF == 0x7F else { return false }
        store(&state.pointee.registers)
        explain(status >> 8 & 0xFF, state)
        return true
    }

    private func load(_ r: Registers) {
        var registers = template
        registers.rax = r.rax
        registers.rbx = r.rbx
        registers.rcx = r.rcx
        registers.rdx = r.rdx
        registers.rsi = r.rsi
        registers.rdi = r.rdi
        registers.rbp = r.rbp
        registers.rsp = r.rsp
        registers.r8 = r.r8
        registers.r9 = r.r9
        registers.r10 = r.r10
        registers.r11 = r.r11
        registers.r12 = r.r12
        registers.r13 = r.r13
        registers.r14 = r.r14
        registers.r15 = r.r15
        registers.rip = r.rip
        registers.eflags = r.rflags
        registers.fs_base = r.fsBase
        registers.gs_base = r.gsBase
        evertree_hosted_set_registers(tracee, &registers)
    }

    private func store(_ r: inout Registers) {
        var registers = user_regs_struct()
        evertree_hosted_get_registers(tracee, &registers)
        r.rax = registers.rax
        r.rbx = registers.rbx
        r.rcx = registers.rcx
        r.rdx = registers.rdx
        r.rsi = registers.rsi
        r.rdi = registers.rdi
        r.rbp = registers.rbp
        r.rsp = registers.rsp
        r.r8 = registers.r8
        r.r9 = registers.r9
        r.r10 = registers.r10
        r.r11 = registers.r11
        r.r12 = registers.r12
        r.r13 = registers.r13
        r.r14 = registers.r14
        r.r15 = registers.r15
        r.rip = registers.rip
        r.rflags = registers.eflags
        r.fsBase = registers.fs_base
        r.gsBase = registers.gs_base
        // At a system call Linux keeps the number here and puts -ENOSYS in rax.
        if Int64(bitPattern: registers.orig_rax) >= 0 { r.rax = registers.orig_rax }
    }

    /// Turns the stop signal into the processor's reason.
    private func explain(_ signal: Int32, _ state: UnsafeMutablePointer<RestrictedState>) {
        if signal == SIGTRAP | 0x80 {
            state.pointee.reason = RestrictedExit.systemCall.rawValue
            return
        }
        if signal == SIGURG {
            state.pointee.reason = RestrictedExit.kicked.rawValue
            return
        }
        var address: UInt64 = 0
        let code = evertree_hosted_signal_code(tracee, &address)
        state.pointee.reason = RestrictedExit.exception.rawValue
        state.pointee.errorCode = 0
        state.pointee.faultAddress = 0
        let isPageFault = (signal == SIGSEGV && (code == 1 || code == 2)) || signal == SIGBUS
        if isPageFault {
            state.pointee.reason = RestrictedExit.pageFault.rawValue
            state.pointee.vector = 14
            state.pointee.errorCode = code == 2 ? 5 : 4
            state.pointee.faultAddress = address
        } else {
            state.pointee.vector = HostedThread.vector(signal)
        }
    }

    private static func vector(_ signal: Int32) -> UInt64 {
        switch signal {
        case SIGILL: 6
        case SIGFPE: 0
        case SIGTRAP: 3
        default: 13
        }
    }
}
