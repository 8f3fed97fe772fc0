import ABI
import MachineSim
import Testing

@testable import Store

/// A store with a few PMOs, for damage at chosen places.
private final class Scene: PageTreeOwners {
    let nvm: SimulatedNVM
    var trees: [UInt32: PageTree] = [:]
    private var slots: [UInt32: Int] = [:]
    private var promised: [UInt32: UInt64] = [:]

    init() throws {
        nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: .coherentCache)
        let identity = StoreIdentity(
            uuidLow: 1, uuidHigh: 2, frameCount: nvm.frameCount, domain: .coherentCache, created: 0)
        try Store.format(nvm, identity: identity)
    }

    func pageTree(of owner: ObjectID) -> PageTree? { trees[owner.index] }

    /// Runs `body` on the store in a new incarnation.
    func run(_ body: (inout Store<SimulatedNVM>) throws -> Void) throws {
        var store = try Store(reading: nvm, dirtyCapacity: 256)
        defer { store.close() }
        let begun = store.beginIncarnation()
        #expect(begun)
        try body(&store)
    }

    /// Writes to pages of a PMO, which is made if need be.
    func write(_ pages: Range<UInt64>, of index: UInt32, in store: inout Store<SimulatedNVM>) throws
    {
        try store.ensureRecord(index, owners: self)
        var tree = trees[index] ?? PageTree(owner: ObjectID(index: index, generation: 1))
        let before = store.promised
        for page in pages {
            let frame = try store.makeWritable(page, of: &tree, owners: self).frame
            nvm.store(page + store.building.value, at: frame.offset)
        }
        promised[index, default: 0] += store.promised - before
        trees[index] = tree
    }

    /// The record of a PMO as it is, or with a word changed.
    func record(
        _ index: UInt32, in store: inout Store<SimulatedNVM>, change: (word: Int, to: UInt64)? = nil
    ) throws {
        let slot = 1 - (slots[index] ?? 1)
        let tree = trees[index] ?? PageTree(owner: ObjectID(index: index, generation: 1))
        try store.announceRecord(index, slot: slot)
        var words: [UInt64] = [
            UInt64(PMOKind.anonymous.rawValue), 1_000, UInt64(tree.root.value), UInt64(tree.depth),
            promised[index] ?? 0, 0, 0, tree.sum,
        ]
        if let change { words[change.word] = change.to }
        var writer = try store.recordWriter(index, slot: slot)
        for word in words { writer.append(word) }
        _ = writer.finish(kind: ObjectKind.pmo.rawValue, generation: 1)
        slots[index] = slot
    }

    func commit(_ store: inout Store<SimulatedNVM>) {
        var record = CommitRecord()
        record.smallRecords = 8
        store.commit(record, releasing: 0)
    }

    /// Some pages of one PMO in two versions. Returns the region's words after the first.
    func build() throws -> [UInt64] {
        var past: [UInt64] = []
        try run { store in
            try write(0..<20, of: 1, in: &store)
            try record(1, in: &store)
            commit(&store)
            past = (0..<UInt64(nvm.frameCount) * 512).map { nvm.load($0 * 8) }
            try write(3..<6, of: 1, in: &store)
            try record(1, in: &store)
            commit(&store)
        }
        #expect(StoreChecker.check(nvm).damage == [])
        return past
    }

    /// What the check says with words changed, which are put back.
    func finding(_ changes: [(offset: UInt64, value: UInt64)]) -> [StoreFinding] {
        let before = changes.map { nvm.load($0.offset) }
        for change in changes { nvm.damage(word: Int(change.offset / 8), to: change.value) }
        defer {
            for (change, old) in zip(changes, before) {
                nvm.damage(word: Int(change.offset / 8), to: old)
            }
        }
        return StoreChecker.check(nvm).damage
    }
}

@Suite struct DamageTests {
    private let owner = ObjectID(index: 1, generation: 1)

