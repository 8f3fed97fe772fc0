import CMachinePC

/// Descriptor tables, control registers and MSRs of one core (Intel SDM vol. 3A).
enum CoreSetup {
    private static let gsBaseMSR: UInt32 = 0xC000_0101
    private static let efer: UInt32 = 0xC000_0080
    private static let star: UInt32 = 0xC000_0081
    private static let longStar: UInt32 = 0xC000_0082
    private static let flagMask: UInt32 = 0xC000_0084

    /// PE, MP, ET, NE, WP, PG.
    private static let cr0: UInt64 = 0x8001_0033
    /// PAE, MCE, PGE, OSFXSR, OSXMMEXCPT, SMEP, SMAP. No OSXSAVE: guests have SSE2 and no more. No
    /// FSGSBASE.
    private static let cr4: UInt64 = 0x30_06E0
    /// SCE, LME, LMA, NXE.
    private static let eferValue: UInt64 = 0xD01
    /// TF, IF, DF, IOPL, NT, AC are cleared by `syscall`.
    private static let clearedFlags: UInt64 = 0x4_7700

    /// CPUID leaf 7, EBX: SMEP and SMAP.
    static var processorIsUsable: Bool { pc_cpuid_ebx(7) & 0x10_0080 == 0x10_0080 }

    static func prepare(number: Int, identity: UInt32) {
        let area = Cores.area(number)
        area.pointee.self_address = UInt64(UInt(bitPattern: area))
        area.pointee.number = UInt32(number)
        area.pointee.apic_id = identity
        area.pointee.stack_top = pc_stack_address(UInt32(number)) + UInt64(PC_STACK_BYTES)
        area.pointee.deadline = UInt64.max
        area.pointee.armed = UInt64.max
        fillTables(area)
    }

    /// Loads everything on the core that runs this, which was prepared before.
    static func activate(_ area: Cores.Area, kernelRoot: UInt64) {
        Cores.load(translation: kernelRoot, on: area)
        pc_write_cr0(cr0)
        pc_write_cr4(cr4)
        pc_load_tables(
            UInt64(UInt(bitPattern: pc_core_gdt(area))), 63,
            UInt64(UInt(bitPattern: pc_idt_words())), 4095)
        pc_write_msr(gsBaseMSR, UInt64(UInt(bitPattern: area)))
        pc_write_msr(efer, eferValue)
        pc_write_msr(star, UInt64(PC_KERNEL_CODE) << 32 | UInt64(PC_KERNEL_DATA | 3) << 48)
        pc_write_msr(longStar, pc_syscall_entry_address())
        pc_write_msr(flagMask, clearedFlags)
        Cores.loadBases(area, fs: 0, gs: 0, threadChanged: true)
    }

    private static func fillTables(_ area: Cores.Area) {
        let gdt = pc_core_gdt(area)
        gdt[1] = 0x00AF_9B00_0000_FFFF
        gdt[2] = 0x00CF_9300_0000_FFFF
        gdt[3] = 0x00CF_F300_0000_FFFF
        gdt[4] = 0x00AF_FB00_0000_FFFF
        let tss = pc_core_tss(area)
        let base = UInt64(UInt(bitPattern: tss))
        let place: UInt64 = (base & 0xFF_FFFF) << 16 | (base >> 24 & 0xFF) << 56
        gdt[5] = 103 | place | 0x89 << 40
        gdt[6] = base >> 32
        let words = UnsafeMutableRawPointer(tss)
        // Stack of ring 0 at byte 4, first interrupt stack at 36, no I/O bitmap (vol. 3A, figure
        // 7-11).
        words.storeBytes(of: area.pointee.stack_top, toByteOffset: 4, as: UInt64.self)
        words.storeBytes(
            of: pc_fatal_stack_top(area.pointee.number), toByteOffset: 36, as: UInt64.self)
        words.storeBytes(of: 104, toByteOffset: 102, as: UInt16.self)
    }

    /// Interrupt gates for all vectors. Breakpoint and overflow may be raised by users; NMI, double
    /// fault and machine check have a stack of their own.
    static func fillInterruptTable() {
        let words = pc_idt_words()
        for vector in 0..<256 {
            let stub = pc_stub_address(UInt32(vector))
            let ring: UInt64 = vector == 3 || vector == 4 ? 3 : 0
            let stack: UInt64 = vector == 2 || vector == 8 || vector == 18 ? 1 : 0
            let kind: UInt64 = (0x8E | ring << 5) << 40 | stack << 32
            let place: UInt64 = stub & 0xFFFF | (stub >> 16 & 0xFFFF) << 48
            words[2 * vector] = place | kind | UInt64(PC_KERNEL_CODE) << 16
            words[2 * vector + 1] = stub >> 32
        }
    }
}
