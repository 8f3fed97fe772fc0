import ABI
import Store
import Testing

@testable import HostKit

/// Histograms and the statistics report.
struct ReportTests {
    @Test func bucketsAndPercentilesAgree() {
        var counts = [UInt32](repeating: 0, count: StatisticsLayout.bucketCount)
        #expect(PauseHistogram(counts: counts).percentile(0.5) == 0)
        for value: UInt64 in 1...1000 {
            counts[StatisticsLayout.bucket(nanoseconds: value * 100)] += 1
        }
        let histogram = PauseHistogram(counts: counts)
        #expect(histogram.total == 1000)
        for (share, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = Double(histogram.percentile(share))
            #expect(found <= exact && found >= exact * 15 / 16 - 1, "\(share)")
        }
        #expect(histogram.maximum == histogram.percentile(1))
    }

    @Test func theReportReadsWhatTheKernelWrote() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let file = try MappedFile(directory.nvm, writable: true)
        let page = StatisticsPage(file)
        for statistic in Statistic.allCases where statistic != .magic {
            page[statistic] = UInt64(statistic.rawValue) * 10
        }
        page[.checkpoints] = 4
        page[.dirtyPages] = 10
        func bump(_ offset: UInt64, _ value: UInt32) {
            file.base.storeBytes(of: value, toByteOffset: Int(offset), as: UInt32.self)
        }
        let commit = StatisticsLayout.histogramOffset + 4096 * PausePart.commit.rawValue
        bump(
            StoreLayout.statistics.offset
                + UInt64(commit + 4 * StatisticsLayout.bucket(nanoseconds: 7)), 3)
        bump(StoreLayout.serverStatistics.offset + 4 * 41, 2)
        bump(StoreLayout.serverStatistics.offset + ServerStatistics.callsOffset + 4 * 1, 5)
        bump(StoreLayout.serverStatistics.offset + 4 * 400, 1)

        let report = try StatisticsReport(directory)
        #expect(report.version == 10)
        #expect(report.dirtyPagesPerCheckpoint == 2.5)
        #expect(report.framesFree == UInt64(Statistic.framesFree.rawValue) * 10)
        #expect(report.pause["commit"]?.p99Nanoseconds == 7 && report.pause["commit"]?.samples == 3)
        #expect(report.pause["total"]?.samples == 0)
        #expect(report.unknownLinuxCalls == ["socket": 2, "number 400": 1])
        #expect(report.linuxCalls == ["write": 5])
        #expect(try report.json().contains("\"p50Nanoseconds\" : 7"))
        #expect(report.table.contains("socket 2"))
    }

    @Test func stopMessagesEndAtTheirNulAndShowNoControls() throws {
        let scratch = try Scratch()
        let file = try MappedFile(try scratch.store().nvm, writable: true)
        let start = Int(StoreLayout.statistics.offset) + StatisticsLayout.messageOffset
        for (index, byte) in Array("no\u{1B}frame\n\0junk".utf8).enumerated() {
            file.base.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
        }
        let page = StatisticsPage(file)
        #expect(page.stopMessage == "no?frame\n")
        page.clearStop()
        #expect(page.stopMessage.isEmpty)
    }

    @Test(arguments: [
        (0, "read"), (1, "write"), (231, "exit_group"), (334, "rseq"), (424, "pidfd_send_signal"),
        (500, "number 500"),
    ])
    func callNames(number: Int, name: String) { #expect(LinuxCallNames.name(number) == name) }
}
