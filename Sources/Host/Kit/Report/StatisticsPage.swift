import ABI
import Store

/// The statistics in a mapped store: counters that the kernel moves while we look.
public struct StatisticsPage {
    private let file: MappedFile
    private let base = Int(StoreLayout.statistics.offset)

    public init(_ file: MappedFile) { self.file = file }

    public var isPresent: Bool { self[.magic] == Statistic.magicValue }

    public subscript(_ statistic: Statistic) -> UInt64 {
        get { file.load(base + statistic.rawValue * 8) }
        nonmutating set { file.store(newValue, at: base + statistic.rawValue * 8) }
    }

    /// Why the kernel stopped itself.
    public enum StopReason: UInt64 {
        case running = 0
        case panic = 1
        case damaged = 2
        case noMemory = 3
    }

    public var stopReason: StopReason { StopReason(rawValue: self[.stopReason]) ?? .panic }

    /// The kernel's last words, without unprintable bytes.
    public var stopMessage: String {
        let start = file.base + base + StatisticsLayout.messageOffset
        let room = StatisticsLayout.histogramOffset - StatisticsLayout.messageOffset
        let bytes = UnsafeRawBufferPointer(start: start, count: room).prefix { $0 != 0 }
        return String(
            decoding: bytes.map { $0 == 10 || $0 >= 32 ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    /// Forgets why an earlier machine stopped, before a new one starts.
    public func clearStop() {
        self[.stopReason] = 0
        file.store(0, at: base + StatisticsLayout.messageOffset)
    }

    /// The histogram of a part of the pause.
    public func histogram(_ part: PausePart) -> PauseHistogram {
        let size = StatisticsLayout.bucketCount * 4
        let start = file.base + base + StatisticsLayout.histogramOffset + part.rawValue * size
        return PauseHistogram(
            counts: [UInt32](
                UnsafeRawBufferPointer(start: start, count: size).bindMemory(to: UInt32.self)))
    }

    /// Counters of the Linux server: system calls by number, `unknown` those answered with ENOSYS.
    public func linuxCalls(unknown: Bool) -> [UInt32] {
        let area = unknown ? ServerStatistics.unknownOffset : ServerStatistics.callsOffset
        let start = file.base + Int(StoreLayout.serverStatistics.offset + area)
        let bytes = UnsafeRawBufferPointer(start: start, count: ServerStatistics.numbers * 4)
        return [UInt32](bytes.bindMemory(to: UInt32.self))
    }
}

/// A histogram of durations (`StatisticsLayout`).
public struct PauseHistogram: Equatable {
    public var counts: [UInt32]

    public init(counts: [UInt32]) { self.counts = counts }

    public var total: UInt64 { counts.reduce(0) { $0 + UInt64($1) } }

    /// The duration that this share of the samples does not exceed, in nanoseconds: lower bound of
    /// its bucket, so up to 1/16 too low. 0 without samples.
    public func percentile(_ share: Double) -> UInt64 {
        let all = total
        if all == 0 { return 0 }
        let rank = max(1, UInt64((share * Double(all)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += UInt64(count)
            if seen >= rank { return StatisticsLayout.lowerBound(bucket: bucket) }
        }
        return maximum
    }

    public var maximum: UInt64 {
        counts.lastIndex { $0 > 0 }.map { StatisticsLayout.lowerBound(bucket: $0) } ?? 0
    }
}
