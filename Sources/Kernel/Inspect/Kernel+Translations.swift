import ABI
import Machine
import Store

/// What translations may hold.
extension Kernel {
    /// Checks one entry of a space's translation against its regions and pages. Returns what is
    /// wrong.
    public func checkEntry(
        _ translation: Translation, page: UInt64, frame: PageFrame, writable: Bool, tracked: Bool
    ) -> StaticString? {
        var owner: VMSpacePointer?
        objects.pointee.forEach(VMSpace.self) {
            if $0.pointee.translation == translation { owner = $0 }
        }
        guard let space = owner else { return "a translation without a space" }
        let address = UserAddress(page * pageSize)
        guard let region = region(space, at: address) else { return "an entry without a region" }
        if writable && !permits(region, .write) {
            return "an entry allows writes that its region does not"
        }
        let pmo = region.pointee.pmo
        let number = region.pointee.page(at: address)
        if number >= pmo.pointee.pageCount { return "an entry behind the end of its PMO" }
        if case .eternal(let first) = pmo.pointee.backing {
            let right = FrameNumber(UInt32(truncatingIfNeeded: UInt64(first.value) + number))
            return frame == PageFrame(right) ? nil : "an entry to a wrong eternal frame"
        }
        if let place = hotPlace(pmo, number) {
            return frame == PageFrame(hot.pages[place])
                ? nil : "an entry to the frame of a page that is in memory"
        }
        guard
            case .present(let current, let dirty)? = try? store.pageState(
                number, of: pmo.pointee.tree)
        else { return "an entry to a page that is not there" }
        if frame != PageFrame(current) { return "an entry to an old frame" }
        if writable && !dirty { return "a writable entry to a clean page" }
        if writable && !tracked { return "a writable entry that a checkpoint would miss" }
        return nil
    }
}
