import CMachinePC

/// The kernel's view of physical memory: virtual = physical + base, one PML4 entry of 512 GiB
/// (Docs/boot.md).
enum Window {
    static let base: UInt64 = 0x4000_0000_0000
    /// Physical addresses that one PML4 entry reaches.
    static let byteCount: UInt64 = 512 << 30
    static let pml4Index = 128

    static func address(_ physical: UInt64) -> UInt64 { base &+ physical }
    static func physical(_ address: UInt64) -> UInt64 { address &- base }

    /// A page table at a physical address.
    static func table(_ physical: UInt64) -> UnsafeMutablePointer<UInt64> {
        words(address(physical))
    }

    /// Words at an address of the window.
    static func words(_ address: UInt64) -> UnsafeMutablePointer<UInt64> {
        // The window never begins at 0, so the conversion cannot fail; a trap here would be a
        // kernel defect.
        guard let pointer = UnsafeMutablePointer<UInt64>(bitPattern: UInt(address)) else {
            Panic.stop("null in the window")
        }
        return pointer
    }
}

/// Bits of page-table entries (Intel SDM vol. 3A, 4.5).
enum Entry {
    static let present: UInt64 = 1
    static let writable: UInt64 = 2
    static let user: UInt64 = 4
    static let writeThrough: UInt64 = 8
    static let uncached: UInt64 = 16
    static let accessed: UInt64 = 32
    static let dirty: UInt64 = 64
    static let large: UInt64 = 128
    static let global: UInt64 = 256
    /// Ours: becomes read-only at the next `revokeWrites`.
    static let tracked: UInt64 = 1 << 9
    /// Ours: leads to a frame of the NVM region, not to device registers.
    static let frame: UInt64 = 1 << 10
    /// Ours: leads to a watched page of DRAM. Its dirty bit counts.
    static let memory: UInt64 = 1 << 11
    /// Ours, also where nothing is mapped: the entry is in the list of writable entries to memory.
    static let listed: UInt64 = 1 << 52
    static let noExecute: UInt64 = 1 << 63
    static let addressMask: UInt64 = 0x000F_FFFF_FFFF_F000
}
