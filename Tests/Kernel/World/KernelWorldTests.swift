import MachineSim
import Store
import Testing

/// The real kernel with simulated programs, crashed and compared. Many more seeds run in `make
/// test` (optimised) and `make sim`.
@Suite struct KernelWorldTests {
    private func run(
        domain: PersistenceDomain, seeds: Range<UInt64>, steps: Int, faults: SimFaults = [],
        stride: UInt64 = 60,
        nesting: Int = 1
    ) throws -> FailureLog {
        let log = FailureLog()
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: domain)
        for seed in seeds where log.isEmpty {
            nvm.reset()
            var options = KernelWorld.Options()
            options.faults = faults
            options.coreCount = 1 + Int(seed % 3)
            options.programSeed = seed
            var world = try KernelWorld(nvm: nvm, options: options, seed: seed, log: log)
            world.probing.stride = stride
            world.probing.nesting = nesting
            world.probing.checksTables = true
            world.startProbing()
            for step in 1...steps where log.isEmpty && !world.isHalted {
                world.step()
                if step % 200 == 0 { world = try world.crashForGood() }
            }
            world.stopProbing()
            world.close()
            if !log.isEmpty { log.add("seed \(seed), \(domain)") }
        }
        return log
    }

    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func everyRestoreIsTheCommittedState(domain: PersistenceDomain) throws {
        let log = try run(domain: domain, seeds: 1..<5, steps: 500)
        #expect(log.messages == [])
        #expect(log.commits > 10)
        #expect(log.compared > 10, "whole states were compared")
    }

    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func crashesInRecoveryThreeDeep(domain: PersistenceDomain) throws {
        let log = try run(domain: domain, seeds: 50..<52, steps: 150, stride: 6, nesting: 3)
        #expect(log.messages == [])
        #expect(log.crashesAtDepth.count == 3, "a crash in a recovery of a recovery")
        for (depth, crashes) in log.crashesAtDepth.enumerated() {
            #expect(crashes > 10, "depth \(depth)")
        }
    }

    @Test func everyLegalFault() throws {
        for entry in SimFaults.names {
            // Some kinds come only after other things: seeds until it happened.
            var met: UInt64 = 0
            for seed in 100..<160 as Range<UInt64> where met < 3 {
                let log = try run(
                    domain: .coherentCache, seeds: seed..<(seed + 1), steps: 900,
                    faults: entry.fault)
                #expect(log.messages == [], "\(entry.name)")
                #expect(log.crashPoints > 0 && log.compared > 0, "\(entry.name) was not probed")
                met += log.count(of: entry.fault)
            }
            #expect(met >= 3, "\(entry.name) hardly happened")
        }
    }

    @Test func damageIsNamedOrHarmless() throws {
        let mutations = StoreMutations(seed: 11)
        try mutations.run(300)
        #expect(mutations.failures == [])
        #expect(mutations.firstSilent == nil)
        #expect(mutations.counts.contains { $0.named > 0 })
    }
}
