import ABI
import Machine
import Store

/// PMOs: made, buried, their frames given back.
extension Kernel {
    mutating func makePMO(pageCount: UInt64, backing: PMOBacking = .anonymous)
        throws(NativeError)
        -> PMOPointer
    {
        guard pageCount > 0, pageCount <= PageTree.maximumPages else { throw .badArgument }
        let id = try newIdentity(large: false)
        let body = PhysicalMemoryObject(
            id: id, backing: backing, pageCount: pageCount, tree: PageTree(owner: id))
        guard let place = pmos.allocate(body) else { throw noRoom(id) }
        attach(.pmo, place)
        return place
    }

    /// An anonymous PMO that shows pages of the image until they are written. Errors:
    /// `badArgument` when `image` is not the image, or does not hold the range.
    mutating func makePMO(showing image: PMOPointer, first: UInt64, pageCount: UInt64)
        throws(NativeError) -> PMOPointer
    {
        guard case .eternal(let base) = image.pointee.backing, pageCount > 0,
            first < image.pointee.pageCount, pageCount <= image.pointee.pageCount - first,
            store.layout.isImage(UInt64(base.value) + first, pages: pageCount)
        else { throw .badArgument }
        let made = try makePMO(pageCount: pageCount)
        made.pointee.tree.base = FrameNumber(base.value + UInt32(truncatingIfNeeded: first))
        made.pointee.tree.basePages = pageCount
        return made
    }

    /// A PMO's frames are given back piece by piece, after the commit of the version that lacks it.
    mutating func buryPMO(_ pmo: PMOPointer) {
        assert(pmo.pointee.firstRegion == nil, "a PMO dies that is mapped")
        dropHotPages(of: pmo)
        dyingPromised += pmo.pointee.promised
        if header(pmo.pointee.id).pointee.wasCommitted {
            markDirty(pmo.pointee.id)
            buried[buriedCount] = pmo
            buriedCount += 1
        } else {
            reapable[reapableCount] = pmo
            reapableCount += 1
        }
    }

    /// Gives back a bounded number of frames of dead PMOs.
    mutating func reapSome() {
        guard reapableCount > 0 else { return }
        let pmo = reapable[reapableCount - 1]
        var released: UInt64 = 0
        var done = false
        do { done = try store.reap(&pmo.pointee.tree, leaves: 2, released: &released) } catch {
            _ = fail(error)
            done = true
        }
        assert(released <= pmo.pointee.promised, "more frames come back than were promised")
        pmo.pointee.promised -= released
        dyingPromised -= released
        if !done { return }
        reapableCount -= 1
        assert(pmo.pointee.promised == 0 || damage != nil, "a dead PMO's frames are not all back")
        dyingPromised -= pmo.pointee.promised
        // Until now its frames were not to be had for another ring.
        if let number = pmo.pointee.ring { rings.remove(number) }
        let index = pmo.pointee.id.index
        pmos.free(pmo)
        objects.pointee.header(index).pointee.clearBody()
        objects.pointee.giveBack(index)
    }
}
