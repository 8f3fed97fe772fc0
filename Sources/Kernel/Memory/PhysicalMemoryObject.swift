import ABI
import Store

/// Where a PMO's pages are.
enum PMOBacking {
    /// In frames of a page tree, versioned.
    case anonymous
    /// In consecutive frames, neither versioned nor rolled back.
    case eternal(first: FrameNumber)
    /// Registers of a device.
    case device(PhysicalAddress)
}

/// Physical memory object: pages that VM spaces map.
struct PhysicalMemoryObject {
    var id: ObjectID
    var backing: PMOBacking
    var pageCount: UInt64
    var tree: PageTree
    /// Frames promised to this PMO's pages and nodes: what its death gives back.
    var promised: UInt64 = 0
    /// Which ring it is: one's `local` pointer is part of each version.
    var ring: RingNumber?
    var ringLocal: UInt64 = 0
    /// Volatile: regions that map it.
    var firstRegion: RegionPointer?
    /// Volatile: its pages that are in DRAM.
    var hotPages = 0

    var kind: PMOKind {
        switch backing {
        case .anonymous: .anonymous
        case .eternal: .eternal
        case .device: .device
        }
    }
}

typealias PMOPointer = UnsafeMutablePointer<PhysicalMemoryObject>
