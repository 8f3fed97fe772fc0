import ABI

/// The undo list of links: where a node was hung into an existing page tree or record table by the
/// version being built.
///
/// Nodes carry no version, so after a crash a node of the aborted version would stay linked, in use
/// but counted by no commit record. Each link is therefore noted before it is made, and a restore
/// takes the links of the aborted version away again. Frames that only the aborted version used may
/// be written to: the committed one needs none of them.
///
/// Entry: word 0 the version; word 1 the offset of the parent's word, durable before word 0. So the
/// entries of one version are the first ones of the list, and a word among them that fails its
/// check is damage, never a torn write.
enum LinkLog {
    static let entryBytes: UInt64 = 16
    /// Links that one version can make.
    static let capacity = Int(UInt64(StoreLayout.linkFrames) * pageSize / entryBytes)

    static func entry(_ index: Int) -> UInt64 {
        StoreLayout.links.offset + UInt64(index) * entryBytes
    }

    /// How many links the version that a crash aborted had noted: those from the beginning whose
    /// version is neither committed nor of an earlier crash.
    static func count(
        _ memory: borrowing some PersistentMemory, _ layout: StoreLayout, _ check: WordCheck,
        committed: Version,
        history: History
    ) throws(StoreError) -> Int {
        for index in 0..<capacity {
            let entry = entry(index)
            guard let version = check.open48(memory.load(entry), at: entry) else {
                throw .damagedLinks
            }
            if version <= committed.value || version < history.firstBuilding.value { return index }
            guard let parent = check.open48(memory.load(entry + 8), at: entry + 8),
                isPlace(parent, layout)
            else { throw .damagedLinks }
        }
        return capacity
    }

    /// Whether a link can be at an offset: in the roots of the record tables or in a data frame.
    private static func isPlace(_ offset: UInt64, _ layout: StoreLayout) -> Bool {
        let frame = offset / pageSize
        let roots = UInt64(StoreLayout.recordRoots.value)
        if offset % 8 != 0 || frame >= UInt64(layout.frameCount) { return false }
        return frame == roots || frame == roots + 1 || frame >= UInt64(layout.firstDataFrame)
    }
}

extension Store {
    /// Notes a link about to be made. The caller's fence makes the note durable before the link.
    mutating func noteLink(_ parent: UInt64) {
        precondition(linkCount < LinkLog.capacity, "list of links is full")
        let entry = LinkLog.entry(linkCount)
        memory.store(check.seal48(parent, at: entry + 8), at: entry + 8)
        memory.flush(entry + 8, length: 8)
        memory.fence()
        memory.store(check.seal48(building.value, at: entry), at: entry)
        memory.flush(entry, length: 8)
        linkCount += 1
    }

    /// For assertions: the newest note is of this place, and durable.
    func isLinkNoted(_ parent: UInt64) -> Bool {
        let entry = LinkLog.entry(linkCount - 1)
        return check.open48(memory.load(entry), at: entry) == building.value
            && check.open48(memory.load(entry + 8), at: entry + 8) == parent
            && memory.isDurable(entry, length: LinkLog.entryBytes)
    }

    /// The parent's word of a link that the version a crash aborted made, or nil when there is no
    /// link.
    func abortedLink(_ index: Int) -> UInt64? {
        let entry = LinkLog.entry(index)
        guard let parent = check.open48(memory.load(entry + 8), at: entry + 8),
            // The parent may have been freed and used for something else since: then the word is no
            // link.
            let child = check.open32(memory.load(parent), at: parent), child != 0
        else { return nil }
        return parent
    }

    /// Takes the links of the aborted version away. Before the history that aborts it is written: a
    /// crash in here begins again with the same list.
    func undoLinks() {
        for index in 0..<abortedLinks {
            guard let parent = abortedLink(index) else { continue }
            memory.store(check.seal32(0, at: parent), at: parent)
            memory.flush(parent, length: 8)
        }
        memory.fence()
    }
}
