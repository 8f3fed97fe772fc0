import ABI
import Testing

@testable import MachineSim
@testable import Store

/// One flipped bit in what a stopped store consists of: superblocks, commit and history slots, live
/// records, stamps: thousands, and the check finds each. What a start makes of damage is the matter
/// of `evertree-sim mutate`, which starts the kernel on each damaged store.
@Suite struct FlippedBitTests {
    private let bench: Bench

    init() throws {
        bench = try Bench(frames: 1024)
        let pmo = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, pmo, 0, 3) == 0)
        let note = UInt64(bench.call(.notificationCreate))
        _ = bench.call(.connectionCreate, pmo)
        for round in 0..<6 as Range<UInt64> {
            bench.store(round, at: 0x1000_0000 + round * 4096)
            #expect(bench.call(.notificationSignal, note) == 0)
            bench.tick()
        }
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    /// Flips one bit of each of `words`, a different one each time, and says which were not found.
    private func unnoticed(_ words: [UInt64]) -> [UInt64] {
        var random = RandomSource(seed: 11)
        return words.filter { offset in
            let whole = bench.nvm.load(offset)
            bench.nvm.damage(word: Int(offset / 8), to: whole ^ 1 << UInt64(random.below(64)))
            let report = StoreChecker.check(bench.nvm)
            bench.nvm.damage(word: Int(offset / 8), to: whole)
            return report.isGood && report.notes.isEmpty
        }
    }

    /// Words of an area that hold something, each `times` times.
    private func words(_ first: FrameNumber, frames: UInt64, times: Int) -> [UInt64] {
        let range = stride(from: first.offset, to: first.offset + frames * pageSize, by: 8)
        let used = range.filter { bench.nvm.load($0) != 0 }
        return Array(repeating: used, count: times).flatMap { $0 }
    }

    @Test func superblocksAndSlots() {
        let all =
            words(StoreLayout.superblocks, frames: 2, times: 16)
            + words(StoreLayout.commitSlots, frames: 4, times: 8)
            + words(StoreLayout.historySlots, frames: 4, times: 8)
        #expect(all.count > 500)
        #expect(unnoticed(all).isEmpty)
    }

    @Test func liveRecords() throws {
        var all: [UInt64] = []
        do {
            let store = try Store(reading: bench.nvm)
            defer { store.close() }
            for number in 0..<store.lastCommit.smallRecords + store.lastCommit.largeRecords {
                let isLarge = number >= store.lastCommit.smallRecords
                let index =
                    isLarge
                    ? number - store.lastCommit.smallRecords | RecordClass.largeBit : number
                guard let view = try store.record(index, at: store.committed) else { continue }
                let start = view.payload - RecordClass.headerWords * 8
                let count = RecordClass.headerWords + UInt64(view.wordCount)
                for _ in 0..<8 { all += (0..<count).map { start + $0 * 8 } }
            }
        }
        #expect(all.count > 2000)
        #expect(unnoticed(all).isEmpty)
    }

    @Test func stamps() {
        let first = StoreLayout.stamps.offset
        let all = stride(from: first, to: first + 1024 * StoreLayout.stampBytes, by: 8)
        #expect(unnoticed(Array(all)).isEmpty)
    }
}
