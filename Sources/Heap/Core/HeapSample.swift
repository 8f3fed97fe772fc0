import Glibc
import PersistentMemory

/// What the pages of a heap's file are used for, read beside a program that has it open.
///
/// Only read(2) is used, without the heap's lock: figures of pages that change at that instant may
/// be old or new, and nothing the file holds can stop this program. Which cells of a page live only
/// the program with the heap knows.
package struct HeapSample: Sendable {
    package struct Use: Sendable, Equatable {
        package var name: String
        /// Bytes of the pages given to the type.
        package var bytes: UInt64
    }

    package var committedBytes: UInt64
    package var pages: UInt64 = 0
    package var freePages: UInt64 = 0
    /// By type number.
    package var types: [Int: Use] = [:]

    /// Throws `notAHeap`, `newerFormat`, `damagedHeader`, or what the system says.
    package init(path: String) throws {
        let file = try HeapFile(path: path)
        defer { file.close() }
        let header = try file.header()
        let geometry = HeapGeometry(header)
        // Between growth of the file and of the header, the header counts.
        let arenas = min(header.committedBytes, file.bytes) >> geometry.arenaShift
        committedBytes = arenas << geometry.arenaShift
        for arena in 0..<arenas { try count(arena, geometry, file) }
        let names = file.typeNames(anchor: geometry.anchor, limit: committedBytes)
        for number in types.keys {
            types[number]?.name = names[number] ?? BuiltInType.name(number) ?? "type \(number)"
        }
    }

    private mutating func count(_ arena: UInt64, _ geometry: HeapGeometry, _ file: HeapFile)
        throws
    {
        let first = geometry.firstPage(ofArena: arena)
        let end = (arena + 1) * geometry.pagesPerArena
        let words = try file.words(at: geometry.spanWord(first), count: Int(end - first))
        var owner = 0
        for word in words {
            let span = SpanWord(value: word)
            pages += 1
            if span.isFree {
                freePages += 1
                continue
            }
            // The rest of a run belongs to the type of its head.
            if !span.isRest { owner = span.type }
            types[owner, default: Use(name: "", bytes: 0)].bytes += HeapFormat.pageBytes
        }
    }
}

extension BuiltInType {
    static func name(_ number: Int) -> String? {
        switch number {
        case bytes: "(strings and logs)"
        case TypeRecord.typeNumber: "(type records)"
        case RootRecord.typeNumber: "(root records)"
        default: nil
        }
    }
}

/// A heap's file, read without opening the heap.
private struct HeapFile {
    private let descriptor: Int32
    private let path: String
    let bytes: UInt64

    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            throw PersistentMemoryError.system(call: "open", path: path, code: errno)
        }
        bytes = UInt64(max(0, status.st_size))
    }

    func close() { _ = Glibc.close(descriptor) }

    /// Words of the file; those behind its end read as 0.
    func words(at offset: UInt64, count: Int) throws -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        let code = words.withUnsafeMutableBytes { buffer in
            pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
        }
        guard code >= 0 else {
            throw PersistentMemoryError.system(call: "pread", path: path, code: errno)
        }
        return words
    }

    /// The newer valid copy of the header.
    func header() throws -> HeapHeader {
        var best: HeapHeader?
        var isDamaged = false
        for copy in HeapFormat.headerCopies {
            switch HeapHeader.decode(try words(at: copy, count: HeapHeader.words)) {
            case .newer(let version):
                throw HeapError.newerFormat(found: version, supported: HeapFormat.version)
            case .valid(let header) where header.generation >= best?.generation ?? 0: best = header
            case .damaged: isDamaged = true
            case .valid, .empty, .foreign: break
            }
        }
        if let best { return best }
        throw isDamaged ? HeapError.damagedHeader(detail: "checksums") : .notAHeap(path: path)
    }

    /// Names by type number, as far as the list of types can be followed now.
    func typeNames(anchor: UInt64, limit: UInt64) -> [Int: String] {
        var names: [Int: String] = [:]
        func load(_ offset: UInt64) -> UInt64 {
            ((try? words(at: offset, count: 1)) ?? [0]).first ?? 0
        }
        var at = load(anchor + HeapFormat.typeListWord * 8)
        var left = HeapFormat.maximumTypes
        while at != 0, left > 0,
            let record = try? TypeRecord(at: at, limit: limit, load: load)
        {
            names[record.number] = record.isArray ? "[\(record.name)]" : record.name
            at = load(at)
            left -= 1
        }
        return names
    }
}
