import ABI
import CPrimitives

/// Words that carry their own check, so that a flipped bit is found at the load and a change is one
/// atomic store.
///
/// The check is CRC32C over the value, the word's offset in the region and the store's seed: a word
/// from another place or another store does not pass. An empty word is a sealed zero: formatting
/// and new nodes write it, so a word that wear or a broken device zeroed never passes.
public struct WordCheck: Equatable, Sendable {
    /// Derived from the store's UUID.
    public let seed: UInt32
    @inlinable public init(seed: UInt32) { self.seed = seed }

    @inlinable func crc(_ value: UInt64, at offset: UInt64) -> UInt32 {
        evertree_crc32c_u64(evertree_crc32c_u64(seed, value), offset)
    }

    /// Never zero, so that an all-zero word does not pass.
    @inlinable func check16(_ value: UInt64, at offset: UInt64) -> UInt64 {
        let low = UInt64(crc(value, at: offset) & 0xFFFF)
        return low == 0 ? 0xFFFF : low
    }
    @inlinable func check32(_ value: UInt64, at offset: UInt64) -> UInt64 {
        let all = UInt64(crc(value, at: offset))
        return all == 0 ? 0xFFFF_FFFF : all
    }

    /// A 48-bit value with 16 check bits above it. Used for versions and owners.
    @inlinable public func seal48(_ value: UInt64, at offset: UInt64) -> UInt64 {
        assert(value >> 48 == 0, "a sealed value has 48 bits")
        assert(offset % 8 == 0, "a sealed word is aligned")
        let low = value & 0xFFFF_FFFF_FFFF
        return low | check16(low, at: offset) << 48
    }
    /// The value, or nil if the check fails.
    @inlinable public func open48(_ word: UInt64, at offset: UInt64) -> UInt64? {
        let low = word & 0xFFFF_FFFF_FFFF
        return word >> 48 == check16(low, at: offset) ? low : nil
    }

    /// A 32-bit value with 32 check bits above it. Used for frame numbers.
    @inlinable public func seal32(_ value: UInt32, at offset: UInt64) -> UInt64 {
        assert(offset % 8 == 0, "a sealed word is aligned")
        return UInt64(value) | check32(UInt64(value), at: offset) << 32
    }
    @inlinable public func open32(_ word: UInt64, at offset: UInt64) -> UInt32? {
        let low = UInt32(truncatingIfNeeded: word)
        return word >> 32 == check32(UInt64(low), at: offset) ? low : nil
    }
}
