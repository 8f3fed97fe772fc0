import ABI
import Testing

/// Revoke and delete over every derivation tree of up to five capabilities.
@Suite struct RevokeTests {
    /// Parents of the capabilities after the first: each derives from one before it.
    private static func trees(of count: Int) -> [[Int]] {
        var all: [[Int]] = [[]]
        for node in 1..<count { all = all.flatMap { tree in (0..<node).map { tree + [$0] } } }
        return all
    }

    /// Whether `node` is below `ancestor`.
    private func isBelow(_ node: Int, _ ancestor: Int, _ parents: [Int]) -> Bool {
        var place = node
        while place > 0 {
            place = parents[place - 1]
            if place == ancestor { return true }
        }
        return false
    }

    /// Makes the tree in slots of the first process.
    private func plant(_ parents: [Int], _ bench: Bench) -> [UInt64] {
        var slots = [UInt64(bench.call(.notificationCreate))]
        let rights = UInt64(Rights.all.rawValue)
        for parent in parents {
            slots.append(UInt64(bench.call(.capabilityMint, slots[parent], rights, 0)))
        }
        return slots
    }

    private func isThere(_ slot: UInt64, _ bench: Bench) -> Bool {
        bench.call(.objectInfo, slot, Bench.stackTop - 4096) == 0
    }

    @Test(arguments: 1...5) func revokeTakesExactlyWhatIsBelow(count: Int) throws {
        for parents in Self.trees(of: count) {
            for node in 0..<count {
                let bench = try Bench(frames: 1024)
                let slots = plant(parents, bench)
                #expect(bench.call(.capabilityRevoke, slots[node]) == 0)
                for other in 0..<count {
                    let expected = !isBelow(other, node, parents)
                    #expect(isThere(slots[other], bench) == expected, "\(parents) \(node) \(other)")
                }
            }
        }
    }

    @Test(arguments: 2...4) func whatADeletedOneLeftGoesWithItsParent(count: Int) throws {
        for parents in Self.trees(of: count) {
            for node in 1..<count {
                let bench = try Bench(frames: 1024)
                let slots = plant(parents, bench)
                #expect(bench.call(.capabilityDelete, slots[node]) == 0)
                for other in 0..<count {
                    #expect(isThere(slots[other], bench) == (other != node))
                }
                let parent = parents[node - 1]
                #expect(bench.call(.capabilityRevoke, slots[parent]) == 0)
                for other in 0..<count where other != node {
                    #expect(isThere(slots[other], bench) == !isBelow(other, parent, parents))
                }
            }
        }
    }
}
