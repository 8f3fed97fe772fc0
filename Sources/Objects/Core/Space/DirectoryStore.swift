import CObjectSpace
import CPersistentMemory
import Glibc
import PersistentMemory

/// A space in a directory: `space` (control area), `members`, and `objects/` with a sparse file for
/// each object, named by its ID.
package final class DirectoryStore: ObjectStore {
    let path: String
    package let region: PersistentRegion
    package let members: Members?
    package let controlBytes: UInt64
    package var directorySlots: UInt64 { ObjectLayout.slots }
    package var namespaceBytes: UInt64 { ObjectLayout.slotBytes }
    package var keepsSlots: Bool { false }
    private let files: SlotFiles
    private static let reserveStep: UInt64 = 1 << 20
    private var reserved = [UInt64](repeating: 0, count: Int(ObjectLayout.slots))

    package init(path: String, domain: PersistenceDomain, create: Bool, logBytes: UInt64)
        throws(ObjectError)
    {
        self.path = path
        if create {
            for folder in [path, path + "/objects"] where mkdir(folder, 0o700) != 0 {
                guard errno == EEXIST else { throw .system(call: "mkdir", path: folder, code: errno) }
            }
        }
        guard access(path + "/objects", F_OK) == 0, create || access(path + "/space", F_OK) == 0
        else { throw .notASpace(path: path, detail: "it has no objects") }
        let members = try Members(path: path + "/members")
        self.members = members
        files = try SlotFiles()
        let control = path + "/space"
        let descriptor = open(control, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: control, code: errno) }
        var status = stat()
        fstat(descriptor, &status)
        controlBytes =
            status.st_size > 0
            ? UInt64(status.st_size)
            : ControlLayout.laneOffset(ObjectLayout.slots) + max(logBytes, 1 << 16)
        guard controlBytes <= ObjectLayout.slotBytes, controlBytes % 4096 == 0 else {
            throw .notASpace(path: path, detail: "its control file has \(controlBytes) bytes")
        }
        if status.st_size == 0 {
            let code = pm_extend(descriptor, 0, controlBytes)
            guard code == 0 else { throw .system(call: "fallocate", path: control, code: code) }
        }
        let code = files.map(0, descriptor, controlBytes, writable: true)
        guard code == 0 else { throw .system(call: "mmap", path: control, code: code) }
        var chosen = domain
        if domain == .automatic {
            chosen = SurroundingSystem.isCheckpointed ? .checkpointed : .fileSync
        }
        region = files.region(chosen)
    }

    func file(_ id: ObjectID) -> String { "\(path)/objects/\(id)" }

    package func create(_ id: ObjectID, capacity: UInt64) throws(ObjectError) {
        let file = file(id)
        let descriptor = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: file, code: errno) }
        defer { _ = Glibc.close(descriptor) }
        guard ftruncate(descriptor, off_t(capacity)) == 0 else {
            throw .system(call: "ftruncate", path: file, code: errno)
        }
        guard region.domain == .fileSync else { return }
        guard fsync(descriptor) == 0 else { throw .system(call: "fsync", path: file, code: errno) }
        try synchronizeFolder()
    }

    private func synchronizeFolder() throws(ObjectError) {
        let folder = open(path + "/objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .system(call: "open", path: path, code: errno) }
        defer { _ = Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw .system(call: "fsync", path: path, code: errno) }
    }

    package func capacity(of id: ObjectID) throws(ObjectError) -> UInt64? {
        var status = stat()
        if stat(file(id), &status) != 0 {
            guard errno == ENOENT else { throw .system(call: "stat", path: file(id), code: errno) }
            return nil
        }
        return UInt64(status.st_size)
    }

    package func map(_ id: ObjectID, at slot: Int, capacity: UInt64, writable: Bool)
        throws(ObjectError)
    {
        let file = file(id)
        let descriptor = open(file, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(call: "open", path: file, code: errno) }
        let code = files.map(slot, descriptor, capacity, writable: writable)
        if code != 0 {
            _ = Glibc.close(descriptor)
            throw .system(call: "mmap", path: file, code: code)
        }
        reserved[slot] = 0
    }

    package func mapNothing(_ slot: Int, capacity: UInt64) throws(ObjectError) {
        let code = files.mapMemory(slot, capacity)
        guard code == 0 else { throw .system(call: "mmap", path: path, code: code) }
    }

    package func makeReadOnly(_ id: ObjectID) throws(ObjectError) {
        guard chmod(file(id), 0o444) == 0 else {
            throw .system(call: "chmod", path: file(id), code: errno)
        }
    }

    /// Files of immutable objects have no write permission.
    package func isReadOnly(_ id: ObjectID) throws(ObjectError) -> Bool {
        var status = stat()
        guard stat(file(id), &status) == 0 else {
            throw .system(call: "stat", path: file(id), code: errno)
        }
        return status.st_mode & 0o200 == 0
    }

    package func unmap(_ slot: Int, capacity: UInt64) { files.unmap(slot, capacity) }

    package func remove(_ id: ObjectID) throws(ObjectError) {
        guard unlink(file(id)) == 0 || errno == ENOENT else {
            throw .system(call: "unlink", path: file(id), code: errno)
        }
    }

    package func identifiers() throws(ObjectError) -> [ObjectID] {
        guard let folder = opendir(path + "/objects") else {
            throw .system(call: "opendir", path: path, code: errno)
        }
        defer { closedir(folder) }
        var found: [ObjectID] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let id = ObjectID(name) { found.append(id) }
        }
        return found.sorted()
    }

    package func reserve(_ slot: Int, upTo bytes: UInt64) throws(ObjectError) {
        guard bytes > reserved[slot], let descriptor = files.descriptor(slot) else { return }
        let end = (bytes + Self.reserveStep - 1) / Self.reserveStep * Self.reserveStep
        var status = stat()
        fstat(descriptor, &status)
        let length = min(end, UInt64(status.st_size))
        guard length > reserved[slot] else { return }
        let code = os_take_space(descriptor, reserved[slot], length)
        guard code == 0 else { throw .system(call: "fallocate", path: path, code: code) }
        reserved[slot] = length
    }

    package func touch(_ slot: Int) { files.touch(slot) }
    package func close() { region.close() }
}
