import MachineSim
import Store

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#endif

/// The command of the seed that is under way, for the message of a trap in the code under test.
nonisolated(unsafe) var underWay = (text: "", seed: UInt64(0))

/// A failed precondition in the store or the kernel is a divergence too.
func noteTraps() {
    for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
        signal(number) { number in
            print(
                "the code under test trapped (signal \(number)). To see it again:\n  \(underWay.text)"
            )
            fflush(nil)
            _exit(1)
        }
    }
}

/// `evertree-sim plant ROOT TARGET`: makes the sources with the planted bugs, and prints their
/// names.
func plant(_ words: [String]) -> Int32 {
    guard words.count == 2 else {
        print("usage: evertree-sim plant ROOT TARGET")
        return 2
    }
    do {
        let table = try String(
            contentsOfFile: words[0] + "/Simulation/planted-bugs.txt", encoding: .utf8)
        let planting = try Planting(table: table)
        try planting.plant(from: words[0], to: words[1])
        for (number, bug) in planting.bugs.enumerated() { print(number + 1, bug.name) }
        return 0
    } catch let problem as Planting.Problem {
        print("evertree-sim: \(problem.text)")
    } catch {
        print("evertree-sim: \(error)")
    }
    return 1
}

/// Runs the seeds one after the other and prints the figures at the end.
func run(_ arguments: Arguments) -> Int32 {
    #if EVERTREE_PLANTED_BUGS
        PlantedBug.active = arguments.planted
    #endif
    if arguments.shrinks {
        var shrinker = Shrinker(arguments)
        print(shrinker.shrink() ?? "seed \(arguments.seeds.lowerBound) does not fail")
        return 0
    }
    let log = FailureLog()
    var regions: [PersistenceDomain: SimulatedNVM] = [:]
    for domain in [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush] {
        regions[domain] = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: domain)
    }
    var done = 0
    noteTraps()
    for seed in arguments.seeds {
        let plan = SeedPlan(seed: seed, arguments)
        underWay.text = plan.command
        guard let nvm = regions[plan.domain] else { continue }
        if arguments.level != .kernel { plan.runStore(nvm, log) }
        if arguments.level != .store && log.isEmpty { plan.runKernel(nvm, log) }
        done += 1
        if !log.isEmpty {
            for message in log.messages { print(message) }
            print("divergence at seed \(seed). To see it again:")
            print("  \(plan.command)")
            return 1
        }
        if arguments.isVerbose {
            print("seed \(seed): \(plan.faultNames), \(log.crashPoints) crash points so far")
        }
    }
    print(
        "seeds: \(done), crash points: \(log.crashPoints), restores: \(log.restores), commits: \(log.commits), "
            + "whole states compared: \(log.compared), "
            + "divergences: 0")
    let met = SimFaults.names.map { "\($0.name) \(log.count(of: $0.fault))" }
    print("faults met: " + met.joined(separator: ", "))
    print("crashes by depth: " + log.crashesAtDepth.map(String.init).joined(separator: ", "))
    return lacking(log, arguments, seeds: done) ? 1 : 0
}

/// A long run in which a kind of fault never happened, or no crash came in a recovery, shows less
/// than it says.
private func lacking(_ log: FailureLog, _ arguments: Arguments, seeds: Int) -> Bool {
    guard seeds >= 400, arguments.level != .store, arguments.faults == nil else { return false }
    var isLacking = false
    for entry in SimFaults.names where log.count(of: entry.fault) == 0 {
        print("the fault \(entry.name) never happened in \(seeds) seeds")
        isLacking = true
    }
    if arguments.nesting > 1, log.crashesAtDepth.count < 2 {
        print("no crash came in a recovery in \(seeds) seeds")
        isLacking = true
    }
    return isLacking
}

if CommandLine.arguments.dropFirst().first == "mutate" {
    exit(mutate(Array(CommandLine.arguments.dropFirst(2))))
}
if CommandLine.arguments.dropFirst().first == "plant" {
    exit(plant(Array(CommandLine.arguments.dropFirst(2))))
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
