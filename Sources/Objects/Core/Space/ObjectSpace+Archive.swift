import Glibc
import PersistentMemory

/// Objects in one file, to be carried to another space.
///
/// Words: magic `EVTOBJA1`, count of objects, count of names. An object: ID low and high, capacity,
/// bytes of data, bytes of table, CRC32C of all that follows of it: data from the base, table,
/// metadata page. A name: ID low and high, bytes of the path, the path, zeros to a whole word.
extension ObjectSpace {
    private static let archiveMagic: UInt64 = 0x3141_4A42_4F54_5645

    /// Writes objects, with all that their tables lead to, and the names of those that paths name.
    ///
    /// - Parameter roots: paths or IDs; none means every name of the space.
    /// - Returns: how many objects were written.
    public func export(_ roots: [String], to path: String) throws -> Int {
        try lockAlone()
        defer { unlock() }
        lane.retire()
        var names: [(path: String, id: ObjectID)] = []
        var wanted: [ObjectID] = []
        let reader = ObjectReader(self)
        for root in roots.isEmpty ? try leaves() : roots {
            if let id = ObjectID(root) {
                wanted.append(id)
            } else {
                names.append((root, try find(root, reader).id))
            }
        }
        wanted += names.map(\.id)
        var order: [ObjectID] = []
        var seen: Set<ObjectID> = []
        while let id = wanted.popLast() {
            guard seen.insert(id).inserted else { continue }
            _ = try openSlot(id)
            order.append(id)
            for (_, entry, name) in try check(id).entries where name == nil {
                wanted.append(entry.id)
            }
        }
        let archive = try ArchiveFile(path, "w")
        try archive.put([Self.archiveMagic, UInt64(order.count), UInt64(names.count)])
        for id in order { try write(id, archive) }
        for (path, id) in names { try archive.put(name: path, id) }
        try archive.finish()
        return order.count
    }

    /// The paths of all objects that are not namespaces.
    func leaves(_ path: String = "") throws -> [String] {
        try names(in: path).flatMap { name, entry in
            let whole = path.isEmpty ? name : path + "/" + name
            return entry.isNamespace ? try leaves(whole) : [whole]
        }
    }

    /// Data from the base, table, metadata page.
    private func parts(_ slot: Int, data: Int, table: Int) -> [UnsafeMutableRawBufferPointer] {
        let at = region.base + Int(start(slot))
        let metadata = Int(capacities[slot] - ObjectLayout.pageBytes)
        return [
            (Int(ObjectLayout.base), data), (metadata - table, table),
            (metadata, Int(ObjectLayout.pageBytes)),
        ].map { UnsafeMutableRawBufferPointer(start: at + $0.0, count: $0.1) }
    }

    private func write(_ id: ObjectID, _ archive: ArchiveFile) throws {
        let slot = try slot(of: id)
        let data = Int((try word(slot, ObjectLayout.Word.dataEnd) + 7) & ~7 - ObjectLayout.base)
        let table = countEntries(slot) * Int(ObjectLayout.entryBytes)
        let parts = parts(slot, data: data, table: table)
        let sum = CheckedWord.sum(parts.lazy.flatMap { $0.bindMemory(to: UInt64.self) })
        try archive.put([
            id.low, id.high, capacities[slot], UInt64(data), UInt64(table), sum,
        ])
        for part in parts { try archive.put(UnsafeRawBufferPointer(part)) }
    }

    /// Reads an archive in. Objects that are here already stay as they are; names that are taken are
    /// refused. Each object is checked before anything can lead to it; if one is damaged, nothing
    /// of the archive stays.
    ///
    /// - Returns: how many objects were added, and how many were here.
    public func importArchive(_ path: String) throws -> (added: Int, present: Int) {
        let archive = try ArchiveFile(path, "r")
        let head = try archive.words(3)
        guard head[0] == Self.archiveMagic else {
            throw ObjectError.notAnArchive("its magic number is missing")
        }
        try lockAlone()
        defer { unlock() }
        lane.retire()
        var added: [ObjectID] = []
        var present = 0
        do {
            for _ in 0..<head[1] {
                if let id = try read(archive) { added.append(id) } else { present += 1 }
            }
            for id in added { _ = try check(id) }
            try transaction { tx in
                for _ in 0..<head[2] {
                    let (id, path) = try archive.name()
                    let root = Ref<UInt64>(address: start(try openSlot(id)) + ObjectLayout.base)
                    try tx.name(PObject(id: id, root: root), path)
                }
            }
        } catch {
            for id in added {
                forgetRemoved(id)
                try store.remove(id)
            }
            throw error
        }
        return (added.count, present)
    }

