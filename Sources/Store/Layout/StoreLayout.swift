import ABI

/// Where things are in the NVM region. All areas are whole frames, in this order:
///
/// | frames | area |
/// |---|---|
/// | 0–1 | superblock, two copies |
/// | 2–5 | commit slots: two slots of two copies |
/// | 6–9 | history slots: two slots of two copies |
/// | 10–17 | statistics (`StatisticsLayout`) |
/// | 18 | Linux server statistics |
/// | 19–34 | kernel trace ring |
/// | 35–99 | console output ring: header and 256 KiB |
/// | 100–116 | console input ring: header and 64 KiB |
/// | 117–118 | roots of the record tables, small and large |
/// | 119–122 | undo list of node links (`LinkLog`) |
/// | 123– | frame stamps, 16 bytes for each frame of the region |
/// | then | data frames: pages, page-tree nodes, record frames |
public struct StoreLayout: Equatable, Sendable {
    /// Frames in the whole region.
    public let frameCount: UInt32

    public init(frameCount: UInt32) { self.frameCount = frameCount }

    public static let formatVersion: UInt64 = 2
    public static let superblocks = FrameNumber(0)
    public static let commitSlots = FrameNumber(2)
    public static let historySlots = FrameNumber(6)
    public static let statistics = FrameNumber(10)
    public static let serverStatistics = FrameNumber(18)
    public static let trace = FrameNumber(19)
    public static let traceFrames: UInt32 = 16
    public static let outputRing = FrameNumber(35)
    public static let outputRingFrames: UInt32 = 65
    public static let inputRing = FrameNumber(100)
    public static let inputRingFrames: UInt32 = 17
    public static let recordRoots = FrameNumber(117)
    public static let links = FrameNumber(119)
    public static let linkFrames: UInt32 = 4
    public static let stamps = FrameNumber(123)
    public static let stampBytes: UInt64 = 16
    /// A store below this is refused: 4 MiB.
    public static let minimumFrames: UInt32 = 1024
    /// Frames scanned together when free frames are looked for.
    public static let zoneFrames: UInt32 = 1024

    public var stampFrames: UInt32 {
        UInt32((UInt64(frameCount) * StoreLayout.stampBytes + pageSize - 1) / pageSize)
    }
    /// The first data frame.
    public var firstDataFrame: UInt32 { StoreLayout.stamps.value + stampFrames }
    public var dataFrames: UInt32 { frameCount - firstDataFrame }
    public func stampOffset(_ frame: FrameNumber) -> UInt64 {
        StoreLayout.stamps.offset + UInt64(frame.value) * StoreLayout.stampBytes
    }
    /// Whether eternal memory may be there: fixed areas, never commit slots, tables or pages.
    public static func isEternal(_ first: UInt64, pages: UInt64) -> Bool {
        let end = UInt64(recordRoots.value)
        return first >= UInt64(statistics.value) && first < end && pages <= end - first
    }
    public func isDataFrame(_ frame: FrameNumber) -> Bool {
        frame.value >= firstDataFrame && frame.value < frameCount
    }
}
