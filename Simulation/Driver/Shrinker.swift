import MachineSim
import Store

/// Cuts a failing seed down: fewer faults, one level, less nesting, fewer steps, as long as it
/// still fails. Prints what is left.
struct Shrinker {
    private var best: Arguments
    private var plan: SeedPlan

    init(_ arguments: Arguments) {
        best = arguments
        plan = SeedPlan(seed: arguments.seeds.lowerBound, arguments)
        // What the seed chose becomes explicit, so that it can be cut.
        best.faults = plan.faults
        best.domain = plan.domain
    }

    private func fails(_ arguments: Arguments) -> Bool {
        let log = FailureLog()
        let plan = SeedPlan(seed: arguments.seeds.lowerBound, arguments)
        let nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: plan.domain)
        if arguments.level != .kernel { plan.runStore(nvm, log) }
        if arguments.level != .store && log.isEmpty { plan.runKernel(nvm, log) }
        return !log.isEmpty
    }

    private mutating func attempt(_ change: (inout Arguments) -> Void) -> Bool {
        var candidate = best
        change(&candidate)
        if !fails(candidate) { return false }
        best = candidate
        return true
    }

    /// The smallest failing arguments found, or nil when the seed does not fail.
    mutating func shrink() -> String? {
        if !fails(best) { return nil }
        if !attempt({ $0.level = .store }) { _ = attempt { $0.level = .kernel } }
        for entry in SimFaults.names { _ = attempt { $0.faults?.remove(entry.fault) } }
        for nesting in 0..<best.nesting where best.nesting > nesting {
            _ = attempt { $0.nesting = nesting }
        }
        _ = attempt { $0.domain = .coherentCache }
        var low = 0
        while low + 1 < best.steps {
            let middle = (low + best.steps) / 2
            if !attempt({ $0.steps = middle }) { low = middle }
        }
        return SeedPlan(seed: best.seeds.lowerBound, best).command
    }
}
