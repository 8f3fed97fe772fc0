import MachineSim
import Store

/// What one seed stands for: domain, faults, lengths. Everything else follows from the seed inside
/// the worlds.
struct SeedPlan {
    let seed: UInt64
    let domain: PersistenceDomain
    let faults: SimFaults
    let hotPages: Int
    let arguments: Arguments

    init(seed: UInt64, _ arguments: Arguments) {
        self.seed = seed
        self.arguments = arguments
        var random = RandomSource(seed: seed ^ 0xFA17)
        let lines = random.chance(1, in: 2)
        domain = arguments.domain ?? (lines ? .cacheLineFlush : .coherentCache)
        var chosen: SimFaults = []
        for entry in SimFaults.names where random.chance(1, in: 4) { chosen.insert(entry.fault) }
        // Full stores are slow to compare.
        if seed % 32 != 7 { chosen.remove(.fullStore) }
        faults = arguments.faults ?? chosen
        // None in one seed of four; few enough to be full; enough for all.
        hotPages = arguments.hotPages ?? [0, 2, 9, 70][random.below(4)]
    }

    var faultNames: String {
        let names = SimFaults.names.filter { faults.contains($0.fault) }.map(\.name)
        return names.isEmpty ? "none" : names.joined(separator: ",")
    }

    private var domainName: String {
        switch domain {
        case .coherentCache: "coherent"
        case .cacheLineFlush: "lines"
        case .hostFlush: "host"
        }
    }

    /// The command that repeats this seed, whatever was left to chance.
    var command: String {
        "evertree-sim --seed \(seed) --steps \(arguments.steps) --level \(arguments.level.rawValue) "
            + "--faults \(faultNames) --domain \(domainName) "
            + "--hot \(hotPages) --stride \(arguments.stride) --nesting \(arguments.nesting)"
    }

    private var probing: CrashProbing {
        var probing = CrashProbing()
        probing.stride = arguments.stride
        probing.nesting = arguments.nesting
        probing.randomSurvivals = 1
        probing.singles = 4
        probing.stepsAfter = seed % 4 == 0 ? 12 : 0
        probing.checksTables = seed % 8 == 0
        return probing
    }

    func runStore(_ nvm: SimulatedNVM, _ log: FailureLog) {
        nvm.reset()
        do throws(StoreError) {
            var world = try StoreWorld(nvm: nvm, seed: seed, log: log)
            world.probing = probing
            world.hotPages = hotPages
            world.startProbing()
            for step in 1...max(1, arguments.steps / 10) where log.isEmpty {
                world.step()
                if step % 40 == 0 { world = try world.crashForGood() }
            }
            world.stopProbing()
            world.close()
        } catch { log.add("store: \(error)") }
    }

    func runKernel(_ nvm: SimulatedNVM, _ log: FailureLog) {
        nvm.reset()
        var options = KernelWorld.Options()
        options.faults = faults
        options.coreCount = 1 + Int(seed % 3)
        options.programSeed = seed
        options.hotPages = hotPages
        options.explains = arguments.isVerbose
        // Most runs are short; some are long enough for many programs.
        let length = seed % 16 == 5 ? arguments.steps * 4 : arguments.steps
        do throws(StoreError) {
            var world = try KernelWorld(nvm: nvm, options: options, seed: seed, log: log)
            world.probing = probing
            world.startProbing()
            for step in 1...length where log.isEmpty && !world.isHalted {
                world.step()
                if step % 150 == 0 { world = try world.crashForGood() }
            }
            world.stopProbing()
            world.close()
        } catch { log.add("kernel: \(error)") }
    }
}
