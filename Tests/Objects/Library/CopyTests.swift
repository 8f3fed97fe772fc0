import Foundation
import ObjectCore
import ObjectTool
import PersistentMemory
import PersistentObjects
import Testing

/// Forks, frozen objects, archives, and the command.
@Suite struct CopyTests {
    /// A list of `count` items over two objects, named "list".
    private func makeList(_ space: ObjectSpace, _ count: Int = 10) throws -> [PObject<List>] {
        let objects = try (0..<2).map { _ in try space.create(List.empty) }
        try space.transaction { tx in
            var owner = objects[0].root.field(\.head)
            for number in 0..<count {
                let holder = objects[(number + 1) % 2].root
                owner = try tx.make(Item(number: number, next: nil), in: holder, owner: owner)
                    .field(\.next)
            }
            try tx.put("count", count, in: objects[0].root.field(\.byName))
            try tx.name(objects[0], "list")
        }
        return objects
    }

    private func numbers(_ space: ObjectSpace, _ list: PObject<List>) throws -> [Int] {
        try space.read { reader in
            var numbers: [Int] = []
            var next = try reader.followIfAny(list.root.field(\.head))
            while let item = next {
                numbers.append(reader[item].number)
                next = try reader.followIfAny(item.field(\.next))
            }
            return numbers
        }
    }

