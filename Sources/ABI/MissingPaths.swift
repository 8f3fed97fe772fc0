/// Paths that guests looked for and did not find, counted: `evertree missing`. A table in the data of
/// a ring (number `ring`, whose pointers are not used), so that it is neither versioned nor rolled
/// back, and the outside can read it while the machine runs. Counts may be a little too high after
/// a restore.
///
/// Slots of `slotBytes`, found by hash with linear probing. Slot: u64 hash of the path, 0: empty; u32
/// count; u32 bytes of the path; the path, at most `pathBytes`, cut behind that.
public enum MissingPaths {
    public static let ring: UInt64 = 62
    /// The ring's pages: a header and 256 KiB.
    public static let pages: UInt64 = 65
    public static let slotBytes = 256
    public static let pathBytes = 240
    public static let slots = 1024
    /// Slots looked at for one path.
    public static let probes = 16
    public static let countOffset = 8
    public static let lengthOffset = 12
    public static let pathOffset = 16
}
