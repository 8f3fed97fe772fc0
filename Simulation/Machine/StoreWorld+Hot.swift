import ABI
import Store

/// A page's copy in the world's DRAM, which a crash loses.
struct HotCopy {
    struct Key: Hashable {
        var pmo: Int
        var page: Int
    }
    var words: [UInt64]
    var isDirty: Bool
}

/// Hot pages of the kernel in miniature: as `Kernel+HotPages`, but chosen at random.
extension StoreWorld {
    /// The copy of a page, if it is hot, or becomes so now.
    func warm(_ position: Int, _ page: Int, _ tree: PageTree) throws(StoreError) -> HotCopy.Key? {
        if hotPages == 0 { return nil }
        let key = HotCopy.Key(pmo: position, page: page)
        if hot[key] != nil { return key }
        guard hot.count < hotPages, random.below(2) == 0,
            let frame = try store.cleanFrame(WorldModel.pages[page], of: tree)
        else { return nil }
        var words = [UInt64](repeating: 0, count: 512)
        words.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { nvm.readFrame(frame, into: base) }
        }
        hot[key] = HotCopy(words: words, isDirty: false)
        return key
    }

    /// Puts what was written into the version being built, and lets some clean copies go.
    func captureHot() throws(StoreError) {
        for key in hot.keys.sorted(by: { ($0.pmo, $0.page) < ($1.pmo, $1.page) }) {
            guard let copy = hot[key] else { continue }
            if !copy.isDirty {
                if random.below(4) == 0 { hot[key] = nil }
                continue
            }
            guard var pmo = table.pmos[key.pmo] else { continue }
            let before = store.promisedNet
            defer {
                pmo.promised = pmo.promised &+ store.promisedNet &- before
                table.pmos[key.pmo] = pmo
                records[key.pmo].isDirty = true
            }
            let buffer = UnsafeMutablePointer<UInt64>.allocate(capacity: 512)
            defer { buffer.deallocate() }
            for word in 0..<512 { buffer[word] = copy.words[word] }
            try store.capture(
                WorldModel.pages[key.page], of: &pmo.tree, from: buffer, owners: table)
            hot[key]?.isDirty = false
        }
    }

    func dropHot(_ position: Int, page: Int? = nil) {
        for key in hot.keys where key.pmo == position && (page == nil || key.page == page) {
            hot[key] = nil
        }
    }
}
