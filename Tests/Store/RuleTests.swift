import ABI
import CPrimitives
import MachineSim
import Testing

@testable import Store

/// The rules that choose, over all small cases.
@Suite struct RuleTests {
    /// All histories that crashes can make in a few versions: at each restore, some version is the
    /// committed one.
    private func histories(limit: UInt64) -> [(history: History, committed: UInt64)] {
        var found: [(History, UInt64)] = []
        func extend(_ history: History, _ committed: UInt64, _ crashes: Int) {
            found.append((history, committed))
            if crashes == 0 { return }
            for next in [committed]
                + Array(history.firstBuilding.value..<max(history.firstBuilding.value, limit))
            {
                var later = history
                if later.abort(above: Version(next)) { extend(later, next, crashes - 1) }
            }
        }
        extend(History(), 0, 3)
        return found
    }

    @Test func restoreChoiceOverItsWholeTable() {
        var cases = 0
        for (history, _) in histories(limit: 6) {
            for limit: UInt64 in 0...7 {
                for first: UInt64 in 0...8 {
                    for second: UInt64 in 0...8 {
                        let pair = PagePair(
                            first: .init(born: Version(first), frame: FrameNumber(200)),
                            second: .init(born: Version(second), frame: FrameNumber(201)))
                        // The rule in words: the greatest version that counts; the first entry on a
                        // tie.
                        func counts(_ v: UInt64) -> Bool {
                            v != 0 && v <= limit && !naiveAborted(history, v)
                        }
                        let expected: Int? =
                            switch (counts(first), counts(second)) {
                            case (false, false): nil
                            case (true, false): 0
                            case (false, true): 1
                            case (true, true): first >= second ? 0 : 1
                            }
                        let choice = restoreChoice(pair, at: Version(limit), history: history)
                        if choice != expected {
                            Issue.record("\(first) \(second) at \(limit): \(choice as Int?)")
                        }
                        cases += 1
                    }
                }
            }
        }
        #expect(cases > 10_000)
    }

    private func naiveAborted(_ history: History, _ version: UInt64) -> Bool {
        (0..<history.count).contains {
            history.lowest[$0] <= version && version <= history.highest[$0]
        }
    }

    /// Copy-on-write in its steps: at each of them the pair still yields the committed content.
    @Test func everyStepOfACopyOnWriteKeepsTheCommittedContent() {
        let old = FrameNumber(200)
        let other = FrameNumber(201)
        for stale: UInt64 in [0, 2, 3] {
            var history = History()
            _ = history.abort(above: Version(4))
            let building = history.firstBuilding
            var pair = PagePair(
                first: .init(born: Version(3), frame: old),
                second: .init(born: Version(stale), frame: other))
            #expect(restoreChoice(pair, at: Version(4), history: history) == 0)
            pair.second.born = Version(3)
            #expect(restoreChoice(pair, at: Version(4), history: history) == 0, "equal copies")
            pair.first.born = building
            var after = history
            let ok = after.abort(above: Version(4))
            #expect(ok)
            #expect(restoreChoice(pair, at: after.firstBuilding, history: after) == 1)
            #expect(
                restoreChoice(pair, at: building, history: history) == 0,
                "committed: the written frame")
        }
    }

    @Test func historyAgainstASet() {
        var random = RandomSource(seed: 7)
        for _ in 0..<200 {
            var history = History()
            var aborted: Set<UInt64> = []
            var committed: UInt64 = 0
            for _ in 0..<60 {
                let begun = history.firstBuilding.value
                let commits = UInt64(random.below(3))
                if commits > 0 { committed = begun + commits - 1 }
                let last = max(committed + 1, begun)
                for version in (committed + 1)...last { aborted.insert(version) }
                let ok = history.abort(above: Version(committed))
                #expect(ok)
                #expect(history.isConsistent)
                #expect(history.firstBuilding.value == last + 1)
            }
            let wrong = (1...history.firstBuilding.value).filter {
                history.isAborted(Version($0)) != aborted.contains($0)
            }
            #expect(wrong == [])
        }
    }

    @Test func aFullHistoryRefuses() {
        var history = History()
        for _ in 0..<History.capacity {
            let ok = history.abort(above: history.firstBuilding)
            #expect(ok)
        }
        let before = history.firstBuilding
        let refused = !history.abort(above: before)
        #expect(refused)
        #expect(history.firstBuilding == before)
        let ok = history.abort(above: Version(before.value - 2))
        #expect(ok, "the last interval may still grow")
    }
}

@Suite struct CheckedWordTests {
    private let check = WordCheck(seed: 0x1234_5678)

    /// CRC is linear: the change of the check that a flipped value bit makes does not depend on the
    /// value or place.
    @Test func everyFlippedBitOfAWordIsFound() {
        for bit in 0..<48 {
            let syndrome = evertree_crc32c_u64(evertree_crc32c_u64(0, 1 << UInt64(bit)), 0) & 0xFFFF
            #expect(syndrome != 0 && syndrome != 0xFFFF, "bit \(bit) of a 48-bit value")
        }
        for bit in 0..<32 {
            let syndrome = evertree_crc32c_u64(evertree_crc32c_u64(0, 1 << UInt64(bit)), 0)
            #expect(syndrome != 0 && syndrome != ~0, "bit \(bit) of a 32-bit value")
        }
    }

    @Test func flipsOverManyValuesAndPlaces() {
        var random = RandomSource(seed: 3)
        for _ in 0..<2_000 {
            let offset = random.next() & 0xFFFF_FFF8
            let value = random.next() >> UInt64(16 + random.below(48))
            let word48 = check.seal48(value, at: offset)
            let word32 = check.seal32(UInt32(truncatingIfNeeded: value), at: offset)
            #expect(check.open48(word48, at: offset) == value)
            #expect(check.open32(word32, at: offset) == UInt32(truncatingIfNeeded: value))
            for bit: UInt64 in 0..<64 {
                if let found = check.open48(word48 ^ 1 << bit, at: offset) {
                    #expect(found == value)
                }
                if let found = check.open32(word32 ^ 1 << bit, at: offset) {
                    #expect(found == UInt32(truncatingIfNeeded: value))
                }
            }
        }
    }

    @Test func aFlippedBitOfAnEmptyWordIsFoundAtEveryPlace() {
        for offset in stride(from: UInt64(0), to: 1 << 20, by: 8) {
            let empty = check.seal48(0, at: offset)
            for bit: UInt64 in 0..<64 where check.open48(empty ^ 1 << bit, at: offset) != nil {
                Issue.record("bit \(bit) at \(offset)")
            }
        }
    }

    /// Nothing is stored as zero, so a zeroed word never passes for an empty one.
    @Test func aZeroedWordNeverPasses() {
        for offset in stride(from: UInt64(0), to: 1 << 20, by: 8) {
            if check.open48(0, at: offset) != nil || check.open32(0, at: offset) != nil {
                Issue.record("zero passes at \(offset)")
            }
            if check.open48(check.seal48(0, at: offset), at: offset) != 0 {
                Issue.record("empty at \(offset)")
            }
            if check.open32(check.seal32(0, at: offset), at: offset) != 0 {
                Issue.record("empty at \(offset)")
            }
        }
    }

    @Test func wordsOfAnotherPlaceOrStoreDoNotPass() {
        let word = check.seal48(77, at: 4096)
        #expect(check.open48(word, at: 4104) == nil)
        #expect(WordCheck(seed: 1).open48(word, at: 4096) == nil)
    }
}
