import ABI
import Store
import SystemPackage

/// The mapped store, with what the host reads and writes in it while a machine may run.
public struct ConsoleRings {
    public let file: MappedFile
    public let output: RingView
    public let input: RingView

    /// Maps a store's memory and finds its rings.
    public init(_ directory: StoreDirectory) throws(HostError) {
        let file = try MappedFile(directory.nvm, writable: true)
        func ring(_ first: FrameNumber, _ frames: UInt32) -> RingView? {
            RingView(file, offset: first.offset, byteCount: UInt64(frames) * pageSize)
        }
        guard let output = ring(StoreLayout.outputRing, StoreLayout.outputRingFrames),
            let input = ring(StoreLayout.inputRing, StoreLayout.inputRingFrames)
        else {
            throw .storeDamaged(
                path: directory.name, reason: "the console rings are not where they should be")
        }
        self.file = file
        self.output = output
        self.input = input
    }

    public var statistics: StatisticsPage { StatisticsPage(file) }
}
