import Dispatch
import ObjectCore
import PersistentMemory
import PersistentObjects
import Synchronization
import Testing

/// Pointers within and between objects, and the tables they go through.
@Suite struct PointerTests {
    @Test func aListOverTwoObjectsIsFollowedInEveryMapping() throws {
        let place = TemporarySpace()
        var ids: [ObjectID] = []
        do {
            let space = try place.open(.fileSync)
            let a = try space.create(List.empty)
            let b = try space.create(List.empty)
            try space.transaction { tx in
                var owner = a.root.field(\.head)
                for number in 0..<100 {
                    let holder = number % 2 == 0 ? b.root : a.root
                    let item = try tx.make(Item(number: number, next: nil), in: holder, owner: owner)
                    owner = item.field(\.next)
                }
                tx.edit(a).title = try tx.string("a title longer than fifteen bytes", in: a.root)
                try tx.name(a, "lists/first")
            }
            ids = [a.id, b.id]
            #expect(try space.check(a.id).entries.map(\.entry.id) == [b.id])
            #expect(try space.check(b.id).entries.map(\.entry.id) == [a.id])
            space.close()
        }
        // Opened the other way round: other slots, other addresses.
        let space = try place.open()
        defer { space.close() }
        _ = try space.open(ids[1], as: List.self)
        let list = try space.open(named: "lists/first", as: List.self)
        let (numbers, fast) = try space.read { reader -> ([Int], [Int]) in
            #expect(try reader.text(list.root.field(\.title)) == "a title longer than fifteen bytes")
            var numbers: [Int] = []
            var next = try reader.followIfAny(list.root.field(\.head))
            while let item = next {
                numbers.append(reader[item].number)
                next = try reader.followIfAny(item.field(\.next))
            }
            // The same without checks, by addresses alone.
            var fast: [Int] = []
            var field = reader.pointer(list.root.field(\.head))
            while field.pointee != nil {
                let item = try field.withMemoryRebound(to: ObjectPointer<Item>.self, capacity: 1) {
                    try #require(ObjectPointer<Item>.resolve($0))
                }
                fast.append(item.pointee.number)
                let offset = try #require(MemoryLayout<Item>.offset(of: \.next))
                field = (UnsafeRawPointer(item) + offset).assumingMemoryBound(
                    to: ObjectPointer<Item>?.self)
            }
            return (numbers, fast)
        }
        #expect(numbers == Array(0..<100))
        #expect(fast == numbers)
    }

