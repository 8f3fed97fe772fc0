import ABI
import Store

/// A kernel in miniature over a real `Store`: a few PMOs and their records, changed at random,
/// checkpointed as the kernel does it, and compared with a model at every crash.
public final class StoreWorld {
    public let nvm: SimulatedNVM
    public let log: FailureLog
    public internal(set) var store: Store<SimulatedNVM>
    var table = WorldPMOs()
    var records: [WorldRecord]
    /// The state now; what the last completed commit holds; what a commit under way would hold.
    var model = WorldModel()
    var committedModel = WorldModel()
    var inFlight: WorldModel?
    /// Pages made holes in this version whose old frame waits for the commit.
    var deferred: [(pmo: Int, page: Int)] = []
    var random: RandomSource
    /// How deep in nested crashes this world is.
    let depth: Int
    public var probing = CrashProbing()
    /// How many pages may be hot, and those that are.
    public var hotPages = 0
    var hot: [HotCopy.Key: HotCopy] = [:]

    /// A new store.
    public init(nvm: SimulatedNVM, seed: UInt64, log: FailureLog) throws(StoreError) {
        self.nvm = nvm
        self.log = log
        depth = 0
        random = RandomSource(seed: seed)
        records = Array(repeating: WorldRecord(), count: WorldModel.indices.count)
        let identity = StoreIdentity(
            uuidLow: seed, uuidHigh: ~seed, frameCount: nvm.frameCount, domain: nvm.domain,
            created: 0, imageFrames: WorldModel.imageFrames)
        try Store.format(nvm, identity: identity)
        for (page, frame) in identity.layout.image.enumerated() {
            for offset in WorldModel.offsets {
                nvm.store(
                    WorldModel.imageWord(UInt64(page), offset),
                    at: FrameNumber(frame).offset + offset)
            }
        }
        nvm.settle()
        store = try Store(reading: nvm, dirtyCapacity: 256)
        if !store.beginIncarnation() { log.add("a new store has a full history") }
    }

    /// The store as a crash left it: must hold one of `expected`. `prepare` runs before anything is
    /// written.
    init(
        recovering nvm: SimulatedNVM, expecting expected: [WorldModel], depth: Int, seed: UInt64,
        log: FailureLog,
        prepare: (StoreWorld) -> Void
    ) throws(StoreError) {
        self.nvm = nvm
        self.log = log
        self.depth = depth
        random = RandomSource(seed: seed)
        records = Array(repeating: WorldRecord(), count: WorldModel.indices.count)
        store = try Store(reading: nvm, dirtyCapacity: 256)
        log.restores += 1
        let version = store.committed.value
        guard let found = expected.first(where: { $0.version == version }) else {
            log.add("restored version \(version), expected one of \(expected.map(\.version))")
            return
        }
        committedModel = found
        model = found
        prepare(self)
        if !store.beginIncarnation() {
            log.scrubs += 1
            try store.scrub()
        }
        try loadRecords()
        verify(model)
    }

    public func close() { store.close() }

    private func loadRecords() throws(StoreError) {
        var sum: UInt64 = 0
        defer {
            if sum != store.lastCommit.recordSum { log.add("the records' versions do not add up") }
        }
        for (position, index) in WorldModel.indices.enumerated() {
            guard let view = try store.record(index, at: store.committed) else { continue }
            sum &+= VersionSum.change(of: UInt64(index), from: .never, to: view.born)
            records[position] = WorldRecord(slot: view.slot, generation: view.generation)
            if view.kind != ObjectKind.pmo.rawValue { continue }
            var reader = store.reader(of: view)
            guard let record = PMORecord(reading: &reader, in: store.layout) else {
                log.add("the record of PMO \(position) cannot be read")
                continue
            }
            let owner = ObjectID(index: index, generation: view.generation)
            table.pmos[position] = WorldPMO(
                tree: record.tree(owner: owner), promised: record.promised, isDirty: false)
        }
    }

    /// Compares everything that can be seen with a model.
    func verify(_ model: WorldModel) {
        for position in WorldModel.indices.indices {
            let wanted = model.pmos[position]
            guard let pmo = table.pmos[position], pmo.life == .alive else {
                if wanted.generation != 0 {
                    log.add("v\(model.version): PMO \(position) is missing")
                }
                continue
            }
            if pmo.tree.owner.generation != wanted.generation {
                log.add(
                    "v\(model.version): PMO \(position) has generation \(pmo.tree.owner.generation)"
                )
                continue
            }
            for page in WorldModel.pages.indices {
                verify(page, of: pmo, at: position, wanted, model.version)
            }
        }
    }

    private func verify(
        _ page: Int, of pmo: WorldPMO, at position: Int, _ wanted: WorldModel.PMO, _ version: UInt64
    ) {
        do throws(StoreError) {
            let state = try store.pageState(WorldModel.pages[page], of: pmo.tree)
            for (number, offset) in WorldModel.offsets.enumerated() {
                var value: UInt64 = 0
                if case .present(let frame, _) = state { value = nvm.load(frame.offset + offset) }
                if let copy = hot[HotCopy.Key(pmo: position, page: page)] {
                    value = copy.words[Int(offset / 8)]
                }
                let right = wanted.words[page * WorldModel.offsets.count + number]
                if value != right {
                    log.add(
                        "v\(version): PMO \(position) page \(page) word \(number) is \(value), not \(right)"
                    )
                }
            }
        } catch {
            log.add("v\(version): PMO \(position) page \(page): \(error)")
        }
    }
}
