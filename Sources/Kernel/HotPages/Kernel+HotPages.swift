import ABI
import Machine
import Store

/// Hot pages: written in version after version, so their runtime copies are in DRAM, always
/// writable, and each is copied into the older of its two frames when a version is made
/// (`Store.capture`). They cost a copy in the pause instead of a fault and a copy outside it
/// (TreeSLS's hybrid copy; Docs/decisions/0006-hot-pages.md).
///
/// - *In*: at the write fault of a clean page that was copied in enough of the last versions. The
///   fault copies it to DRAM instead of to its other frame; nothing on NVM changes.
/// - *Out*: when no version found it written for long. Its newest frame holds the same bytes then,
///   so it only has to be forgotten.
extension Kernel {
    /// The hot place of a page. Costs a comparison for PMOs that have none.
    func hotPlace(_ pmo: PMOPointer, _ page: UInt64) -> Int? {
        pmo.pointee.hotPages == 0 ? nil : hot.find(pmo, page)
    }

    /// Moves a page to DRAM that is about to be written and was copied often; nil when it is not
    /// hot enough, or cannot be moved now.
    mutating func warm(_ pmo: PMOPointer, _ page: UInt64) throws(StoreError) -> Int? {
        guard hot.hasRoom,
            heat.copies(pmo, page, version: store.building.value) >= options.hotCopies,
            let frame = try store.cleanFrame(page, of: pmo.pointee.tree)
        else { return nil }
        removeTranslations(of: pmo, pages: page..<(page + 1))
        let place = hot.add(pmo, page)
        store.memory.readFrame(frame, into: hot.pages[place].bytes)
        hot.pages.noteWritten(place)
        pmo.pointee.hotPages += 1
        return place
    }

    /// Notes that a page was copied on its first write in this version.
    func noteCopied(_ pmo: PMOPointer, _ page: UInt64) {
        if hot.capacity > 0 { heat.add(pmo, page, version: store.building.value) }
    }

    /// In the pause, before records are encoded (the sums of PMOs change): what was written in hot
    /// pages becomes part of the version being built.
    mutating func captureHotPages() throws(StoreError) {
        if hot.count == 0 { return }
        machine.collectDirty()
        for word in 0..<hot.wordCount {
            var bits = hot.takeWritten(word)
            while bits != 0 {
                try capture(word * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
        coolPages()
    }

    private mutating func capture(_ place: Int) throws(StoreError) {
        let entry = hot[place]
        guard let pmo = entry.pmo else { return }
        let before = store.promisedNet
        var tree = pmo.pointee.tree
        defer { settle(pmo, before, tree) }
        try store.capture(
            entry.page, of: &tree, from: hot.pages[place].bytes, owners: owners)
        statistics.pagesCaptured &+= 1
        statistics.bytesWritten &+= pageSize
    }

    /// Takes out what was not written for long. Everything was captured just before.
    private mutating func coolPages() {
        if let place = hot.leaving { cool(place) }
        var step = 0
        while let cold = hot.takeCold(
            version: store.building.value, step: step, versions: options.hotRest)
        {
            var bits = cold.bits
            while bits != 0 {
                cool(cold.word * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
            step += 1
        }
    }

    /// A captured page goes back to its newest frame.
    private mutating func cool(_ place: Int) {
        guard let pmo = hot[place].pmo else { return }
        let page = hot[place].page
        assert(!hot.pages.isWritten(place), "a page leaves DRAM that was not captured")
        removeTranslations(of: pmo, pages: page..<(page + 1))
        forget(place, of: pmo)
    }

    private mutating func forget(_ place: Int, of pmo: PMOPointer) {
        hot.remove(place)
        pmo.pointee.hotPages -= 1
    }

    /// What was in a page is of no use any more: a hole comes in its place. No mapping leads there.
    mutating func dropHot(_ pmo: PMOPointer, _ page: UInt64) {
        if let place = hotPlace(pmo, page) { forget(place, of: pmo) }
    }

    /// All hot pages of a PMO that dies.
    mutating func dropHotPages(of pmo: PMOPointer) {
        var place = 0
        while pmo.pointee.hotPages > 0 && place < hot.capacity {
            if hot[place].pmo == pmo { forget(place, of: pmo) }
            place += 1
        }
        assert(pmo.pointee.hotPages == 0, "hot pages of a PMO that are nowhere")
    }
}
