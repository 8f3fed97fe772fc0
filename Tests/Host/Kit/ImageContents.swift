import ABI
import Glibc
import Store
import SystemPackage

@testable import HostKit

/// What a store's image holds, read back independently of what wrote it.
struct ImageContents {
    struct Entry: Equatable {
        var mode: UInt32
        var owner: UInt32
        var group: UInt32
        var seconds: Int64
        var device: UInt64
        var target: String
        var bytes: [UInt8]
        /// Number of the record that the inode came with.
        var inode: Int
    }
    /// By path without a leading slash; the root is "".
    private(set) var entries: [String: Entry] = [:]
    var names: Set<String> { Set(entries.keys) }

    subscript(path: String) -> Entry? { entries[path] }

    func text(_ path: String) -> String? {
        entries[path].map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    init(_ directory: StoreDirectory) throws {
        let memory = MappedMemory(try MappedFile(directory.nvm, writable: false))
        let layout = try Store.identify(memory).identity.layout
        let count = Int(layout.imageFrames) * Int(pageSize)
        var image = [UInt8](repeating: 0, count: count)
        image.withUnsafeMutableBytes {
            memory.read(FrameNumber(layout.image.lowerBound).offset, into: $0)
        }
        self.init(image)
    }

    init(_ image: [UInt8]) {
        func number(_ place: Int, _ count: Int) -> UInt64 {
            (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(image[place + $1]) }
        }
        precondition(number(0, 8) == Image.magic)
        var place = Int(number(16, 8))
        let end = place + Int(number(24, 8))
        var paths: [String] = []
        var all: [Entry] = []
        while place < end {
            let nameStart = place + Image.recordBytes
            let targetStart = nameStart + Int(number(place + 52, 2))
            let recordEnd = targetStart + Int(number(place + 54, 2))
            let size = Int(number(place + 40, 8))
            let start = Int(number(place + 48, 4)) * Int(pageSize)
            var entry = Entry(
                mode: UInt32(number(place, 4)), owner: UInt32(number(place + 4, 4)),
                group: UInt32(number(place + 8, 4)),
                seconds: Int64(bitPattern: number(place + 16, 8)), device: number(place + 32, 8),
                target: String(decoding: image[targetStart..<recordEnd], as: UTF8.self),
                bytes: Array(image[start..<(start + size)]), inode: all.count)
            let link = Int(number(place + 28, 4))
            if link > 0 { entry = all[link - 1] }
            let above = paths.isEmpty ? "" : paths[Int(number(place + 12, 4))]
            let name = String(decoding: image[nameStart..<targetStart], as: UTF8.self)
            paths.append(above.isEmpty ? name : above + "/" + name)
            all.append(entry)
            entries[paths[paths.count - 1]] = entry
            place = (recordEnd + 7) & ~7
        }
    }
}
