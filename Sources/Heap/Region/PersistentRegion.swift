import CPersistentMemory
import Synchronization

/// A range of memory that outlives the process, and the two verbs that make stores into it durable.
///
/// Loads and stores go straight to memory at `base + offset`; nothing stands between them and the
/// processor. Durability is asked for by cache line: `flush` starts the write-back of a range,
/// `fence` returns when all flushed before is durable. An aligned 8-byte store never tears;
/// anything longer may.
///
/// Invariants
/// - `base` never moves while the region is open, so a pointer into it stays valid.
/// - `committedBytes` only grows, in whole arenas; every offset below it may be read and written.
public final class PersistentRegion: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    /// Address space kept for growth, in bytes.
    public let reservedBytes: UInt64
    public let domain: PersistenceDomain
    public let writeBack: WriteBack
    /// Every fence waits for a disk: logs are journals (`LogLane.commitJournal`).
    package let journals: Bool
    /// Bytes the file held when it was opened.
    public let foundBytes: UInt64
    let backing: any RegionBacking

    package init(
        base: UnsafeMutableRawPointer, reservedBytes: UInt64, domain: PersistenceDomain,
        backing: any RegionBacking,
        foundBytes: UInt64 = 0, journals: Bool? = nil
    ) {
        self.journals = journals ?? (domain == .fileSync)
        self.foundBytes = foundBytes
        self.base = base
        self.reservedBytes = reservedBytes
        self.domain = domain
        self.backing = backing
        writeBack = Self.writeBack(for: domain)
    }

    private static func writeBack(for domain: PersistenceDomain) -> WriteBack {
        switch domain {
        case .fileSync, .simulated: return .indirect
        case .processCrash, .checkpointed, .automatic: return .none
        case .cacheLineFlush:
            switch pm_write_back_instruction() {
            case 3: return .clwb
            case 2: return .clflushopt
            default: return .clflush
            }
        }
    }

    /// Bytes that may be used now.
    public var committedBytes: UInt64 { backing.committedBytes }

    /// Pages that fences have written with msync so far; 0 in other domains.
    package var writtenPages: Int { (backing as? MappedFile)?.writtenPages ?? 0 }

    /// How often something waited for the disk so far: calls of msync and fdatasync, or fences of
    /// test memory.
    package var diskWaits: Int { backing.diskWaits }

    /// Makes stores to a range invisible to the file, until `makeShared`; false if the system
    /// refuses. The range is a multiple of 8 KiB.
    func makePrivate(_ offset: UInt64, _ length: UInt64) -> Bool {
        backing.makePrivate(offset, length)
    }

    /// Makes a private range what the file says, and its stores visible to the file.
    func makeShared(_ offset: UInt64, _ length: UInt64) { backing.makeShared(offset, length) }

    /// Makes the region at least `bytes` long. The new part reads as zeros.
    public func grow(to bytes: UInt64) throws(PersistentMemoryError) {
        guard bytes <= reservedBytes else { throw .full(limit: reservedBytes) }
        try backing.grow(to: bytes)
    }

    /// Maps the pages of a range now, together, if the system can; else each is mapped when it is
    /// touched.
    public func prefault(_ offset: UInt64, _ length: Int, forWriting: Bool) {
        guard domain != .simulated else { return }
        pm_populate(base + Int(offset), length, forWriting ? 1 : 0)
    }

    /// Releases mapping and file. The region must not be used afterwards.
    ///
    /// - Parameter keepingReadable: leave the addresses mapped, read-only, for the rest of the
    ///   process: Swift variables may still refer to native objects, and counting a reference reads
    ///   the object.
    public func close(keepingReadable: Bool = false) {
        backing.close(keepingReadable: keepingReadable)
    }

    /// Starts writing back the cache lines that overlap the range.
    @inlinable public func flush(_ offset: UInt64, _ length: Int) {
        RegionAccess(self).flush(offset, length)
    }

    /// Returns when everything flushed before is durable.
    @inlinable public func fence() { RegionAccess(self).fence() }

    /// Makes a page-aligned range what `image` says, and starts the write-back of the lines that
    /// change: past the caches where the domain is one of cache lines, which costs less than stores
    /// and CLWB.
    package func write(_ image: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let source = image.baseAddress else { return }
        let streams = domain == .cacheLineFlush
        let copied = pm_copy_lines(
            base + Int(offset), source, image.count / 64, streams ? 1 : 0)
        if copied > 0, !streams { flush(offset, image.count) }
    }

    @usableFromInline func flushIndirectly(_ offset: UInt64, _ length: Int) {
        if length > 0 { backing.flush(offset, length) }
    }

    @usableFromInline func fenceIndirectly() { backing.fence() }

    /// Makes all stores durable, flushed or not.
    package func settle() { backing.settle() }

    /// Loads the word at an 8-byte aligned offset.
    @inlinable public func load(_ offset: UInt64) -> UInt64 {
        base.load(fromByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
    }

    /// Stores the word at an 8-byte aligned offset.
    @inlinable public func store(_ value: UInt64, at offset: UInt64) {
        base.storeBytes(of: value, toByteOffset: Int(truncatingIfNeeded: offset), as: UInt64.self)
    }

    /// Stores one word and makes it durable.
    public func storeDurably(_ value: UInt64, at offset: UInt64) {
        store(value, at: offset)
        flush(offset, 8)
        fence()
    }
}