    @Test func wrongPointersFaultByName() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let object = try space.create(List.empty)
        let head = object.root.field(\.head)
        func follow(_ word: UInt64) throws {
            try space.transaction { tx in
                tx.set(head, ObjectPointer<Item>(word: word))
                _ = try tx.follow(head)
            }
        }
        #expect(throws: ObjectError.nullPointer(holder: object.id, offset: 4096)) { try follow(0) }
        #expect(throws: ObjectError.outside(id: object.id, offset: 100, bytes: 1)) {
            try follow(100)
        }
        #expect(throws: ObjectError.outside(id: object.id, offset: 1 << 40, bytes: 1)) {
            try follow(1 << 40)
        }
        let last = ObjectLayout.slotBytes - ObjectLayout.pageBytes - 8
        #expect(throws: ObjectError.outside(id: object.id, offset: last, bytes: 16)) {
            try follow(last)
        }
        #expect(throws: ObjectError.noEntry(holder: object.id, index: 7)) {
            try follow(7 << 48 | 4096)
        }
        #expect(try space.read { $0[object].head } == nil)
    }

    @Test func equalEntriesAreUsedAgainAndUnusedOnesTakenBack() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        var options = ObjectOptions()
        options.flags.insert(.kept)
        let holder = try space.create(List.empty, options)
        let targets = try (0..<5).map { _ in try space.create(List.empty, options) }
        func point(_ target: PObject<List>) throws {
            try space.transaction { tx in
                let item = try tx.make(Item(number: 0, next: nil), in: target.root)
                tx.edit(holder).head = try tx.pointer(to: item, from: holder.root)
            }
        }
        func target() throws -> ObjectID {
            try space.read { try space.identifier(of: $0.follow(holder.root.field(\.head))) }
        }
        for target in targets + targets { try point(target) }
        #expect(try space.check(holder.id).entries.count == 5)
        let collection = try space.collect()
        #expect(collection.reachable == 6 && collection.removed == 0 && collection.entries == 4)
        let left = try space.check(holder.id).entries
        #expect(left.map(\.entry.id) == [targets[4].id])
        #expect(left.map(\.entry.references) == [1])
        // The places are taken again, and the pointer that stayed still leads where it did.
        #expect(try target() == targets[4].id)
        try point(targets[0])
        #expect(try space.check(holder.id).entries.map(\.index) == [1, 5])
        #expect(try target() == targets[0].id)
    }

    /// An index that was given back and taken again leads elsewhere in each process that has the
    /// space open.
    @Test func whoHasTheSpaceOpenNoticesAReclaim() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        var options = ObjectOptions()
        options.flags.insert(.kept)
        let holder = try space.create(List.empty, options)
        let targets = try (0..<2).map { _ in try space.create(List.empty, options) }
        let other = try place.open()
        defer { other.close() }
        let seen = try other.open(holder.id, as: List.self)
        for target in targets {
            try space.transaction { tx in
                let item = try tx.make(Item(number: 0, next: nil), in: target.root)
                tx.edit(holder).head = try tx.pointer(to: item, from: holder.root)
            }
            #expect(try space.check(holder.id).entries.map(\.index) == [1])
            let found = try other.read { reader in
                try other.identifier(of: reader.follow(seen.root.field(\.head)))
            }
            #expect(found == target.id)
            try space.transaction { $0.edit(holder).head = nil }
            #expect(try space.collect().entries == 1)
        }
    }

    /// Threads that add entries at the same time, the same ones and others.
    @Test func concurrentInsertionsNeitherLoseNorRepeat() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let object = try space.create(List.empty)
        let slot = Int(object.root.address >> ObjectLayout.slotShift)
        let found = Mutex<[ObjectID: Set<Int>]>([:])
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for number in 0..<200 {
                // Half are wanted by all threads, half by one.
                let id = ObjectID(high: number % 2 == 0 ? 9 : UInt64(thread), low: UInt64(number + 1))
                do {
                    let index = try space.insert(
                        TableEntry(id, [.read]), in: slot, above: ObjectLayout.base + 4096)
                    found.withLock { _ = $0[id, default: []].insert(index) }
                } catch { Issue.record(error) }
            }
        }
        let entries = try space.check(object.id).entries
        for (id, indices) in found.withLock({ $0 }) {
            for index in indices {
                #expect(entries.first { $0.index == index }?.entry.id == id)
            }
        }
        #expect(Set(entries.map(\.entry.id)) == Set(found.withLock { $0.keys }))
    }

    @Test func namesInTablesAreResolvedWhenTheyAreUsed() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let holder = try space.create(List.empty)
        let one = try space.create(List(head: nil, count: 1, title: PString(), byName: PMap()))
        let two = try space.create(List(head: nil, count: 2, title: PString(), byName: PMap()))
        let field = holder.root.field(\.head)
        func target() throws -> ObjectID {
            try space.read { try space.identifier(of: $0.follow(field)) }
        }
        try space.transaction { tx in
            tx.set(field, try tx.pointer(named: "libraries/latest", to: Item.self, from: field))
        }
        #expect(throws: ObjectError.noName("libraries/latest")) { try target() }
        try space.transaction { try $0.name(one, "libraries/latest") }
        #expect(try target() == one.id)
        try space.transaction { tx in
            try tx.removeName("libraries/latest")
            try tx.name(two, "libraries/latest")
        }
        #expect(try target() == two.id)
        try space.transaction { tx in
            tx.set(
                field, try tx.pointer(named: "mine", resolver: 3, to: Item.self, from: field))
        }
        #expect(throws: ObjectError.noResolver(number: 3, name: "mine")) { try target() }
        space.install(resolver: 3) { _, name in name == "mine" ? one.id : nil }
        #expect(try target() == one.id)
    }
}
