import ABI
import CMachinePC
import Machine

/// What the machine does with a core's area (`struct pc_core`).
enum Cores {
    typealias Area = UnsafeMutablePointer<pc_core>

    /// Save the floating-point registers into the context they belong to.
    static let requestSaveFPU: UInt32 = 1
    /// Load the kernel's own tables.
    static let requestLeave: UInt32 = 2
    /// Offset of the FXSAVE area in `ThreadContext`.
    static let fpuOffset: UInt64 = 160

    static func area(_ core: Int) -> Area { pc_core(UInt32(truncatingIfNeeded: core)) }

    static func isInUser(_ area: Area) -> Bool { pc_load_acquire(pc_core_in_user(area)) != 0 }

    static func post(_ bits: UInt32, to area: Area) {
        pc_store_release(pc_core_request(area), bits)
        CoreWait.wake(area)
    }

    static func pendingRequest(_ area: Area) -> UInt32 { pc_load_acquire(pc_core_request(area)) }

    /// Does what another core asked for, if it did. Called by the core itself while it waits for
    /// the lock.
    static func serve(_ area: Area, kernelRoot: UInt64) -> Bool {
        let bits = pendingRequest(area)
        guard bits != 0 else { return false }
        if bits & requestSaveFPU != 0 { pc_save_fpu(area.pointee.context + fpuOffset) }
        if bits & requestLeave != 0 { load(translation: kernelRoot, on: area) }
        pc_store_release(pc_core_request(area), 0)
        return true
    }

    // MARK: Translations

    /// Loads CR3, which also empties the TLB of user entries.
    static func load(translation: UInt64, on area: Area) {
        pc_write_cr3(translation)
        area.pointee.translation = translation
        area.pointee.must_flush = 0
        area.pointee.flush_count = 0
    }

    static func queueFlush(_ area: Area, address: UInt64) {
        let count = area.pointee.flush_count
        if count >= UInt32(PC_FLUSH_LIST) {
            area.pointee.must_flush = 1
        } else {
            pc_core_flush_list(area)[Int(count)] = address
            area.pointee.flush_count = count + 1
        }
    }

    /// Makes the core see a translation as it is now.
    static func use(_ translation: Translation, on area: Area) {
        if area.pointee.translation != translation.value || area.pointee.must_flush != 0 {
            load(translation: translation.value, on: area)
            return
        }
        let list = pc_core_flush_list(area)
        for index in 0..<Int(area.pointee.flush_count) { pc_invalidate_page(list[index]) }
        area.pointee.flush_count = 0
    }

    // MARK: Segment bases

    private static let fsBaseMSR: UInt32 = 0xC000_0100
    private static let kernelGSBaseMSR: UInt32 = 0xC000_0102

    /// Loads the user's FS and GS bases (GS is swapped in on the way out). After a change of thread
    /// always: the last thread may have emptied them by loading a selector.
    static func loadBases(_ area: Area, fs: UInt64, gs: UInt64, threadChanged: Bool) {
        if threadChanged || area.pointee.fs_base != fs {
            pc_write_msr(fsBaseMSR, fs)
            area.pointee.fs_base = fs
        }
        if threadChanged || area.pointee.gs_base != gs {
            pc_write_msr(kernelGSBaseMSR, gs)
            area.pointee.gs_base = gs
        }
    }
}