/// What the hot paths need of a region, copied next to where it is used: no reference counting, no
/// indirection.
public struct RegionAccess {
    public let base: UnsafeMutableRawPointer
    public let writeBack: WriteBack
    public let region: Unmanaged<PersistentRegion>

    @inlinable public init(_ region: PersistentRegion) {
        base = region.base
        writeBack = region.writeBack
        self.region = .passUnretained(region)
    }

    @inlinable @inline(__always)
    public func flush(_ offset: UInt64, _ length: Int) {
        if writeBack == .clwb {
            let start = base + Int(truncatingIfNeeded: offset & ~63)
            let end = base + Int(truncatingIfNeeded: offset) + length
            var line = start
            repeat {
                pm_clwb(line)
                line += 64
            } while line < end
        } else {
            flushOtherwise(offset, length)
        }
    }

    @inlinable @inline(__always)
    public func fence() {
        if writeBack == .clwb { pm_sfence() } else { fenceOtherwise() }
    }

    /// Makes all stores durable, flushed or not. For regions that journal.
    func settle() { region._withUnsafeGuaranteedRef { $0.settle() } }

    @usableFromInline @inline(never)
    func flushOtherwise(_ offset: UInt64, _ length: Int) {
        if writeBack == .indirect {
            region._withUnsafeGuaranteedRef { $0.flushIndirectly(offset, length) }
        } else if writeBack != .none, length > 0 {
            var line = base + Int(truncatingIfNeeded: offset & ~63)
            let end = base + Int(truncatingIfNeeded: offset) + length
            while line < end {
                if writeBack == .clflushopt { pm_clflushopt(line) } else { pm_clflush(line) }
                line += 64
            }
        }
    }

    @usableFromInline @inline(never)
    func fenceOtherwise() {
        switch writeBack {
        case .indirect: region._withUnsafeGuaranteedRef { $0.fenceIndirectly() }
        case .none: pm_compiler_fence()
        default: pm_sfence()
        }
    }
}

/// The verbs of durability, line by line, for code that is written once for CLWB and for every
/// other way: what the tests run on memory that forgets is what runs on persistent memory.
protocol LineWriter {
    var base: UnsafeMutableRawPointer { get }
    /// Starts writing back the line that holds an 8-byte aligned offset.
    func flushLine(_ offset: UInt64)
    func fence()
}

extension RegionAccess: LineWriter {
    func flushLine(_ offset: UInt64) { flush(offset, 8) }
}

/// CLWB and SFENCE: nothing to decide.
struct CacheLineWriter: LineWriter {
    let base: UnsafeMutableRawPointer

    @inline(__always)
    func flushLine(_ offset: UInt64) { pm_clwb(base + Int(truncatingIfNeeded: offset)) }
    @inline(__always)
    func fence() { pm_sfence() }
}

/// What stands behind a region: a mapped file, or the simulation.
package protocol RegionBacking: AnyObject {
    var committedBytes: UInt64 { get }
    func grow(to bytes: UInt64) throws(PersistentMemoryError)
    func flush(_ offset: UInt64, _ length: Int)
    func fence()
    /// Makes all stores durable, flushed or not.
    func settle()
    /// Fences and settlings that waited so far.
    var diskWaits: Int { get }
    func makePrivate(_ offset: UInt64, _ length: UInt64) -> Bool
    func makeShared(_ offset: UInt64, _ length: UInt64)
    func close(keepingReadable: Bool)
}
