import ABI

/// The undo list of links: where a node was hung into an existing page tree or record table by the version being built.
///
/// Nodes carry no version, so after a crash a node of the aborted version would stay linked, in use but counted by no
/// commit record. Each link is therefore noted before it is made, and a restore takes the links of the aborted
/// version away again. Frames that only the aborted version used may be written to: the committed one needs none of them.
///
/// Entry: word 0 the version; word 1 the offset of the parent's word, checked together with the version, so that a
/// torn entry (whose link was never made) does not pass.
enum LinkLog {
    static let entryBytes: UInt64 = 16
    /// Links that one version can make.
    static let capacity = Int(UInt64(StoreLayout.linkFrames) * pageSize / entryBytes)

    static func entry(_ index: Int) -> UInt64 { StoreLayout.links.offset + UInt64(index) * entryBytes }
    /// The place that the check of word 1 covers.
    static func place(_ entry: UInt64, _ version: UInt64) -> UInt64 { (entry + 8) ^ version << 16 }
}

extension Store {
    /// Notes a link about to be made. The caller's fence makes the note durable before the link.
    mutating func noteLink(_ parent: UInt64) {
        precondition(linkCount < LinkLog.capacity, "list of links is full")
        let entry = LinkLog.entry(linkCount)
        memory.store(check.seal48(building.value, at: entry), at: entry)
        memory.store(check.seal48(parent, at: LinkLog.place(entry, building.value)), at: entry + 8)
        memory.flush(entry, length: LinkLog.entryBytes)
        linkCount += 1
    }

    /// The parent's word of a link that the version a crash aborted made, or nil for a stale, torn or damaged entry.
    /// Valid until the next incarnation begins.
    func abortedLink(_ index: Int) -> UInt64? {
        let entry = LinkLog.entry(index)
        guard let version = check.open48(memory.load(entry), at: entry),
            version > committed.value, version >= history.firstBuilding.value,
            let parent = check.open48(memory.load(entry + 8), at: LinkLog.place(entry, version)),
            parent % 8 == 0, isLinkWord(parent),
            // The parent may have been freed and used for something else since: then the word is no link.
            let child = check.open32(memory.load(parent), at: parent), child != 0
        else { return nil }
        return parent
    }

    private func isLinkWord(_ offset: UInt64) -> Bool {
        let frame = offset / pageSize
        let roots = UInt64(StoreLayout.recordRoots.value)
        if frame == roots || frame == roots + 1 { return true }
        return frame >= UInt64(layout.firstDataFrame) && frame < UInt64(layout.frameCount)
    }

    /// Takes the links of the aborted version away. Before the history that aborts it is written: a crash in here begins
    /// again with the same list.
    func undoLinks() {
        for index in 0..<LinkLog.capacity {
            guard let parent = abortedLink(index) else { continue }
            memory.store(0, at: parent)
            memory.flush(parent, length: 8)
        }
        memory.fence()
    }
}
