import Testing

@testable import LinuxServer

struct FileSystemDirectoryTests {
    private func inode(_ number: UInt64) -> Inode {
        Inode(
            number: number, device: 1, kind: .regular, permissions: 0, time: Timestamp(seconds: 0))
    }

    /// Random insertions, removals, renames and replacements against a dictionary and a list.
    @Test(arguments: 0..<20) func equalsDictionary(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let directory = Directory()
        var expected: [Bytes: UInt64] = [:]
        var number: UInt64 = 0
        for _ in 0..<1500 {
            let name = bytes("n\(random.below(120))")
            let other = bytes("n\(random.below(120))")
            switch random.below(5) {
            case 0...1 where expected[name] == nil:
                number += 1
                directory.insert(name, inode(number))
                expected[name] = number
            case 2:
                #expect(directory.remove(name)?.number == expected.removeValue(forKey: name))
            case 3 where expected[name] != nil && expected[other] == nil:
                directory.rename(name, to: other)
                expected[other] = expected.removeValue(forKey: name)
            case 4 where expected[name] != nil:
                number += 1
                #expect(directory.replace(name, with: inode(number))?.number == expected[name])
                expected[name] = number
            default:
                #expect(directory.inode(named: name[...])?.number == expected[name])
            }
            #expect(directory.liveCount == expected.count)
        }
        #expect(directory.fault() == nil)
        for (name, number) in expected {
            #expect(directory.inode(named: name[...])?.number == number)
        }
    }

    @Test func namesWithOneHashAreToldApart() {
        let directory = Directory()
        // All one-byte names, then all two-byte names of some letters: many share a bucket.
        var names: [Bytes] = (1...255).map { [UInt8($0)] }
        for first in UInt8(1)...40 {
            for second in UInt8(1)...40 { names.append([first, second]) }
        }
        for (index, name) in names.enumerated() { directory.insert(name, inode(UInt64(index))) }
        for (index, name) in names.enumerated() {
            #expect(directory.inode(named: name[...])?.number == UInt64(index))
        }
        #expect(directory.fault() == nil)
    }

    @Test func memoryOfRemovedEntriesIsGivenBack() {
        let directory = Directory()
        for index in 0..<10_000 { directory.insert(bytes("file\(index)"), inode(UInt64(index))) }
        for index in 0..<10_000 { _ = directory.remove(bytes("file\(index)")) }
        #expect(directory.isEmpty)
        #expect(directory.entries.count <= 16)
        #expect(directory.entries.capacity <= 64)
        #expect(directory.fault() == nil)
    }
}
