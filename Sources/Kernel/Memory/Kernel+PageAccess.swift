import ABI
import Machine
import Store

/// How a page access ended.
enum PageAccess {
    case frame(PageFrame)
    case device(PhysicalAddress)
    /// Reads as zeros; nothing holds it.
    case absent
}

/// From a page of a PMO to where it is: the one way to it, and the one gate of every write.
extension Kernel {
    /// A page of a PMO, ready to be read or written. `fill`: an absent page gets a frame even for a
    /// read.
    mutating func access(
        _ pmo: PMOPointer, page: UInt64, isWrite: Bool, fill: Bool
    ) throws(NativeError) -> PageAccess {
        guard page < pmo.pointee.pageCount else { throw .badAddress }
        switch pmo.pointee.backing {
        case .device(let first): return .device(first + page * pageSize)
        case .eternal(let first):
            return .frame(PageFrame(FrameNumber(first.value + UInt32(truncatingIfNeeded: page))))
        case .anonymous: break
        }
        if let place = hotPlace(pmo, page) {
            if isWrite { hot.pages.noteWritten(place) }
            return .frame(PageFrame(hot.pages[place]))
        }
        do throws(StoreError) {
            if !isWrite {
                switch try store.pageState(page, of: pmo.pointee.tree) {
                case .present(let frame, _): return .frame(PageFrame(frame))
                case .absent: if !fill { return .absent }
                }
            }
            return .frame(try makeWritable(pmo, page: page))
        } catch { throw fail(error) }
    }

    /// The gate of every write to a versioned page. Keeps the PMO's account of promised frames.
    private mutating func makeWritable(_ pmo: PMOPointer, page: UInt64) throws(StoreError)
        -> PageFrame
    {
        if let place = try warm(pmo, page) { return PageFrame(hot.pages[place]) }
        let before = store.promisedNet
        var tree = pmo.pointee.tree
        defer { settle(pmo, before, tree) }
        let outcome = try store.makeWritable(page, of: &tree, owners: owners)
        switch outcome {
        case .alreadyDirty, .fresh: break
        case .copied:
            noteCopied(pmo, page)
            statistics.copyOnWrites &+= 1
            statistics.bytesWritten &+= pageSize
        case .moved:
            statistics.copyOnWrites &+= 1
            statistics.bytesWritten &+= pageSize
            // What the image's frame was mapped as: nobody may read the old bytes any more.
            removeTranslations(of: pmo, pages: page..<(page + 1))
        }
        return PageFrame(outcome.frame)
    }

    /// Brings a PMO's own account and tree up to date after the store worked on it.
    mutating func settle(_ pmo: PMOPointer, _ before: UInt64, _ tree: PageTree) {
        if store.promisedNet == before && tree == pmo.pointee.tree { return }
        pmo.pointee.tree = tree
        assert(tree.owner == pmo.pointee.id, "another PMO's tree")
        pmo.pointee.promised = pmo.pointee.promised &+ store.promisedNet &- before
        markDirty(pmo.pointee.id)
    }
}
