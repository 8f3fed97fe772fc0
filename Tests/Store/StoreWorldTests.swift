import MachineSim
import Store
import Testing

/// Random runs of the store beside a model, crashed at every step.
@Suite struct StoreWorldTests {
    private func run(
        domain: PersistenceDomain, seeds: Range<UInt64>, steps: Int, probing: CrashProbing,
        crashEvery: Int = 0
    ) throws -> FailureLog {
        let log = FailureLog()
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: domain)
        for seed in seeds where log.isEmpty {
            nvm.reset()
            var world = try StoreWorld(nvm: nvm, seed: seed, log: log)
            world.probing = probing
            world.startProbing()
            for step in 1...steps where log.isEmpty {
                world.step()
                if crashEvery > 0 && step % crashEvery == 0 { world = try world.crashForGood() }
            }
            world.stopProbing()
            world.close()
            if !log.isEmpty { log.add("seed \(seed), \(domain)") }
        }
        return log
    }

    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func longRunsKeepTheModelAndLeakNothing(domain: PersistenceDomain) throws {
        var probing = CrashProbing()
        probing.checksTables = true
        let log = try run(
            domain: domain, seeds: 1..<5, steps: 400, probing: probing, crashEvery: 60)
        #expect(log.messages == [])
        #expect(log.commits > 100)
    }

    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func everyStepOfAShortRunMayCrash(domain: PersistenceDomain) throws {
        var probing = CrashProbing()
        probing.stride = 1
        let log = try run(
            domain: domain, seeds: 100..<102, steps: 40, probing: probing, crashEvery: 25)
        #expect(log.messages == [])
        #expect(log.crashPoints > 300)
    }

    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func recoveryMayCrashThreeDeep(domain: PersistenceDomain) throws {
        var probing = CrashProbing()
        probing.stride = 23
        probing.nesting = 3
        probing.stepsAfter = 4
        probing.checksTables = true
        let log = try run(domain: domain, seeds: 200..<202, steps: 25, probing: probing)
        #expect(log.messages == [])
    }
}