    /// Nil if the object is here.
    private func read(_ archive: ArchiveFile) throws -> ObjectID? {
        let head = try archive.words(6)
        let id = ObjectID(high: head[1], low: head[0])
        let (capacity, data, table) = (head[2], head[3], head[4])
        guard ObjectLayout.isCapacity(capacity), data % 8 == 0, table % 32 == 0,
            data <= capacity, table <= capacity,
            data + table <= capacity - 2 * ObjectLayout.pageBytes
        else { throw ObjectError.notAnArchive("object \(id) claims sizes that cannot be") }
        if try store.capacity(of: id) != nil {
            try archive.skip(data + table + ObjectLayout.pageBytes)
            return nil
        }
        let slot = try slot(of: id, creating: capacity)
        do {
            try store.reserve(slot, upTo: ObjectLayout.base + data)
            let parts = parts(slot, data: Int(data), table: Int(table))
            for part in parts { try archive.get(part) }
            guard CheckedWord.sum(parts.lazy.flatMap { $0.bindMemory(to: UInt64.self) }) == head[5]
            else { throw ObjectError.notAnArchive("object \(id) fails its checksum") }
            // Provisional until all of it is durable. Ties and counts are of the space it came from.
            let metadata = metadata(slot)
            region.store(0, at: metadata + ObjectLayout.Word.state)
            region.store(0, at: metadata + ObjectLayout.Word.ties)
            clearCounts(slot)
            for part in parts where part.count > 0 {
                guard let at = part.baseAddress else { continue }
                region.flush(UInt64(at - region.base), part.count)
            }
            region.fence()
            _ = try check(id)
            try seal(id, slot)
        } catch {
            forget(slot)
            try store.remove(id)
            throw error
        }
        return id
    }
}

/// A file of words.
private final class ArchiveFile {
    private let file: UnsafeMutablePointer<FILE>
    private let path: String

    init(_ path: String, _ mode: String) throws(ObjectError) {
        guard let file = fopen(path, mode) else {
            throw .system(call: "fopen", path: path, code: errno)
        }
        (self.file, self.path) = (file, path)
    }

    deinit { fclose(file) }

    func put(_ bytes: UnsafeRawBufferPointer) throws(ObjectError) {
        guard fwrite(bytes.baseAddress, 1, bytes.count, file) == bytes.count else {
            throw .system(call: "fwrite", path: path, code: errno)
        }
    }

    func put(_ words: [UInt64]) throws {
        try words.map(\.littleEndian).withUnsafeBytes { try put($0) }
    }

    func put(name: String, _ id: ObjectID) throws {
        var bytes = Array(name.utf8)
        try put([id.low, id.high, UInt64(bytes.count)])
        while bytes.count % 8 != 0 { bytes.append(0) }
        try bytes.withUnsafeBytes { try put($0) }
    }

    func finish() throws(ObjectError) {
        guard fflush(file) == 0, fsync(fileno(file)) == 0 else {
            throw .system(call: "fsync", path: path, code: errno)
        }
    }

    func get(_ bytes: UnsafeMutableRawBufferPointer) throws(ObjectError) {
        guard fread(bytes.baseAddress, 1, bytes.count, file) == bytes.count else {
            throw .notAnArchive("it ends too early")
        }
    }

    func words(_ count: Int) throws -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        try words.withUnsafeMutableBytes { try get($0) }
        return words.map { UInt64(littleEndian: $0) }
    }

    func name() throws -> (ObjectID, String) {
        let head = try words(3)
        guard head[2] <= 4096 else { throw ObjectError.notAnArchive("a name of \(head[2]) bytes") }
        var bytes = [UInt8](repeating: 0, count: Int(head[2] + 7) & ~7)
        try bytes.withUnsafeMutableBytes { try get($0) }
        let text = String(decoding: bytes.prefix(Int(head[2])), as: UTF8.self)
        return (ObjectID(high: head[1], low: head[0]), text)
    }

    func skip(_ bytes: UInt64) throws(ObjectError) {
        guard fseek(file, Int(bytes), SEEK_CUR) == 0 else {
            throw .notAnArchive("it ends too early")
        }
    }
}
