import ABI
import Machine
import Store

/// VM spaces as wholes, and the tables of their regions.
extension Kernel {
    mutating func makeSpace() throws(NativeError) -> VMSpacePointer {
        let id = try newIdentity(large: false)
        guard let place = spaces.allocate(VMSpace(id: id)) else { throw noRoom(id) }
        attach(.vmSpace, place)
        return place
    }

    mutating func burySpace(_ space: VMSpacePointer) {
        while space.pointee.count > 0 {
            deleteRegion(space, at: space.pointee.count - 1)
        }
        if !space.pointee.translation.isNone { machine.dropTranslation(space.pointee.translation) }
        space.pointee.regions.deallocate()
        spaces.free(space)
    }

    mutating func ensureTranslation(_ space: VMSpacePointer) throws(NativeError) {
        if !space.pointee.translation.isNone { return }
        guard let made = machine.makeTranslation() else { throw .noMemory }
        space.pointee.translation = made
    }

    func reserve(_ space: VMSpacePointer, more: Int) throws(NativeError) {
        let needed = space.pointee.count + more
        if needed <= space.pointee.capacity { return }
        guard needed <= VMSpace.maximumRegions else { throw .noMemory }
        let capacity = max(needed, space.pointee.capacity * 2)
        let larger = UnsafeMutablePointer<RegionPointer>.allocate(capacity: capacity)
        larger.update(from: space.pointee.regions, count: space.pointee.count)
        space.pointee.regions.deallocate()
        space.pointee.regions = larger
        space.pointee.capacity = capacity
    }

    func insertRegion(_ region: RegionPointer, at index: Int) {
        let space = region.pointee.space
        var place = space.pointee.count
        while place > index {
            space.pointee.regions[place] = space.pointee.regions[place - 1]
            place -= 1
        }
        space.pointee.regions[index] = region
        space.pointee.count += 1
        assert(isInOrder(space, at: index), "regions overlap or are out of order")
    }

    /// For assertions: a region lies between its neighbours.
    private func isInOrder(_ space: VMSpacePointer, at index: Int) -> Bool {
        let regions = space.pointee.regions
        let region = regions[index].pointee
        return region.start < region.end
            && (index == 0 || regions[index - 1].pointee.end <= region.start)
            && (index + 1 == space.pointee.count
                || region.end <= regions[index + 1].pointee.start)
    }

    func linkRegion(_ region: RegionPointer) {
        let pmo = region.pointee.pmo
        region.pointee.previous = nil
        region.pointee.next = pmo.pointee.firstRegion
        if let first = pmo.pointee.firstRegion { first.pointee.previous = region }
        pmo.pointee.firstRegion = region
    }

    func unlinkRegion(_ region: RegionPointer) {
        let next = region.pointee.next
        if let previous = region.pointee.previous {
            previous.pointee.next = next
        } else {
            region.pointee.pmo.pointee.firstRegion = next
        }
        if let next { next.pointee.previous = region.pointee.previous }
    }

    /// Makes room in a space while it is being rebuilt at a restore.
    func reserveForRestore(_ space: VMSpacePointer) throws(NativeError) {
        try reserve(space, more: 1)
    }
}
