import ABI
import Store

/// A part of the store's region in which faults are tried, each part as often as the others.
struct StoreZone {
    let name: String
    let frames: [UInt32]

    static func all(of memory: ImageMemory, isContent: [Bool]) -> [StoreZone] {
        let layout = StoreLayout(frameCount: memory.frameCount)
        let tables = (layout.firstDataFrame..<memory.frameCount).filter { frame in
            !isContent[Int(frame)]
                && (0..<512).contains { memory.load(FrameNumber(frame).offset + $0 * 8) != 0 }
        }
        return [
            StoreZone(name: "superblocks", frames: [0, 1]),
            StoreZone(name: "commit slots", frames: Array(2..<6)),
            StoreZone(name: "history slots", frames: Array(6..<10)),
            StoreZone(
                name: "counters and rings", frames: Array(10..<StoreLayout.recordRoots.value)),
            StoreZone(name: "record roots", frames: [117, 118]),
            StoreZone(name: "links", frames: Array(119..<123)),
            StoreZone(
                name: "stamps", frames: Array(StoreLayout.stamps.value..<layout.firstDataFrame)),
            StoreZone(name: "records and nodes", frames: tables),
            StoreZone(name: "anywhere", frames: Array(0..<memory.frameCount)),
        ]
    }

    /// Which frames hold the present content of a page.
    static func contentFrames(of memory: ImageMemory) throws(StoreError) -> [Bool] {
        var isContent = [Bool](repeating: false, count: Int(memory.frameCount))
        let store = try Store(reading: memory)
        defer { store.close() }
        for index in 0..<store.lastCommit.smallRecords {
            guard let view = try store.record(index, at: store.committed),
                view.kind == ObjectKind.pmo.rawValue
            else { continue }
            var reader = store.reader(of: view)
            let kind = reader.next() & 0xFF
            let pages = reader.next()
            let root = FrameNumber(UInt32(truncatingIfNeeded: reader.next()))
            let depth = UInt8(truncatingIfNeeded: reader.next())
            guard kind == UInt64(PMOKind.anonymous.rawValue) else { continue }
            let owner = ObjectID(index: index, generation: view.generation)
            let tree = PageTree(owner: owner, root: root, depth: depth)
            for page in 0..<pages {
                guard let offset = try tree.pair(page, in: store) else { continue }
                let pair = try store.loadPair(offset, owner: owner, page: page)
                if let choice = restoreChoice(pair, at: store.committed, history: store.history) {
                    isContent[Int(pair[choice].frame.value)] = !pair[choice].frame.isNone
                }
            }
        }
        return isContent
    }
}
