import ABI
import CServerRuntime
import Runtime

/// What a server does first: maps its heap. Everything after that may allocate.
public enum Startup {
    /// Byte length of the boot bundle (`RootSlot.bundle`).
    public static var bundleLength: UInt64 { evertree_bundle_length }
    /// True the very first time that this store runs.
    public static var isFirstStart: Bool { evertree_first_start == 1 }

    /// Where heaps are mapped: far above the program at 0x1000_0000.
    public static let heapAddress = UserAddress(0x10_0000_0000)

    /// Maps an anonymous PMO of `pageCount` pages at `heapAddress` and gives it to Swift's
    /// allocator. Pages cost nothing before they are touched. Returns the PMO's slot; ends the
    /// program when the kernel refuses.
    @discardableResult
    public static func startHeap(pageCount: UInt64) -> Slot {
        let pmo = Native.call(.pmoCreate, pageCount)
        guard pmo >= 0 else { panic("no PMO for the heap") }
        let bytes = pageCount &* pageSize
        let protection = Protection.read.rawValue | Protection.write.rawValue
        let mapped = Native.call(
            .map, UInt64(RootSlot.vmSpace.value), heapAddress.value, bytes, UInt64(pmo), 0,
            UInt64(protection))
        guard mapped == 0 else { panic("the heap could not be mapped") }
        guard ProgramHeap.start(at: UInt(heapAddress.value), byteCount: UInt(bytes)) else {
            panic("the heap is too small")
        }
        return Slot(UInt32(truncatingIfNeeded: pmo))
    }
}
