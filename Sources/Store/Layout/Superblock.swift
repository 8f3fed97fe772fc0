import ABI
import CPrimitives

/// What a power cut may take (Docs/decisions/0005-host-power.md).
public enum PersistenceDomain: UInt64, Sendable {
    /// Caches belong to the domain: eADR, or a virtual machine whose process dies while its host
    /// lives.
    case coherentCache = 0
    /// Lines must be written back: CLWB and SFENCE (ADR).
    case cacheLineFlush = 1
    /// A fence has the host flush the file: survives the host's power failure on an ordinary disk. A
    /// fence costs milliseconds, so this wants a long interval.
    case hostFlush = 2
}

/// Which store this is. Written once, in two copies, when the store is made.
public struct StoreIdentity: Equatable, Sendable {
    public var uuidLow: UInt64
    public var uuidHigh: UInt64
    public var frameCount: UInt32
    public var domain: PersistenceDomain
    /// Nanoseconds since 1970.
    public var created: UInt64
    /// Frames of the image (`StoreLayout.image`).
    public var imageFrames: UInt32

    public init(
        uuidLow: UInt64, uuidHigh: UInt64, frameCount: UInt32, domain: PersistenceDomain,
        created: UInt64, imageFrames: UInt32 = 0
    ) {
        self.uuidLow = uuidLow
        self.uuidHigh = uuidHigh
        self.frameCount = frameCount
        self.domain = domain
        self.created = created
        self.imageFrames = imageFrames
    }

    public var layout: StoreLayout {
        StoreLayout(frameCount: frameCount, imageFrames: imageFrames)
    }

    /// Seed of every checksum in the store, so that a piece of another store does not pass.
    var seed: UInt32 { evertree_crc32c_u64(evertree_crc32c_u64(~0, uuidLow), uuidHigh) }
}

/// Superblock copy: words magic, format version, UUID (2), frames, domain, creation time, image
/// frames, then CRC32C of these.
enum Superblock {
    /// "EVERTREE"
    static let magic: UInt64 = 0x4545_5254_5245_5645
    static let words = 8

    static func store(
        _ identity: StoreIdentity, to memory: borrowing some PersistentMemory, copy: UInt32
    ) {
        let offset = UInt64(StoreLayout.superblocks.value + copy) * pageSize
        let values: InlineArray<8, UInt64> = [
            magic, StoreLayout.formatVersion, identity.uuidLow, identity.uuidHigh,
            UInt64(identity.frameCount), identity.domain.rawValue, identity.created,
            UInt64(identity.imageFrames),
        ]
        for index in 0..<words { memory.store(values[index], at: offset + UInt64(index) * 8) }
        memory.store(
            UInt64(memory.checksum(offset, words: words, seed: ~0)), at: offset + UInt64(words) * 8)
        memory.flush(offset, length: UInt64(words + 1) * 8)
        memory.fence()
    }

    enum Loaded { case good(StoreIdentity), foreign, damaged, otherFormat(UInt64) }

    static func load(from memory: borrowing some PersistentMemory, copy: UInt32) -> Loaded {
        let offset = UInt64(StoreLayout.superblocks.value + copy) * pageSize
        let check = memory.load(offset + UInt64(words) * 8)
        guard check == UInt64(memory.checksum(offset, words: words, seed: ~0)) else {
            if memory.load(offset) != magic { return .foreign }
            // Until format 3 a superblock had seven words.
            let old = UInt64(memory.checksum(offset, words: 7, seed: ~0))
            let version = memory.load(offset + 8)
            return memory.load(offset + 56) == old && version < 4
                ? .otherFormat(version) : .damaged
        }
        if memory.load(offset) != magic { return .foreign }
        let version = memory.load(offset + 8)
        if version != StoreLayout.formatVersion { return .otherFormat(version) }
        guard let domain = PersistenceDomain(rawValue: memory.load(offset + 40)),
            let frames = UInt32(exactly: memory.load(offset + 32)),
            let image = UInt32(exactly: memory.load(offset + 56)),
            StoreLayout(frameCount: frames, imageFrames: image).isSound
        else { return .damaged }
        return .good(
            StoreIdentity(
                uuidLow: memory.load(offset + 16), uuidHigh: memory.load(offset + 24),
                frameCount: frames, domain: domain, created: memory.load(offset + 48),
                imageFrames: image))
    }
}
