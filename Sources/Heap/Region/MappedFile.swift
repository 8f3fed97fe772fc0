import CPersistentMemory
import Glibc
import Synchronization

func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A file mapped into a reserved range of addresses, growing in place.
///
/// The file is locked (`flock`) against a second writer for as long as it is open.
final class MappedFile: RegionBacking, @unchecked Sendable {
    let path: String
    private let descriptor: Int32
    private let base: UnsafeMutableRawPointer
    private let reservedBytes: UInt64
    private let synchronous: Bool
    private let state: Mutex<State>

    private struct State {
        var committedBytes: UInt64
        /// 4 KiB pages to write at the next fence.
        var pages: Set<UInt64> = []
        var isClosed = false
        var writtenPages = 0
        var diskWaits = 0
    }

    var committedBytes: UInt64 { state.withLock { $0.committedBytes } }

    /// Pages of 4 KiB written by fences so far.
    var writtenPages: Int { state.withLock { $0.writtenPages } }

    var diskWaits: Int { state.withLock { $0.diskWaits } }

    init(
        path: String, descriptor: Int32, base: UnsafeMutableRawPointer, reservedBytes: UInt64,
        synchronous: Bool
    ) {
        self.path = path
        self.descriptor = descriptor
        self.base = base
        self.reservedBytes = reservedBytes
        self.synchronous = synchronous
        state = Mutex(State(committedBytes: 0))
    }

    func grow(to bytes: UInt64) throws(PersistentMemoryError) {
        let current = committedBytes
        guard bytes > current else { return }
        try extendFile(to: bytes)
        try map(from: current, to: bytes)
        state.withLock { $0.committedBytes = bytes }
    }

    /// Takes real space where the file system can promise it: a full disk is then an error here,
    /// not a SIGBUS later.
    private func extendFile(to bytes: UInt64) throws(PersistentMemoryError) {
        var status = stat()
        fstat(descriptor, &status)
        let size = UInt64(status.st_size)
        guard size < bytes else { return }
        let code = pm_extend(descriptor, size, bytes)
        guard code == 0 else { throw .system(call: "fallocate", path: path, code: code) }
    }

    private func map(from start: UInt64, to end: UInt64) throws(PersistentMemoryError) {
        let code = pm_map_fixed(
            base + Int(start), Int(end - start), descriptor, start, synchronous ? 1 : 0)
        guard code == 0 else { throw .system(call: "mmap", path: path, code: code) }
    }

    func flush(_ offset: UInt64, _ length: Int) {
        state.withLock { state in
            var page = offset >> 12
            while page <= (offset + UInt64(length) - 1) >> 12 {
                state.pages.insert(page)
                page += 1
            }
        }
    }

    /// Writes the touched pages: by msync(2) if they are neighbours, else all that the file has
    /// dirty by fdatasync(2), since every call waits for the disk.
    func fence() {
        let pages = state.withLock { state in
            defer { state.pages.removeAll(keepingCapacity: true) }
            state.writtenPages += state.pages.count
            return state.pages.sorted()
        }
        guard let first = pages.first, let last = pages.last else { return }
        guard last - first == UInt64(pages.count - 1) else { return synchronize() }
        state.withLock { $0.diskWaits += 1 }
        // A failed write-back loses durability silently if ignored, and cannot be undone: stop here.
        precondition(
            msync(base + Int(first << 12), pages.count << 12, MS_SYNC) == 0,
            "msync failed for \(path): errno \(errno)")
    }

    func settle() {
        state.withLock { $0.pages.removeAll(keepingCapacity: true) }
        synchronize()
    }

    private func synchronize() {
        state.withLock { $0.diskWaits += 1 }
        precondition(fdatasync(descriptor) == 0, "fdatasync failed for \(path): errno \(errno)")
    }

    func makePrivate(_ offset: UInt64, _ length: UInt64) -> Bool {
        pm_map_private(base + Int(offset), Int(length), descriptor, offset) == 0
    }

    /// If the system refuses, the block that says what belongs here is durable (or nothing of the
    /// transaction is): stopping loses nothing, going on would.
    func makeShared(_ offset: UInt64, _ length: UInt64) {
        let code = pm_map_fixed(
            base + Int(offset), Int(length), descriptor, offset, synchronous ? 1 : 0)
        precondition(code == 0, "mmap failed for \(path): \(systemMessage(code)) (errno \(code))")
    }

    /// Closing again does nothing: by then addresses and descriptor may be another file's.
    func close(keepingReadable: Bool) {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if wasClosed { return }
        if keepingReadable {
            mprotect(base, Int(reservedBytes), PROT_READ)
        } else {
            munmap(base, Int(reservedBytes))
        }
        // By name: a mapping that stays, or a child between fork and exec, would keep the file
        // locked.
        flock(descriptor, LOCK_UN)
        _ = Glibc.close(descriptor)
    }
}

extension PersistentRegion {
    /// Opens or creates a file and maps what is in it.
    ///
    /// - Parameters:
    ///   - reservedBytes: address space for growth; costs no memory.
    ///   - address: where to map; nil lets the system choose.
    public static func file(
        path: String, domain: PersistenceDomain, reservedBytes: UInt64,
        address: UnsafeMutableRawPointer? = nil,
        create: Bool = true
    ) throws(PersistentMemoryError) -> PersistentRegion {
        let descriptor = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: path, code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            _ = Glibc.close(descriptor)
            throw .alreadyOpen(path: path)
        }
        guard
            let base = pm_reserve(address, Int(reservedBytes))
                ?? pm_reserve(nil, Int(reservedBytes))
        else {
            _ = Glibc.close(descriptor)
            throw .outOfAddressSpace(bytes: reservedBytes)
        }
        let synchronous = mapsSynchronously(descriptor, at: base)
        var chosen = domain
        if domain == .automatic { chosen = best(synchronous) }
        let file = MappedFile(
            path: path, descriptor: descriptor, base: base, reservedBytes: reservedBytes,
            synchronous: synchronous && chosen == .cacheLineFlush)
        var status = stat()
        fstat(descriptor, &status)
        // A partial page at the end cannot hold an arena; the caller compares sizes and names the
        // fault.
        let usable = min(UInt64(status.st_size) & ~4095, reservedBytes)
        do { try file.grow(to: usable) } catch {
            file.close(keepingReadable: false)
            throw error
        }
        return PersistentRegion(
            base: base, reservedBytes: reservedBytes, domain: chosen, backing: file,
            foundBytes: UInt64(status.st_size))
    }

    private static func best(_ synchronous: Bool) -> PersistenceDomain {
        if SurroundingSystem.isCheckpointed { return .checkpointed }
        return synchronous ? .cacheLineFlush : .fileSync
    }

    /// Whether the file system maps this file without a page cache in between (DAX).
    private static func mapsSynchronously(_ descriptor: Int32, at base: UnsafeMutableRawPointer)
        -> Bool
    {
        let answer = pm_map_fixed(base, 4096, descriptor, 0, 1) == 0
        // Puts the reservation back, whatever the probe left there.
        mmap(base, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0)
        return answer
    }
}
