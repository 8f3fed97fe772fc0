import PersistentMemory
import Testing

/// A lane whose redo log is a journal: what follows a journal block without being one, cut at every
/// persist step.
@Suite struct JournalTests {
    private static let laneBytes = UInt64(LaneFormat.minimumBytes)
    private static let data: UInt64 = 16384
    /// More words than half the log holds.
    private static let many: UInt64 = 300

    enum Follower: CaseIterable, Sendable { case long, undo, journal }

    private static func store(_ value: UInt64, words: UInt64, _ mode: LogMode, _ lane: LogLane)
        throws
    {
        lane.begin(mode)
        for word in 0..<words { lane.store(value, at: data + word * 8) }
        try lane.commit()
    }

    /// The values that recovery from a power cut now would find.
    private static func recovered(
        _ memory: SimulatedMemory, words: UInt64, _ random: inout SplitMix64
    ) throws -> Set<UInt64> {
        var image = [UInt64](repeating: 0, count: 4096)
        memory.crashImage(into: &image, random: &random)
        let after = SimulatedMemory(image: image, committedBytes: memory.committedBytes)
        after.journals = true
        let region = after.region()
        _ = try LaneRecovery(
            region: region, offset: 0, byteCount: laneBytes, index: 0, validBytes: 32768
        ).recover()
        return Set((0..<words).map { region.load(data + $0 * 8) })
    }

    @Test(arguments: Follower.allCases) func blocksBeforeItAreNotReplayedOverIt(_ follower: Follower)
        throws
    {
        let memory = SimulatedMemory(bytes: 32768)
        memory.journals = true
        // A lane does not keep its region.
        let region = memory.region()
        let lane = LogLane(region: region, offset: 0, byteCount: Self.laneBytes, index: 0)
        defer { withExtendedLifetime(region) { lane.deallocate() } }
        let words = follower == .long ? Self.many : 4
        var random = SplitMix64(seed: 7)
        try Self.store(1, words: 4, .redo, lane)
        try Self.store(2, words: 4, .redo, lane)
        #expect(try Self.recovered(memory, words: 4, &random) == [2])

        var cuts = 0
        memory.onStep = { memory in
            for _ in 0..<8 {
                let found = try? Self.recovered(memory, words: words, &random)
                let before: Set<UInt64> = words == 4 ? [2] : [0, 2]
                if found != before, found != [3] {
                    Issue.record("step \(memory.steps): \(String(describing: found))")
                }
                cuts += 1
            }
        }
        try Self.store(3, words: words, follower == .undo ? .undo : .redo, lane)
        memory.onStep = nil
        #expect(cuts > 0)
        for _ in 0..<16 { #expect(try Self.recovered(memory, words: words, &random) == [3]) }
        // And a journal block behind it.
        try Self.store(4, words: 4, .redo, lane)
        for _ in 0..<16 {
            let found = try Self.recovered(memory, words: words, &random)
            #expect(found == (words == 4 ? [4] : [3, 4]))
        }
    }
}
