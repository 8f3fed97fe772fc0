import ABI

/// Which of a store's rings an inside pointer, an outside pointer and a place belong to. Even
/// numbers are rings that the inside writes, odd ones those that the outside writes.
public struct RingNumber: Equatable, Hashable, Sendable {
    public let value: UInt8
    public static let count = 64
    /// Nil: there are no more than `count` rings.
    @inlinable public init?(_ value: UInt64) {
        guard value < UInt64(RingNumber.count) else { return nil }
        self.value = UInt8(value)
    }
    @usableFromInline init(known value: UInt8) { self.value = value }
    public static let consoleOutput = RingNumber(known: 0)
    public static let consoleInput = RingNumber(known: 1)
    /// The inside writes, the outside reads.
    @inlinable public var isOutput: Bool { value % 2 == 0 }
}

/// Where the rings are, for the outside: one frame, an entry of 16 bytes for each ring number: first
/// frame, then frame count, both checked words (`seal48`); count 0: no such ring.
///
/// A copy, for readers who must not look into records that are being written: the truth is the
/// committed PMO records, from which each restore writes the directory anew. The kernel changes it
/// after the commit of the version in which the ring is there, or is gone.
public enum RingDirectory {
    static let entryBytes: UInt64 = 16

    static func offset(_ number: RingNumber) -> UInt64 {
        StoreLayout.ringDirectory.offset + UInt64(number.value) * entryBytes
    }

    /// A ring's frames; nil when there is none, or the entry fails its check.
    public static func find(
        _ number: RingNumber, in memory: borrowing some PersistentMemory, _ layout: StoreLayout,
        _ check: WordCheck
    ) -> (first: FrameNumber, frameCount: UInt64)? {
        let offset = offset(number)
        guard let frameCount = check.open48(memory.load(offset + 8), at: offset + 8),
            frameCount > 0, let first = check.open48(memory.load(offset), at: offset),
            layout.isEternal(first, pages: frameCount)
        else { return nil }
        return (FrameNumber(UInt32(first)), frameCount)
    }
}

extension RingDirectory {
    /// The same for who has not opened the store: while a machine runs on it.
    public static func find(
        _ number: RingNumber, in memory: borrowing some PersistentMemory, _ identity: StoreIdentity
    ) -> (first: FrameNumber, frameCount: UInt64)? {
        find(number, in: memory, identity.layout, WordCheck(seed: identity.seed))
    }
}

extension Store {
    /// Notes where a ring is. A reader that looks meanwhile sees no ring or the new one.
    public func setRing(_ number: RingNumber, first: FrameNumber, frameCount: UInt64) {
        assert(layout.isEternal(UInt64(first.value), pages: frameCount), "a ring in the wrong area")
        let offset = RingDirectory.offset(number)
        memory.store(check.seal48(0, at: offset + 8), at: offset + 8)
        memory.store(check.seal48(UInt64(first.value), at: offset), at: offset)
        memory.store(check.seal48(frameCount, at: offset + 8), at: offset + 8)
        memory.flush(offset, length: RingDirectory.entryBytes)
    }

    public func clearRing(_ number: RingNumber) {
        let offset = RingDirectory.offset(number) + 8
        memory.store(check.seal48(0, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }

    /// Where a ring is, as the directory says.
    public func ring(_ number: RingNumber) -> (first: FrameNumber, frameCount: UInt64)? {
        RingDirectory.find(number, in: memory, layout, check)
    }

    /// Makes frames an empty ring, durably.
    public static func formatRing(_ memory: Memory, _ first: FrameNumber, frameCount: UInt64) {
        memory.zeroFrame(first)
        memory.store(Ring.magic, at: first.offset + Ring.magicOffset)
        memory.store((frameCount - 1) * pageSize, at: first.offset + Ring.capacityOffset)
        memory.flush(first.offset, length: pageSize)
        memory.fence()
    }
}
