import ABI
import MachineSim
import Testing

@testable import Store

/// One PMO in a store without room.
private struct OneOwner: PageTreeOwners {
    var tree: PageTree
    func pageTree(of owner: ObjectID) -> PageTree? { owner == tree.owner ? tree : nil }
}

@Suite struct FullStoreTests {
    /// The reserve: when no new page can be had, every page that exists can still be written after
    /// each commit.
    @Test func aFullStoreStillCopiesOnWrite() throws {
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: .coherentCache)
        let identity = StoreIdentity(
            uuidLow: 1, uuidHigh: 2, frameCount: nvm.frameCount, domain: .coherentCache, created: 0)
        try Store.format(nvm, identity: identity)
        var store = try Store(reading: nvm, dirtyCapacity: 4_096)
        defer { store.close() }
        let begun = store.beginIncarnation()
        #expect(begun)
        var owner = OneOwner(tree: PageTree(owner: ObjectID(index: 1, generation: 1)))
        var pages: UInt64 = 0
        do throws(StoreError) {
            while pages < 10_000 {
                var tree = owner.tree
                defer { owner.tree = tree }
                _ = try store.makeWritable(pages, of: &tree, owners: owner)
                pages += 1
            }
        } catch { #expect(error == .full) }
        #expect(pages > 400)
        #expect(store.framesAvailable < 2)
        for _ in 0..<3 {
            store.commit(CommitRecord(), releasing: 0)
            for page in 0..<pages {
                var tree = owner.tree
                let outcome = try store.makeWritable(page, of: &tree, owners: owner)
                guard case .copied = outcome else {
                    Issue.record("page \(page): \(outcome)")
                    return
                }
            }
        }
        // What is given back can be used again.
        var given = owner.tree
        let isDeferred = try store.decommit(0, of: &given, owners: owner)
        owner.tree = given
        #expect(isDeferred)
        store.commit(CommitRecord(), releasing: 0)
        try store.finishDecommit(0, of: owner.tree)
        var tree = owner.tree
        let outcome = try store.makeWritable(0, of: &tree, owners: owner)
        guard case .fresh = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    /// Damage of one owner's table does not trouble the others, and hands no frame out twice.
    @Test func damageOfOneOwnerStaysWithIt() throws {
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: .coherentCache)
        let identity = StoreIdentity(
            uuidLow: 1, uuidHigh: 2, frameCount: nvm.frameCount, domain: .coherentCache, created: 0)
        try Store.format(nvm, identity: identity)
        var store = try Store(reading: nvm, dirtyCapacity: 4_096)
        _ = store.beginIncarnation()
        var owner = OneOwner(tree: PageTree(owner: ObjectID(index: 1, generation: 1)))
        for page: UInt64 in 0..<20 {
            var tree = owner.tree
            _ = try store.makeWritable(page, of: &tree, owners: owner)
            owner.tree = tree
        }
        store.commit(CommitRecord(), releasing: 0)
        store.close()
        let pair = try #require(try owner.tree.pair(3, in: Store(reading: nvm)))
        nvm.damage(word: Int(pair / 8), to: nvm.load(pair) ^ 2)

        var again = try Store(reading: nvm, dirtyCapacity: 4_096)
        defer { again.close() }
        _ = again.beginIncarnation()
        var other = OneOwner(tree: PageTree(owner: ObjectID(index: 2, generation: 1)))
        struct Both: PageTreeOwners {
            var a: PageTree, b: PageTree
            func pageTree(of owner: ObjectID) -> PageTree? {
                owner == a.owner ? a : owner == b.owner ? b : nil
            }
        }
        var seen: Set<UInt32> = []
        for page: UInt64 in 0..<100 {
            var tree = other.tree
            let outcome = try again.makeWritable(
                page, of: &tree, owners: Both(a: owner.tree, b: other.tree))
            other.tree = tree
            let isNew = seen.insert(outcome.frame.value).inserted
            #expect(isNew)
        }
        #expect(throws: StoreError.damagedPage(owner: owner.tree.owner, page: 3)) {
            try again.pageState(3, of: owner.tree)
        }
        for page: UInt64 in 0..<20 where page != 3 {
            guard case .present(let frame, _) = try again.pageState(page, of: owner.tree) else {
                Issue.record("page \(page) is gone")
                continue
            }
            #expect(!seen.contains(frame.value))
        }
    }

    /// More crashes than the history has room for: it is scrubbed, and nothing changes.
    @Test func theHistoryIsScrubbedWhenItIsFull() throws {
        let log = FailureLog()
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: .cacheLineFlush)
        var world = try StoreWorld(nvm: nvm, seed: 77, log: log)
        world.probing.checksTables = true
        for _ in 0..<500 where log.isEmpty {
            for _ in 0..<4 { world.step() }
            try world.checkpoint()
            for _ in 0..<3 { world.step() }
            world = try world.crashForGood()
        }
        world.close()
        #expect(log.messages == [])
        #expect(log.scrubs >= 1)
    }
}
