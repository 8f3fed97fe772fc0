import ABI
import Machine
import Store

extension Kernel {
    /// Pages that one call deals with at most.
    static var decommitBatch: UInt64 { 1024 }

    /// Makes a page range read as zeros. Deals with a bounded part; returns how many pages.
    mutating func decommit(_ pmo: PMOPointer, first: UInt64, count: UInt64) throws(NativeError)
        -> UInt64
    {
        let end = min(first &+ min(count, Self.decommitBatch), pmo.pointee.pageCount)
        guard first < end else { return count }
        assert(pmo.pointee.kind == .anonymous, "a hole in memory that has no versions")
        removeTranslations(of: pmo, pages: first..<end)
        var page = first
        while page < end {
            if mustMakeRoom {
                if page == first { throw .again }
                break
            }
            dropHot(pmo, page)
            let before = store.promisedNet
            var tree = pmo.pointee.tree
            do throws(StoreError) {
                if try store.decommit(page, of: &tree, owners: owners) {
                    holes.append(DeferredHoles.Hole(pmo: pmo.pointee.id, page: page))
                }
            } catch {
                // Nodes that were added before the store was full are the PMO's.
                settle(pmo, before, tree)
                throw fail(error)
            }
            settle(pmo, before, tree)
            page += 1
        }
        return page - first
    }

    /// Grows at once. Shrinks from the end, batch by batch; `again` says that the PMO is smaller
    /// but not yet small enough.
    mutating func resize(_ pmo: PMOPointer, pages: UInt64) throws(NativeError) -> UInt64 {
        var batches = 64
        while pmo.pointee.pageCount > pages {
            if batches == 0 { throw .again }
            batches -= 1
            let end = pmo.pointee.pageCount
            let first = max(pages, end &- min(end, Self.decommitBatch))
            pmo.pointee.tree.basePages = min(pmo.pointee.tree.basePages, first)
            if first == 0 { pmo.pointee.tree.base = .none }
            let done = try decommit(pmo, first: first, count: end - first)
            if done < end - first { throw .again }
            pmo.pointee.pageCount = first
            markDirty(pmo.pointee.id)
        }
        pmo.pointee.pageCount = pages
        markDirty(pmo.pointee.id)
        return 0
    }

    /// After a commit: gives back the frames that the committed holes hide.
    mutating func finishHoles() {
        for index in 0..<holes.count {
            let hole = holes[index]
            guard let pmo = body(hole.pmo, as: PhysicalMemoryObject.self) else { continue }
            do throws(StoreError) {
                try store.finishDecommit(hole.page, of: pmo.pointee.tree)
            } catch { _ = fail(error) }
        }
        holes.removeAll()
    }
}
