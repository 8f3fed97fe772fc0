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
/// | 19 | directory of the rings (`RingDirectory`) |
/// | 20–84 | console output ring: header and 256 KiB |
/// | 85–101 | console input ring: header and 64 KiB |
/// | 102–103 | roots of the record tables, small and large |
/// | 104–107 | undo list of node links (`LinkLog`) |
/// | 108– | frame stamps, 16 bytes for each frame of the region |
/// | then | eternal frames: other rings, where they are made (`eternalFrames` of them) |
/// | then | the image (`imageFrames` of them): written when the store is made, never changed |
/// | then | data frames: pages, page-tree nodes, record frames |
public struct StoreLayout: Equatable, Sendable {
    /// Frames in the whole region.
    public let frameCount: UInt32
    /// Frames of the image; 0 when the store was made without one.
    public let imageFrames: UInt32

    public init(frameCount: UInt32, imageFrames: UInt32 = 0) {
        self.frameCount = frameCount
        self.imageFrames = imageFrames
    }

    public static let formatVersion: UInt64 = 4
    public static let superblocks = FrameNumber(0)
    public static let commitSlots = FrameNumber(2)
    public static let historySlots = FrameNumber(6)
    public static let statistics = FrameNumber(10)
    public static let serverStatistics = FrameNumber(18)
    public static let ringDirectory = FrameNumber(19)
    public static let outputRing = FrameNumber(20)
    public static let outputRingFrames: UInt32 = 65
    public static let inputRing = FrameNumber(85)
    public static let inputRingFrames: UInt32 = 17
    public static let recordRoots = FrameNumber(102)
    public static let links = FrameNumber(104)
    public static let linkFrames: UInt32 = 4
    public static let stamps = FrameNumber(108)
    public static let stampBytes: UInt64 = 16
    /// A store below this is refused: 4 MiB.
    public static let minimumFrames: UInt32 = 1024
    /// A store with fewer data frames is refused: 2 MiB.
    public static let minimumDataFrames: UInt32 = 512
    /// Frames scanned together when free frames are looked for.
    public static let zoneFrames: UInt32 = 1024

    public var stampFrames: UInt32 {
        UInt32((UInt64(frameCount) * StoreLayout.stampBytes + pageSize - 1) / pageSize)
    }
    /// Frames for rings that are made while the system runs: one in 32, from 64 frames (256 KiB) up
    /// to 8,192 (32 MiB).
    public var eternalFrames: UInt32 { min(max(frameCount / 32, 64), 8192) }
    /// The eternal frames that an allocator hands out.
    public var eternal: Range<UInt32> {
        let first = StoreLayout.stamps.value + stampFrames
        return first..<(first + eternalFrames)
    }
    /// Where the image is: its frames hold what the store was made with, for good. No PMO owns
    /// them; page trees refer to them as their base (`PageTree.base`).
    public var image: Range<UInt32> {
        let first = eternal.upperBound
        return first..<(first + imageFrames)
    }
    /// The first data frame.
    public var firstDataFrame: UInt32 { image.upperBound }
    /// Whether an image of this many frames leaves room for data. Every other property holds only
    /// then.
    public var isSound: Bool {
        let bare = StoreLayout(frameCount: frameCount)
        guard frameCount >= StoreLayout.minimumFrames else { return false }
        let needed = UInt64(bare.firstDataFrame) + UInt64(imageFrames)
        return needed + UInt64(StoreLayout.minimumDataFrames) <= UInt64(frameCount)
    }
    public var dataFrames: UInt32 { frameCount - firstDataFrame }
    public func stampOffset(_ frame: FrameNumber) -> UInt64 {
        StoreLayout.stamps.offset + UInt64(frame.value) * StoreLayout.stampBytes
    }
    /// Whether eternal memory may be there: fixed areas, eternal frames and the image, never commit
    /// slots, tables or pages.
    public func isEternal(_ first: UInt64, pages: UInt64) -> Bool {
        let fixed = StoreLayout.statistics.value..<StoreLayout.recordRoots.value
        return holds(fixed, first, pages) || holds(eternal, first, pages)
            || isImage(first, pages: pages)
    }
    /// Whether frames are all of the image.
    public func isImage(_ first: UInt64, pages: UInt64) -> Bool { holds(image, first, pages) }

    private func holds(_ area: Range<UInt32>, _ first: UInt64, _ pages: UInt64) -> Bool {
        first >= UInt64(area.lowerBound) && first < UInt64(area.upperBound)
            && pages <= UInt64(area.upperBound) - first
    }
    public func isDataFrame(_ frame: FrameNumber) -> Bool {
        frame.value >= firstDataFrame && frame.value < frameCount
    }
}
