import CHostKit
import Glibc
import SystemPackage

/// A file mapped shared into this process; what is stored there is in the file at once, for every
/// other mapping.
public final class MappedFile {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    public let path: FilePath

    /// Maps the whole file.
    public init(_ path: FilePath, writable: Bool) throws(HostError) {
        let file = try Files.open(path, writable ? .readWrite : .readOnly)
        defer { try? file.close() }
        var status = stat()
        guard fstat(file.rawValue, &status) == 0 else {
            throw Files.error("stat", path, Errno(rawValue: errno))
        }
        guard status.st_size > 0, status.isRegular else {
            throw .cannotRead(path: path.string, reason: "it is empty")
        }
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let address = mmap(nil, Int(status.st_size), protection, MAP_SHARED, file.rawValue, 0)
        guard let address, address != MAP_FAILED else {
            throw Files.error("mmap", path, Errno(rawValue: errno))
        }
        base = address
        byteCount = Int(status.st_size)
        self.path = path
    }

    deinit { munmap(base, byteCount) }

    /// The word at an 8-byte aligned offset, in order with other accesses.
    public func load(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset & 7 == 0 && offset + 8 <= byteCount)
        return hostkit_load_acquire(base + offset)
    }

    /// Stores a word at an 8-byte aligned offset, after everything stored before.
    public func store(_ value: UInt64, at offset: Int) {
        precondition(offset >= 0 && offset & 7 == 0 && offset + 8 <= byteCount)
        hostkit_store_release(base + offset, value)
    }
}