    /// "Never written" is not zero anywhere, so zeros are damage.
    @Test func zeroedWordsOfTablesAreNamed() throws {
        let scene = try Scene()
        _ = try scene.build()
        let store = try Store(reading: scene.nvm)
        defer { store.close() }
        let tree = try #require(scene.trees[1])
        let pair = try #require(try tree.pair(3, in: store))
        let record = try #require(try store.recordOffset(1))
        let stamp = store.layout.stampOffset(tree.root)
        for word: UInt64 in 0..<4 {
            #expect(scene.finding([(pair + word * 8, 0)]).contains(.pair(owner: owner, page: 3)))
        }
        #expect(scene.finding([(record, 0)]).contains(.record(index: 1)))
        #expect(scene.finding([(record + 128, 0)]).contains(.record(index: 1)))
        for word: UInt64 in 0..<2 {
            #expect(scene.finding([(stamp + word * 8, 0)]).contains(.stamp(frame: tree.root)))
        }
        let root = StoreLayout.recordRoots.offset
        #expect(scene.finding([(root, 0)]).contains(.recordTable(large: false, offset: root)))
        #expect(
            scene.finding([(root + 8, 0)]).contains(.recordTable(large: false, offset: root + 8)),
            "an empty link")
        let middle = store.recordRoot(large: false)
        let leaves = try store.child(of: middle, index: 0, owner: .none).offset
        #expect(scene.finding([(leaves, 0)]).contains(.recordTable(large: false, offset: leaves)))
    }

    /// A device that keeps an old line for a new one: each word is good, but the versions do not
    /// add up.
    @Test func lostWritesAreFoundByTheSums() throws {
        let scene = try Scene()
        let past = try scene.build()
        let store = try Store(reading: scene.nvm)
        defer { store.close() }
        func stale(_ offset: UInt64, _ words: UInt64) -> [(offset: UInt64, value: UInt64)] {
            (0..<words).map { (offset + $0 * 8, past[Int(offset / 8 + $0)]) }
        }
        let pair = try #require(try scene.trees[1]?.pair(4, in: store))
        #expect(scene.finding(stale(pair, 4)) == [.pageSum(index: 1)])
        let record = try #require(try store.recordOffset(1))
        let slots = [record, record + 128].filter { scene.nvm.load($0) != past[Int($0 / 8)] }
        for slot in slots { #expect(scene.finding(stale(slot, 16)).contains(.recordSum)) }
        #expect(slots.count == 1)
    }

    /// Links of an aborted version that cannot be undone would leak frames: refused instead.
    @Test func aDamagedUndoListIsRefused() throws {
        let scene = try Scene()
        _ = try scene.build()
        try scene.run { store in try scene.write(500..<501, of: 1, in: &store) }
        let entry = StoreLayout.links.offset
        #expect(scene.finding([]) == [])
        #expect(scene.finding([(entry, 0)]) == [.unreadable(.damagedLinks)])
        #expect(scene.finding([(entry + 8, 0)]) == [.unreadable(.damagedLinks)])
        #expect(
            scene.finding([(entry + 8, scene.nvm.load(entry + 8) ^ 1 << 5)]) == [
                .unreadable(.damagedLinks)
            ])
        try scene.run { _ in }
        #expect(StoreChecker.check(scene.nvm).damage == [], "undone")
    }

    @Test func recordsThatCannotBeAreNamed() throws {
        let changes: [(word: Int, to: UInt64)] = [(0, 9), (2, 5), (2, 1 << 40), (3, 4)]
        for change in changes {
            let scene = try Scene()
            try scene.run { store in
                try scene.write(0..<3, of: 1, in: &store)
                try scene.record(1, in: &store, change: change)
                scene.commit(&store)
            }
            #expect(StoreChecker.check(scene.nvm).damage.contains(.pmo(index: 1)), "\(change)")
        }
        let scene = try Scene()
        try scene.run { store in
            try scene.record(for: 2, eternalFrom: 110, in: &store)
            scene.commit(&store)
        }
        #expect(StoreChecker.check(scene.nvm).damage.contains(.pmo(index: 2)))
    }

    @Test func wrongCountsAndSharedFramesAreNamed() throws {
        let scene = try Scene()
        try scene.run { store in
            try scene.write(0..<3, of: 1, in: &store)
            try scene.record(1, in: &store, change: (word: 4, to: 1))
            try scene.write(0..<1, of: 2, in: &store)
            let root = try #require(scene.trees[1]?.root.value)
            try scene.record(2, in: &store, change: (word: 2, to: UInt64(root)))
            scene.commit(&store)
        }
        let damage = StoreChecker.check(scene.nvm).damage
        #expect(
            damage.contains { if case .pmoPromised(index: 1, _, _) = $0 { true } else { false } })
        #expect(damage.contains { if case .promised = $0 { true } else { false } })
        #expect(damage.contains { if case .frameUsedTwice = $0 { true } else { false } })
    }

    /// Both copies of the newest slot, and of the history's.
    @Test func slotsWithoutAGoodCopyAreRefused() throws {
        let scene = try Scene()
        _ = try scene.build()
        for (frame, error) in [(2, StoreError.damagedCommitSlot), (6, .damagedHistory)]
            as [(UInt64, StoreError)]
        {
            for slot: UInt64 in 0..<2 {
                let first = (frame + slot * 2) * pageSize
                let changes = [first, first + pageSize].map {
                    ($0 + 16, scene.nvm.load($0 + 16) ^ 1)
                }
                if scene.nvm.load(first) == 0 { continue }
                #expect(scene.finding(changes) == [.unreadable(error)])
            }
        }
    }

    /// The scrub reads everything: it stops at damage instead of forgetting intervals that still
    /// matter.
    @Test func theScrubStopsAtDamage() throws {
        let scene = try Scene()
        _ = try scene.build()
        func scrub(_ offset: UInt64) throws -> StoreError? {
            let before = scene.nvm.load(offset)
            scene.nvm.damage(word: Int(offset / 8), to: 0)
            defer { scene.nvm.damage(word: Int(offset / 8), to: before) }
            var store = try Store(reading: scene.nvm, dirtyCapacity: 256)
            defer { store.close() }
            do throws(StoreError) {
                try store.scrub()
                return nil
            } catch { return error }
        }
        let store = try Store(reading: scene.nvm)
        let pair = try #require(try scene.trees[1]?.pair(7, in: store))
        let record = try #require(try store.recordOffset(1))
        store.close()
        #expect(try scrub(pair) == .damagedPage(owner: owner, page: 7))
        #expect(try scrub(record) == .damagedRecord(index: 1))
        #expect(try scrub(StoreLayout.recordRoots.offset) != nil)
    }

    @Test func everyErrorHasItsReason() {
        let errors: [StoreError] = [
            .notAStore, .newerFormat(9), .olderFormat(1), .truncated(expectedFrames: 2, frames: 1),
            .damagedSuperblock,
            .damagedCommitSlot, .damagedHistory, .damagedRecord(index: 1), .staleRecords,
            .damagedLinks,
            .damagedPage(owner: owner, page: 1), .damagedTable(owner: owner, offset: 8), .full,
            .tooSmall,
        ]
        #expect(Set(errors.map { "\($0.reason)" }).count == errors.count)
    }
}

extension Scene {
    /// A PMO of fixed frames that reaches into the tables.
    fileprivate func record(
        for index: UInt32, eternalFrom first: UInt64, in store: inout Store<SimulatedNVM>
    ) throws {
        try store.ensureRecord(index, owners: self)
        try store.announceRecord(index, slot: 0)
        var writer = try store.recordWriter(index, slot: 0)
        for word in [UInt64(PMOKind.eternal.rawValue), 20, 0, 0, 0, first, 0, 0] {
            writer.append(word)
        }
        _ = writer.finish(kind: ObjectKind.pmo.rawValue, generation: 1)
    }
}
