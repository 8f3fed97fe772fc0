import ABI
import ACPI
import CMachinePC

/// The kernel's own page tables: the window onto DRAM, NVM and the interrupt controllers, each page
/// with the least rights. Built once; every translation shares them through PML4 entry 128.
struct KernelTables {
    /// Physical address of the PML4 that has no user half.
    let root: UInt64
    private static let largePage: UInt64 = 2 << 20
    private static let tableLink = Entry.present | Entry.writable | Entry.accessed

    /// Nil if memory ran out.
    static func build(info: StartInfo, platform: Platform, pages: inout BootPages) -> KernelTables?
    {
        guard let root = pages.takePage() else { return nil }
        let tables = KernelTables(root: root)
        var complete = true
        // A closure cannot capture an inout parameter that outlives it; this one does not.
        withUnsafeMutablePointer(to: &pages) { pages in
            info.forEachMemoryRange { range in
                complete = complete && tables.map(range, pages: &pages.pointee)
            }
            if info.bundle.byteCount > 0 {
                complete = complete && tables.map(info.bundle, pages: &pages.pointee)
            }
        }
        let nvm = StartInfo.Range(
            start: platform.persistentBase, end: platform.persistentBase + platform.persistentBytes)
        complete = complete && tables.map(nvm, pages: &pages)
        complete = complete && tables.mapDevice(platform.localAPIC, pages: &pages)
        complete = complete && tables.mapDevice(platform.ioAPIC, pages: &pages)
        return complete ? tables : nil
    }

    /// Maps ordinary memory: whole 2 MiB pages where nothing of the image lies, else single pages.
    private func map(_ range: StartInfo.Range, pages: inout BootPages) -> Bool {
        var at = range.start & ~(pageSize - 1)
        let end = (range.end + pageSize - 1) & ~(pageSize - 1)
        while at < end {
            let isLarge =
                at % Self.largePage == 0 && end - at >= Self.largePage && !Self.touchesImage(at)
            let flags = isLarge ? Entry.writable | Entry.noExecute : Self.imageFlags(at)
            if flags & Entry.present == 0 && !isLarge {
                at += pageSize
                continue
            }
            let mapped =
                isLarge
                ? mapLarge(at, flags: flags, pages: &pages)
                : mapPage(at, flags: flags, pages: &pages)
            guard mapped else { return false }
            at += isLarge ? Self.largePage : pageSize
        }
        return true
    }

    private static func touchesImage(_ physical: UInt64) -> Bool {
        physical < Window.physical(pc_image_end_address())
            && physical + largePage > Window.physical(pc_image_start_address())
    }

    /// Write xor execute for the image; nothing at all for the guard pages below the stacks.
    private static func imageFlags(_ physical: UInt64) -> UInt64 {
        let address = Window.address(physical)
        if address >= pc_text_start_address() && address < pc_text_end_address() {
            return Entry.present
        }
        if address >= pc_text_end_address() && address < pc_rodata_end_address() {
            return Entry.present | Entry.noExecute
        }
        let stacks = pc_stack_address(0)
        if address >= stacks && address < pc_stack_address(UInt32(PC_MAX_CORES)),
            (address - stacks) % UInt64(PC_STACK_BYTES) == 0
        {
            return 0
        }
        return Entry.present | Entry.writable | Entry.noExecute
    }

    private func mapDevice(_ physical: UInt64, pages: inout BootPages) -> Bool {
        let flags = Entry.writable | Entry.noExecute | Entry.uncached | Entry.writeThrough
        return mapPage(physical & Entry.addressMask, flags: flags, pages: &pages)
    }

    private func mapPage(_ physical: UInt64, flags: UInt64, pages: inout BootPages) -> Bool {
        guard let directory = directory(for: physical, pages: &pages) else { return false }
        let index = Int(physical >> 21 & 511)
        if directory[index] & Entry.large != 0 { return true }
        guard let table = Self.next(directory, index, pages: &pages) else { return false }
        table[Int(physical >> 12 & 511)] = physical | flags | Self.leaf
        return true
    }

    private func mapLarge(_ physical: UInt64, flags: UInt64, pages: inout BootPages) -> Bool {
        guard let directory = directory(for: physical, pages: &pages) else { return false }
        directory[Int(physical >> 21 & 511)] = physical | flags | Self.leaf | Entry.large
        return true
    }

    private static let leaf = Entry.present | Entry.accessed | Entry.dirty | Entry.global

    private func directory(for physical: UInt64, pages: inout BootPages) -> UnsafeMutablePointer<
        UInt64
    >? {
        guard physical < Window.byteCount,
            let pointers = Self.next(Window.table(root), Window.pml4Index, pages: &pages)
        else { return nil }
        return Self.next(pointers, Int(physical >> 30 & 511), pages: &pages)
    }

    /// The table behind an entry, made if there is none.
    private static func next(
        _ table: UnsafeMutablePointer<UInt64>, _ index: Int, pages: inout BootPages
    ) -> UnsafeMutablePointer<UInt64>? {
        if table[index] & Entry.present == 0 {
            guard let page = pages.takePage() else { return nil }
            table[index] = page | tableLink
        }
        return Window.table(table[index] & Entry.addressMask)
    }
}
