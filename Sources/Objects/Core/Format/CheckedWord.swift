import CPersistentMemory

/// A word that changes often and is stored at once, with a check of its own: 48 bits of value, then
/// 16 bits of the CRC32C of value and place. A word never written is 0 and has the value 0.
enum CheckedWord {
    static let mask: UInt64 = 0x0000_FFFF_FFFF_FFFF

    /// - Parameter place: what tells the word from its neighbours: its offset in the object.
    static func encode(_ value: UInt64, at place: UInt64) -> UInt64 {
        value == 0 ? 0 : value & mask | check(value, place) << 48
    }

    /// Nil if the word was damaged.
    static func decode(_ word: UInt64, at place: UInt64) -> UInt64? {
        if word == 0 { return 0 }
        let value = word & mask
        return value != 0 && check(value, place) == word >> 48 ? value : nil
    }

    private static func check(_ value: UInt64, _ place: UInt64) -> UInt64 {
        pm_crc32c(pm_crc32c(0x4F42_4A45, place), value) & 0xFFFF
    }

    /// CRC32C of whole words.
    static func sum(_ words: some Sequence<UInt64>) -> UInt64 {
        words.reduce(0xFFFF_FFFF) { pm_crc32c($0, $1) }
    }
}
