import MachineSim
import Store

#if canImport(Glibc)
    import Glibc
#endif

/// Runs the seeds one after the other and prints the figures at the end.
func run(_ arguments: Arguments) -> Int32 {
    let log = FailureLog()
    var regions: [PersistenceDomain: SimulatedNVM] = [:]
    for domain in [PersistenceDomain.coherentCache, .cacheLineFlush] {
        regions[domain] = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: domain)
    }
    var done = 0
    for seed in arguments.seeds {
        let plan = SeedPlan(seed: seed, arguments)
        guard let nvm = regions[plan.domain] else { continue }
        if arguments.level != .kernel { plan.runStore(nvm, log) }
        if arguments.level != .store && log.isEmpty { plan.runKernel(nvm, log) }
        done += 1
        if !log.isEmpty {
            for message in log.messages { print(message) }
            print("DIVERGENCE at seed \(seed). To see it again:")
            print("  \(plan.command)")
            return 1
        }
        if arguments.isVerbose { print("seed \(seed): \(plan.faultNames), \(log.crashPoints) crash points so far") }
    }
    print(
        "seeds: \(done), crash points: \(log.crashPoints), restores: \(log.restores), commits: \(log.commits), "
            + "divergences: 0")
    return 0
}

do throws(Arguments.Problem) {
    exit(run(try Arguments(Array(CommandLine.arguments.dropFirst()))))
} catch {
    if error.text.isEmpty {
        print(Arguments.usage)
        exit(0)
    }
    print("evertree-sim: \(error.text)\n\(Arguments.usage)")
    exit(2)
}
