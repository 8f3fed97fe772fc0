import ABI
import Machine
import Store

/// An address space: regions, and the translation that caches them.
struct VMSpace {
    var id: ObjectID
    var translation = Translation.none
    /// Regions by ascending address; never overlapping.
    var regions: UnsafeMutablePointer<RegionPointer>
    var count = 0
    var capacity: Int

    static let maximumRegions = 65536

    init(id: ObjectID) {
        self.id = id
        capacity = 16
        regions = .allocate(capacity: capacity)
    }
}

/// One mapped range of a VM space.
struct Region {
    var id: ObjectID
    var space: VMSpacePointer
    var pmo: PMOPointer
    var start: UserAddress
    var end: UserAddress
    /// Offset in the PMO of `start`, in bytes.
    var offset: UInt64
    var protection: Protection
    /// What `protect` may ask for at most: the rights of the capability it was mapped with.
    var limit: Protection
    var next: RegionPointer?
    var previous: RegionPointer?

    /// The page of the PMO that stands at an address of the region.
    func page(at address: UserAddress) -> UInt64 {
        assert(start <= address && address < end, "an address outside the region")
        return (offset + (address - start)) / pageSize
    }
    var range: Range<UserAddress> { start..<end }
    var pageCount: UInt64 { (end - start) / pageSize }
}

typealias VMSpacePointer = UnsafeMutablePointer<VMSpace>
typealias RegionPointer = UnsafeMutablePointer<Region>