    @Test func aForkGoesItsOwnWay() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let objects = try makeList(space)
        let fork = try space.fork(objects[0])
        #expect(fork.id != objects[0].id)
        #expect(try numbers(space, fork) == Array(0..<10))
        try space.transaction { tx in
            tx.edit(fork).count = 7
            try tx.put("count", 70, in: fork.root.field(\.byName))
            _ = try tx.make(Item(number: 1, next: nil), in: fork.root)
        }
        try space.read { reader in
            #expect(reader[objects[0]].count == 0)
            let value = try reader.find("count", in: objects[0].root.field(\.byName))
            #expect(value.map { reader[$0] } == 10)
        }
        // What it holds is copied, not a gigabyte.
        var status = stat()
        #expect(stat("\(place.path)/objects/\(fork.id)", &status) == 0)
        #expect(status.st_size == 1 << 30)
        #expect(status.st_blocks * 512 < 4 << 20)
        _ = try space.check(fork.id)
    }

    @Test func aFrozenObjectIsNamedByItsContentsAndStaysAsItIs() throws {
        let place = TemporarySpace()
        let other = TemporarySpace()
        let space = try place.open()
        let objects = try makeList(space)
        let frozen = try space.freeze(objects[0])
        #expect(try space.freeze(objects[0]).id == frozen.id)
        #expect(try numbers(space, frozen) == Array(0..<10))
        #expect(throws: ObjectError.immutable(id: frozen.id)) {
            try space.transaction { $0.edit(frozen).count = 1 }
        }
        #expect(throws: ObjectError.immutable(id: frozen.id)) {
            try space.transaction { _ = try $0.make(Item(number: 1, next: nil), in: frozen.root) }
        }
        try space.transaction { $0.edit(objects[0]).count = 1 }
        #expect(try space.freeze(objects[0]).id != frozen.id)
        #expect(try space.read { $0[frozen].count } == 0)
        let thawed = try space.fork(frozen)
        try space.transaction { $0.edit(thawed).count = 3 }
        // Another space, the same contents: the same ID.
        let archive = place.path + ".archive"
        defer { unlink(archive) }
        #expect(try space.export(["\(frozen.id)"], to: archive) == 3)
        space.close()
        let second = try other.open()
        #expect(try second.importArchive(archive).added == 3)
        let brought = try second.open(frozen.id, as: List.self)
        #expect(try numbers(second, brought) == Array(0..<10))
        second.close()
        // A flipped bit of the contents is found: they are part of the ID.
        let file = "\(other.path)/objects/\(frozen.id)"
        chmod(file, 0o600)
        let handle = try #require(FileHandle(forUpdatingAtPath: file))
        try handle.seek(toOffset: ObjectLayout.base + 8)
        try handle.write(contentsOf: [1])
        let third = try other.open()
        defer { third.close() }
        #expect(throws: ObjectError.self) { try third.open(frozen.id, as: List.self) }
    }

    @Test func anArchiveCarriesAllThatTheTablesLeadTo() throws {
        let place = TemporarySpace()
        let other = TemporarySpace()
        let space = try place.open()
        _ = try makeList(space, 25)
        _ = try space.create(List.empty)
        let archive = place.path + ".archive"
        defer { unlink(archive) }
        #expect(try space.export([], to: archive) == 2)
        space.close()
        let second = try other.open()
        let counts = try second.importArchive(archive)
        #expect(counts == (2, 0))
        let list = try second.open(named: "list", as: List.self)
        #expect(try numbers(second, list) == Array(0..<25))
        try second.transaction { try $0.put("more", 1, in: list.root.field(\.byName)) }
        #expect(throws: ObjectError.nameExists("list")) { try second.importArchive(archive) }
        #expect(try numbers(second, list) == Array(0..<25))
        second.close()
    }

    /// Each bit of an archive's beginning, and each length: refused, and nothing of it stays.
    @Test func aDamagedArchiveIsRefused() throws {
        let place = TemporarySpace()
        let space = try place.open()
        _ = try makeList(space, 2)
        let archive = place.path + ".archive"
        defer { unlink(archive) }
        _ = try space.export([], to: archive)
        space.close()
        let clean = try Data(contentsOf: URL(fileURLWithPath: archive))
        let other = TemporarySpace()
        let second = try other.open()
        defer { second.close() }
        var refused = 0
        func attempt(_ data: Data, _ what: String) throws {
            try data.write(to: URL(fileURLWithPath: archive))
            do {
                _ = try second.importArchive(archive)
                Issue.record("\(what) was not noticed")
            } catch { refused += 1 }
            #expect(try second.identifiersOfAll().isEmpty, "\(what)")
        }
        for bit in stride(from: 0, to: 9 * 64, by: 5) where bit / 64 != 2 {
            var data = clean
            data[bit / 8] ^= 1 << UInt8(bit % 8)
            try attempt(data, "bit \(bit)")
        }
        var random = SplitMix64(seed: 3)
        for _ in 0..<60 {
            var data = clean
            let byte = 72 + Int(random.next() % UInt64(4096))
            data[byte] ^= 1 << UInt8(random.next() % 8)
            try attempt(data, "byte \(byte)")
            try attempt(
                clean.prefix(Int(random.next() % UInt64(clean.count))), "a shorter archive")
        }
        #expect(refused > 150)
    }

    @Test func theCommandShowsWhatIsThere() throws {
        let place = TemporarySpace()
        let space = try place.open()
        let objects = try makeList(space)
        var options = ObjectOptions()
        options.flags.insert(.volatile)
        let gone = try space.create(List.empty, options)
        space.close()
        func run(_ command: ObjectTool.Command) throws -> String {
            var lines: [String] = []
            try ObjectTool.run(command, path: place.path) { lines.append($0) }
            return lines.joined(separator: "\n")
        }
        let list = try run(.list)
        #expect(list.contains("\(objects[0].id) list"))
        #expect(list.contains("\(objects[1].id) live List"))
        #expect(!list.contains("\(gone.id)"))
        let stat = try run(.stat("list"))
        #expect(stat.contains("1: \(objects[1].id)"))
        #expect(try run(.dump("list")).contains("63 6f 75 6e 74"))
        #expect(try run(.check) == "3 objects are whole")
        #expect(try run(.collect).hasPrefix("3 objects reachable, 0 removed"))
        #expect(throws: ObjectError.noName("nothing")) { try run(.stat("nothing")) }
        let file = "\(place.path)/objects/\(objects[1].id)"
        let handle = try #require(FileHandle(forUpdatingAtPath: file))
        try handle.seek(toOffset: (1 << 30) - 4096 + 20)
        try handle.write(contentsOf: [0x55])
        #expect(throws: ObjectTool.Damaged.self) { try run(.check) }
    }
}
