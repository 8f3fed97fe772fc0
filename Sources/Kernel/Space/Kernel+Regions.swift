import ABI
import Machine
import Store

/// VM spaces: sorted, disjoint regions, each mapping a range of one PMO.
extension Kernel {
    /// Index of the first region that ends above an address.
    func regionIndex(_ space: VMSpacePointer, above address: UserAddress) -> Int {
        var low = 0
        var high = space.pointee.count
        while low < high {
            let middle = (low + high) / 2
            if space.pointee.regions[middle].pointee.end <= address {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// The region that holds an address.
    func region(_ space: VMSpacePointer, at address: UserAddress) -> RegionPointer? {
        let index = regionIndex(space, above: address)
        guard index < space.pointee.count else { return nil }
        let found = space.pointee.regions[index]
        return found.pointee.start <= address ? found : nil
    }

    /// A page-aligned range inside the user's half.
    func checkRange(_ address: UserAddress, _ length: UInt64) throws(NativeError)
        -> Range<UserAddress>
    {
        guard address.isPageAligned, length % pageSize == 0, length > 0,
            address >= UserAddress.lowest, address < UserAddress.limit,
            length <= UserAddress.limit - address
        else { throw .badArgument }
        return address..<(address + length)
    }

    mutating func map(
        _ space: VMSpacePointer, _ range: Range<UserAddress>, pmo: PMOPointer, offset: UInt64,
        protection: Protection, limit: Protection
    ) throws(NativeError) {
        // Splitting what is there may need two more places; ask for them before anything changes.
        try reserve(space, more: 3)
        let id = try newIdentity(large: false)
        let body = Region(
            id: id, space: space, pmo: pmo, start: range.lowerBound, end: range.upperBound,
            offset: offset,
            protection: protection, limit: limit)
        guard let region = regions.allocate(body) else {
            objects.pointee.putFree(id.index)
            throw .noMemory
        }
        do { try clear(space, range) } catch {
            regions.free(region)
            objects.pointee.putFree(id.index)
            throw error
        }
        attach(.region, region)
        retain(pmo.pointee.id)
        linkRegion(region)
        insertRegion(region, at: regionIndex(space, above: range.lowerBound))
    }

    /// Removes all mappings in a range, splitting regions at its ends.
    mutating func clear(_ space: VMSpacePointer, _ range: Range<UserAddress>) throws(NativeError) {
        try split(space, at: range.lowerBound)
        try split(space, at: range.upperBound)
        let index = regionIndex(space, above: range.lowerBound)
        while index < space.pointee.count,
            space.pointee.regions[index].pointee.start < range.upperBound
        {
            deleteRegion(space, at: index)
        }
    }

    mutating func protect(
        _ space: VMSpacePointer, _ range: Range<UserAddress>, _ protection: Protection
    ) throws(NativeError) {
        var at = range.lowerBound
        var index = regionIndex(space, above: at)
        while at < range.upperBound {
            guard index < space.pointee.count, space.pointee.regions[index].pointee.start <= at
            else {
                throw .notMapped
            }
            guard space.pointee.regions[index].pointee.limit.isSuperset(of: protection) else {
                throw .noRights
            }
            at = space.pointee.regions[index].pointee.end
            index += 1
        }
        try split(space, at: range.lowerBound)
        try split(space, at: range.upperBound)
        index = regionIndex(space, above: range.lowerBound)
        while index < space.pointee.count {
            let region = space.pointee.regions[index]
            if region.pointee.start >= range.upperBound { break }
            region.pointee.protection = protection
            markDirty(region.pointee.id)
            index += 1
        }
        removeTranslations(space, range)
    }

    /// Cuts the region that an address lies inside of into two. Nothing changes for the program.
    private mutating func split(_ space: VMSpacePointer, at address: UserAddress)
        throws(NativeError)
    {
        guard let region = region(space, at: address), region.pointee.start < address else {
            return
        }
        try reserve(space, more: 1)
        let id = try newIdentity(large: false)
        var upper = region.pointee
        upper.id = id
        upper.start = address
        upper.offset = region.pointee.offset + (address - region.pointee.start)
        guard let place = regions.allocate(upper) else {
            objects.pointee.putFree(id.index)
            throw .noMemory
        }
        attach(.region, place)
        retain(upper.pmo.pointee.id)
        linkRegion(place)
        region.pointee.end = address
        markDirty(region.pointee.id)
        insertRegion(place, at: regionIndex(space, above: address))
    }

    mutating func deleteRegion(_ space: VMSpacePointer, at index: Int) {
        let region = space.pointee.regions[index]
        removeTranslations(space, region.pointee.range)
        for place in index..<(space.pointee.count - 1) {
            space.pointee.regions[place] = space.pointee.regions[place + 1]
        }
        space.pointee.count -= 1
        unlinkRegion(region)
        release(region.pointee.pmo.pointee.id)
        let object = region.pointee.id.index
        regions.free(region)
        vanish(object)
    }

    mutating func removeTranslations(_ space: VMSpacePointer, _ range: Range<UserAddress>) {
        guard !space.pointee.translation.isNone else { return }
        machine.remove(
            space.pointee.translation, from: range.lowerBound,
            pages: (range.upperBound - range.lowerBound) / pageSize, core: currentCore)
    }

    /// Removes what any space maps of a PMO's page range.
    mutating func removeTranslations(of pmo: PMOPointer, pages: Range<UInt64>) {
        var next = pmo.pointee.firstRegion
        while let region = next {
            let first = region.pointee.offset / pageSize
            let count = region.pointee.pageCount
            let low = max(first, pages.lowerBound)
            let high = min(first + count, pages.upperBound)
            if low < high {
                let start = region.pointee.start + (low - first) * pageSize
                removeTranslations(region.pointee.space, start..<(start + (high - low) * pageSize))
            }
            next = region.pointee.next
        }
    }
}
