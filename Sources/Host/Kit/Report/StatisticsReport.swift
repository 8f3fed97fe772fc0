import ABI
import FoundationEssentials

/// What `evertree stats` says: one JSON object, or the same as a table.
public struct StatisticsReport: Codable, Equatable {
    /// A part of the pause. Percentiles are lower bounds of histogram buckets, at most 1/16 too
    /// low.
    public struct Pause: Codable, Equatable {
        public var p50Nanoseconds: UInt64
        public var p99Nanoseconds: UInt64
        public var maximumNanoseconds: UInt64
        public var samples: UInt64
    }

    public var version: UInt64
    public var checkpoints: UInt64
    public var checkpointsSkippedIdle: UInt64
    public var restores: UInt64
    /// Keys: total, quiesce, records, pages, commit, resume.
    public var pause: [String: Pause]
    public var dirtyObjects: UInt64
    public var dirtyPages: UInt64
    public var dirtyObjectsPerCheckpoint: Double
    public var dirtyPagesPerCheckpoint: Double
    public var pageFaults: UInt64
    public var copyOnWriteFaults: UInt64
    /// Pages in DRAM at the last commit, and how often such a page was copied to NVM.
    public var hotPages: UInt64
    public var pagesCaptured: UInt64
    public var nativeCalls: UInt64
    public var bytesWritten: UInt64
    public var framesTotal: UInt64
    public var framesUsed: UInt64
    public var framesFree: UInt64
    public var recordsUsed: UInt64
    public var threads: UInt64
    public var outputBytesPublished: UInt64
    public var copyNanoseconds: UInt64
    public var bootNanoseconds: UInt64
    public var restoreNanoseconds: UInt64
    /// Linux system calls made, by name.
    public var linuxCalls: [String: UInt32]
    /// Linux system calls answered with ENOSYS, by name.
    public var unknownLinuxCalls: [String: UInt32]

    /// Reads the pages of a mapped store; the machine may be running.
    public init(_ directory: StoreDirectory) throws(HostError) {
        try directory.requireStore()
        let page = StatisticsPage(try MappedFile(directory.nvm, writable: false))
        guard page.isPresent else {
            throw .storeDamaged(path: directory.name, reason: "it has no statistics page")
        }
        self.init(page)
    }

    init(_ page: StatisticsPage) {
        version = page[.committedVersion]
        checkpoints = page[.checkpoints]
        checkpointsSkippedIdle = page[.checkpointsSkippedIdle]
        restores = page[.restores]
        pause = StatisticsReport.pauses(page)
        dirtyObjects = page[.dirtyObjects]
        dirtyPages = page[.dirtyPages]
        let taken = Double(max(1, checkpoints))
        dirtyObjectsPerCheckpoint = (Double(dirtyObjects) / taken * 100).rounded() / 100
        dirtyPagesPerCheckpoint = (Double(dirtyPages) / taken * 100).rounded() / 100
        pageFaults = page[.pageFaults]
        copyOnWriteFaults = page[.copyOnWriteFaults]
        hotPages = page[.hotPages]
        pagesCaptured = page[.pagesCaptured]
        nativeCalls = page[.nativeCalls]
        bytesWritten = page[.bytesWritten]
        framesTotal = page[.framesTotal]
        framesUsed = page[.framesUsed]
        framesFree = page[.framesFree]
        recordsUsed = page[.recordsUsed]
        threads = page[.threads]
        outputBytesPublished = page[.outputBytesPublished]
        copyNanoseconds = page[.copyNanoseconds]
        bootNanoseconds = page[.bootNanoseconds]
        restoreNanoseconds = page[.restoreNanoseconds]
        linuxCalls = StatisticsReport.named(page.linuxCalls(unknown: false))
        unknownLinuxCalls = StatisticsReport.named(page.linuxCalls(unknown: true))
    }

    private static func pauses(_ page: StatisticsPage) -> [String: Pause] {
        var result: [String: Pause] = [:]
        for part in PausePart.allCases {
            let histogram = page.histogram(part)
            result["\(part)"] = Pause(
                p50Nanoseconds: histogram.percentile(0.5),
                p99Nanoseconds: histogram.percentile(0.99),
                maximumNanoseconds: histogram.maximum, samples: histogram.total)
        }
        return result
    }

    private static func named(_ counts: [UInt32]) -> [String: UInt32] {
        var result: [String: UInt32] = [:]
        for (number, count) in counts.enumerated() where count > 0 {
            result[LinuxCallNames.name(number)] = count
        }
        return result
    }

    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

extension StatisticsReport {
    /// The report for people.
    public var table: String {
        var lines = [
            row("version", "\(version)"),
            row("checkpoints", "\(checkpoints) (\(checkpointsSkippedIdle) skipped, idle)"),
            row("restores", "\(restores), last \(time(restoreNanoseconds))"),
            row(
                "dirty per checkpoint",
                "\(dirtyObjectsPerCheckpoint) objects, \(dirtyPagesPerCheckpoint) pages"),
            row("faults", "\(pageFaults), copy-on-write \(copyOnWriteFaults)"),
            row("hot pages", "\(hotPages), captured \(pagesCaptured)"),
            row("native calls", "\(nativeCalls)"),
            row("bytes written", "\(bytesWritten)"),
            row("frames", "\(framesUsed) used, \(framesFree) free of \(framesTotal)"),
            row("records, threads", "\(recordsUsed), \(threads)"),
            row("output bytes", "\(outputBytesPublished)"),
            "", column("pause", "p50", "p99", "max"),
        ]
        for part in PausePart.allCases {
            guard let pause = pause["\(part)"] else { continue }
            lines.append(
                column(
                    "  \(part)", time(pause.p50Nanoseconds), time(pause.p99Nanoseconds),
                    time(pause.maximumNanoseconds)))
        }
        if !unknownLinuxCalls.isEmpty {
            let list = unknownLinuxCalls.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            lines += [
                "",
                "unknown system calls: "
                    + list.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
            ]
        }
        return lines.joined(separator: "\n")
    }

    private func row(_ name: String, _ value: String) -> String { padded(name, 22) + value }

    private func column(_ name: String, _ a: String, _ b: String, _ c: String) -> String {
        padded(name, 22) + padded(a, 12) + padded(b, 12) + c
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private func time(_ nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<1000: "\(nanoseconds) ns"
        case ..<1_000_000: "\(Double(nanoseconds / 10) / 100) µs"
        default: "\(Double(nanoseconds / 10_000) / 100) ms"
        }
    }
}
