import Foundation
import ObjectCore
import ObjectCrash
import PersistentMemory
import PersistentObjects
import Testing

/// Transactions, names, lifetimes, and several processes.
@Suite struct SpaceTests {
    private struct Refused: Error {}

    @Test(arguments: [LogMode.redo, .undo], [PersistenceDomain.processCrash, .fileSync])
    func aTransactionThatThrowsChangesNothing(_ mode: LogMode, _ domain: PersistenceDomain) throws {
        let place = TemporarySpace()
        let space = try place.open(domain)
        defer { space.close() }
        let a = try space.create(List.empty)
        let b = try space.create(List.empty)
        try space.transaction(mode) { tx in
            tx.edit(a).count = 1
            try tx.put("one", 1, in: a.root.field(\.byName))
        }
        #expect(throws: Refused.self) {
            try space.transaction(mode) { tx in
                tx.edit(a).count = 5
                tx.edit(b).count = 5
                for number in 0..<100 { try tx.put("\(number)", 1, in: a.root.field(\.byName)) }
                _ = try tx.create(List.empty)
                #expect(tx.count(a.root.field(\.byName)) == 101)
                throw Refused()
            }
        }
        try space.read { reader in
            #expect(reader[a].count == 1)
            #expect(reader[b].count == 0)
            #expect(reader.count(a.root.field(\.byName)) == 1)
            let one = try reader.find("one", in: a.root.field(\.byName))
            #expect(one.map { reader[$0] } == 1)
        }
        #expect(try space.identifiersOfAll().count == 2)
    }

    @Test func aMapHoldsWhatADictionaryHolds() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let object = try space.create(List.empty)
        let map = object.root.field(\.byName)
        var model: [String: Int] = [:]
        var random = SplitMix64(seed: 7)
        for _ in 0..<300 {
            try space.transaction { tx in
                for _ in 0..<20 {
                    let key = "a key of some length \(random.next() % 500)"
                    if random.next() % 3 == 0 {
                        let was = model.removeValue(forKey: key) != nil
                        #expect(try tx.remove(key, from: map) == was)
                    } else {
                        let value = Int(random.next() % 1000)
                        try tx.put(key, value, in: map)
                        model[key] = value
                    }
                }
            }
        }
        var found: [String: Int] = [:]
        try space.read { reader in
            try reader.forEach(map) { found[$0] = reader[$1] }
            #expect(reader.count(map) == model.count)
        }
        #expect(found == model)
        _ = try space.check(object.id)
    }

    @Test func namesFormATree() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        #expect(throws: ObjectError.noName("a/b")) { try space.lookUp("a/b") }
        let object = try space.create(List.empty)
        try space.transaction { tx in
            try tx.name(object, "a/b/c")
            try tx.name(object, "a/d")
        }
        #expect(try space.lookUp("a/b/c") == object.id)
        #expect(try space.names(in: "a").map(\.name) == ["b", "d"])
        #expect(throws: ObjectError.nameExists("a/d")) {
            try space.transaction { try $0.name(object, "a/d") }
        }
        #expect(throws: ObjectError.notANamespace("a/d/e")) {
            try space.transaction { try $0.name(object, "a/d/e") }
        }
        #expect(throws: ObjectError.noName("../a")) { try space.lookUp("../a") }
        try space.transaction { try $0.removeName("a/d") }
        #expect(try space.names(in: "a").map(\.name) == ["b"])
    }

    @Test func tiedObjectsLiveAsLongAsWhatTheyAreTiedTo() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let parents = try (0..<2).map { _ in try space.create(List.empty) }
        let child = try space.create(List.empty)
        try space.transaction { tx in
            for parent in parents { try tx.tie(child, to: parent) }
            try tx.tie(child, to: parents[0])
        }
        try space.transaction { try $0.delete(child) }
        #expect(try space.open(child.id, as: List.self) == child)
        try space.transaction { try $0.delete(parents[0]) }
        #expect(try space.open(child.id, as: List.self) == child)
        try space.transaction { try $0.delete(parents[1]) }
        #expect(throws: ObjectError.deleted(id: child.id)) {
            try space.open(child.id, as: List.self)
        }
        #expect(try space.identifiersOfAll().isEmpty)
    }

    /// A tie counts once whatever place its entry gets, and not before its transaction commits.
    @Test func tiesAreCountedByTransactionsThatCommit() throws {
        struct Stop: Error {}
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        var options = ObjectOptions()
        options.flags.insert(.kept)
        let objects = try (0..<4).map { _ in try space.create(List.empty, options) }
        let (parent, other, child, target) = (objects[0], objects[1], objects[2], objects[3])
        func ties() throws -> UInt64 { try space.check(child.id).ties }
        // The first place of the parent's table is taken and given back.
        try space.transaction { tx in
            let item = try tx.make(Item(number: 0, next: nil), in: target.root)
            tx.edit(parent).head = try tx.pointer(to: item, from: parent.root)
        }
        try space.transaction { tx in
            tx.edit(parent).head = nil
            try tx.tie(child, to: other)
        }
        #expect(try space.collect().entries == 1)
        #expect(throws: Stop.self) {
            try space.transaction { tx in
                try tx.tie(child, to: parent)
                throw Stop()
            }
        }
        #expect(try ties() == 1)
        try space.transaction { try $0.tie(child, to: parent) }
        #expect(try ties() == 2)
        #expect(try space.collect().entries == 0)
        // A fork ties nothing, so its end unties nothing.
        let fork = try space.fork(parent)
        try space.transaction { try $0.delete(fork) }
        #expect(try ties() == 2)
        try space.transaction { try $0.delete(child) }
        try space.transaction { try $0.delete(other) }
        #expect(try space.open(child.id, as: List.self) == child)
        try space.transaction { try $0.delete(parent) }
        #expect(throws: ObjectError.deleted(id: child.id)) {
            try space.open(child.id, as: List.self)
        }
    }

    @Test func aCollectionTakesWhatNothingLeadsTo() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let objects = try (0..<4).map { _ in try space.create(List.empty) }
        try space.transaction { tx in
            try tx.name(objects[0], "root")
            let item = try tx.make(Item(number: 1, next: nil), in: objects[1].root)
            tx.edit(objects[0]).head = try tx.pointer(to: item, from: objects[0].root)
            // Two that only lead to each other.
            for (from, to) in [(2, 3), (3, 2)] {
                let item = try tx.make(Item(number: 1, next: nil), in: objects[to].root)
                tx.edit(objects[from]).head = try tx.pointer(to: item, from: objects[from].root)
            }
        }
        let result = try space.collect()
        #expect(result.removed == 2)
        #expect(result.reachable == 3)
        let left = Set(try space.identifiersOfAll())
        #expect(left.isSuperset(of: [objects[0].id, objects[1].id]) && left.count == 3)
    }

    @Test func anObjectThatIsFullSaysSo() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        var options = ObjectOptions()
        options.capacity = 1 << 16
        let object = try space.create(List.empty, options)
        #expect(throws: ObjectError.full(id: object.id, capacity: 1 << 16)) {
            try space.transaction { tx in
                while true { _ = try tx.make(Item(number: 0, next: nil), in: object.root) }
            }
        }
        _ = try space.check(object.id)
        #expect(try space.read { $0[object].count } == 0)
    }

    /// Seeds 1, 2 and 3: undo, journal blocks, redo.
    @Test(arguments: [UInt64(1), 2, 3])
    func everyPersistStepIsSurvived(_ seed: UInt64) throws {
        var campaign = ObjectCampaign(seed: seed)
        campaign.operations = 10
        campaign.imagesPerStep = 1
        try campaign.run()
        #expect(campaign.result.points > 20)
    }

    /// Two processes move amounts between two objects, and one of them is killed at any instant,
    /// again and again. The sum stays, and the other goes on. KILLS=1000 for more.
    @Test func aKilledProcessBlocksNobodyAndLeavesNothingHalfDone() async {
        await #expect(processExitsWith: .success) {
            let kills = ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 25
            let place = TemporarySpace()
            let path = place.path
            let ids: [ObjectID]
            do {
                let space = try ObjectSpace(path: path, domain: .processCrash)
                let objects = try (0..<2).map { _ in
                    try space.create(List(head: nil, count: 1000, title: PString(), byName: PMap()))
                }
                ids = objects.map(\.id)
                space.close()
            }
            /// Moves for ever; ends only by a wrong sum.
            func work(_ mode: LogMode) -> Int32 {
                do {
                    let space = try ObjectSpace(path: path, domain: .processCrash)
                    let a = try space.open(ids[0], as: List.self)
                    let b = try space.open(ids[1], as: List.self)
                    while true {
                        try space.transaction(mode) { tx in
                            tx.edit(a).count -= 1
                            tx.edit(b).count += 1
                            try tx.put("moves", tx[a].count, in: b.root.field(\.byName))
                        }
                        let sum = try space.read { $0[a].count + $0[b].count }
                        if sum != 2000 { return 3 }
                    }
                } catch {
                    print("\(error)")
                    return 2
                }
            }
            var random = SplitMix64(seed: 11)
            let steady = forked { work(.redo) }
            var last = 1000
            for number in 0..<kills {
                let victim = forked { work(number % 2 == 0 ? .undo : .redo) }
                usleep(UInt32(2000 + random.next() % 20_000))
                kill(victim, SIGKILL)
                var status: Int32 = 0
                waitpid(victim, &status, 0)
                guard status & 0x7F == SIGKILL else { exit(4) }
                // This process waits for the steady one to make progress: it is not blocked.
                let space = try ObjectSpace(path: path, domain: .processCrash)
                let a = try space.open(ids[0], as: List.self)
                let b = try space.open(ids[1], as: List.self)
                var sum = 0
                var now = last
                while now >= last {
                    (sum, now) = try space.read { ($0[a].count + $0[b].count, $0[a].count) }
                    if waitpid(steady, &status, WNOHANG) != 0 { exit(5) }
                }
                space.close()
                last = now
                if sum != 2000 { exit(6) }
            }
            kill(steady, SIGKILL)
            exit(0)
        }
    }
}
