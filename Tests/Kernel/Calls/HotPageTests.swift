import ABI
import Kernel
import MachineSim
import Store
import Testing

/// Pages that are written in version after version: in DRAM, and out of it again.
@Suite struct HotPageTests {
    private let page = Bench.stackTop - 0x2000

    private func statistic(_ statistic: Statistic, _ bench: Bench) -> UInt64 {
        bench.nvm.load(StoreLayout.statistics.offset + UInt64(statistic.rawValue) * 8)
    }

    /// Writes to the page in many versions; the last word is `count`, and the word behind stays 7.
    private func heat(_ bench: Bench, _ count: UInt64) {
        bench.store(7, at: page + 8)
        for value in 1...count {
            bench.store(value, at: page)
            bench.tick()
        }
    }

    private func expectContent(_ bench: Bench, _ word: UInt64) {
        #expect(bench.load(page) == word)
        #expect(bench.load(page + 8) == 7, "the rest of the page came along")
    }

    @Test func aPageWrittenInEveryVersionIsCapturedAndComesBack() throws {
        let bench = try Bench(hotPages: 4)
        heat(bench, 8)
        #expect(statistic(.hotPages, bench) == 1)
        #expect(statistic(.pagesCaptured, bench) >= 4)
        expectContent(bench, 8)
        try bench.powerCut()
        expectContent(bench, 8)
    }

    @Test func whatCameAfterTheLastVersionIsLostWithTheDRAM() throws {
        let bench = try Bench(hotPages: 4)
        heat(bench, 8)
        bench.store(99, at: page)
        #expect(bench.load(page) == 99)
        try bench.powerCut()
        expectContent(bench, 8)
    }

    @Test func aHotPageIsCapturedWithoutFaultsOrCopies() throws {
        let bench = try Bench(hotPages: 4)
        heat(bench, 8)
        let faults = statistic(.pageFaults, bench)
        let copies = statistic(.copyOnWriteFaults, bench)
        let captured = statistic(.pagesCaptured, bench)
        heat(bench, 8)
        #expect(statistic(.pageFaults, bench) == faults)
        #expect(statistic(.copyOnWriteFaults, bench) == copies)
        #expect(statistic(.pagesCaptured, bench) == captured + 8)
    }

    @Test func aPageThatRestsLeavesAndIsWrittenInPlaceAgain() throws {
        let bench = try Bench(hotPages: 4)
        heat(bench, 8)
        let captured = statistic(.pagesCaptured, bench)
        for _ in 0..<12 { bench.tick() }
        #expect(statistic(.hotPages, bench) == 0)
        #expect(statistic(.pagesCaptured, bench) == captured, "a clean page costs no copy")
        expectContent(bench, 8)
        bench.store(9, at: page)
        bench.tick()
        try bench.powerCut()
        expectContent(bench, 9)
    }

    @Test func withoutRoomPagesAreCopiedAsEver() throws {
        let bench = try Bench(hotPages: 0)
        heat(bench, 8)
        #expect(statistic(.hotPages, bench) == 0)
        #expect(statistic(.copyOnWriteFaults, bench) >= 7)
        try bench.powerCut()
        expectContent(bench, 8)
    }
}
