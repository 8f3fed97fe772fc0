import Foundation
import ObjectCore
import PersistentMemory
import PersistentObjects
import Testing

/// IDs, headers, and what a flipped bit does.
@Suite struct FormatTests {
    /// The ID against sha256sum of coreutils, folded by hand.
    @Test func theIdentityIsWhatSha256Says() throws {
        let nonce = ObjectID(high: 0x1122_3344_5566_7788, low: 0x99AA_BBCC_DDEE_FF00)
        let key = ObjectID(high: 5, low: 6)
        var bytes = Data()
        for word: UInt64 in [nonce.low, nonce.high, key.low, key.high, 0x301, 0] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.append(contentsOf: Array("contents".utf8))
        let file = FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString)"
        try bytes.write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        process.arguments = [file]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let digest = stride(from: 0, to: 64, by: 2).compactMap { at -> UInt8? in
            let start = output.index(output.startIndex, offsetBy: at)
            return UInt8(output[start..<output.index(start, offsetBy: 2)], radix: 16)
        }
        try #require(digest.count == 32)
        let folded = (0..<16).map { digest[$0] ^ digest[$0 + 16] }
        func word(_ at: Int) -> UInt64 {
            folded[at..<at + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let id = Array("contents".utf8).withUnsafeBytes {
            ObjectID(nonce: nonce, key: key, flags: 0x301, contents: [$0])
        }
        #expect(id == ObjectID(high: word(8), low: word(0)))
        #expect(ObjectID(id.description) == id)
        #expect(ObjectID("+" + id.description.dropFirst()) == nil)
    }

    /// Every bit of the header, of the checked words and of a table entry that is in use; the count
    /// of references is a statistic and has no check.
    @Test func everyFlippedBitOfTheMetadataIsNamed() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let a = try space.create(List.empty)
        let b = try space.create(List.empty)
        try space.transaction { tx in
            let item = try tx.make(Item(number: 1, next: nil), in: b.root)
            tx.edit(a).head = try tx.pointer(to: item, from: a.root)
            // A list of free cells with one in it.
            try tx.make(Item(number: 2, next: nil), in: b.root, owner: item.field(\.next))
            try tx.free(item.field(\.next))
        }
        let file = FileHandle(forUpdatingAtPath: "\(place.path)/objects/\(a.id)")
        let other = FileHandle(forUpdatingAtPath: "\(place.path)/objects/\(b.id)")
        let metadata = ObjectLayout.slotBytes - ObjectLayout.pageBytes
        func flipAll(_ file: FileHandle?, _ id: ObjectID, _ at: UInt64, _ bits: Range<Int>) throws {
            let file = try #require(file)
            for bit in bits {
                try file.seek(toOffset: at + UInt64(bit / 8))
                let byte = try #require(try file.read(upToCount: 1)?.first)
                for value in [byte ^ 1 << UInt8(bit % 8), byte] {
                    try file.seek(toOffset: at + UInt64(bit / 8))
                    try file.write(contentsOf: [value])
                    do {
                        _ = try space.check(id)
                        #expect(value == byte, "bit \(bit) at \(at) was not noticed")
                    } catch {
                        #expect(value != byte, "\(error)")
                        #expect("\(error)".contains(id.description), "\(error)")
                    }
                }
            }
        }
        try flipAll(file, a.id, metadata, 0..<16 * 64)
        try flipAll(file, a.id, metadata + 128, 0..<2 * 64)
        try flipAll(file, a.id, metadata - 32, 0..<160)
        try flipAll(file, a.id, metadata - 8, 0..<64)
        try flipAll(other, b.id, metadata + ObjectLayout.Word.freeLists, 0..<64)
    }

    @Test func anObjectUnderAnotherNameIsRefused() throws {
        let place = TemporarySpace()
        let space = try place.open()
        let object = try space.create(List.empty)
        space.close()
        let other = ObjectID(high: 1, low: 2)
        try FileManager.default.moveItem(
            atPath: "\(place.path)/objects/\(object.id)", toPath: "\(place.path)/objects/\(other)")
        let again = try place.open()
        defer { again.close() }
        #expect(throws: ObjectError.wrongIdentity(id: other, computed: object.id)) {
            try again.open(other, as: List.self)
        }
        #expect(throws: ObjectError.noObject(id: object.id)) {
            try again.open(object.id, as: List.self)
        }
    }

    @Test func anotherLayoutIsRefused() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        let object = try space.create(List.empty)
        #expect(throws: ObjectError.wrongType(id: object.id, stored: "List", asked: "Item")) {
            try space.open(object.id, as: Item.self)
        }
    }

    @Test func optionsThatCannotBeAreRefused() throws {
        let place = TemporarySpace()
        let space = try place.open()
        defer { space.close() }
        for bytes: UInt64 in [0, 8192, 16385, 1 << 31] {
            var options = ObjectOptions()
            options.capacity = bytes
            #expect(throws: ObjectError.badCapacity(bytes)) {
                try space.create(List.empty, options)
            }
        }
        #expect(throws: ObjectError.self) { try space.transaction(.direct) { _ in } }
        #expect(try space.identifiersOfAll().isEmpty)
        #expect(throws: ObjectError.self) {
            try ObjectSpace(path: place.path + "/none", create: false)
        }
    }
}
