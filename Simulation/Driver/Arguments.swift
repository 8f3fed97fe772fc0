import MachineSim
import Store

/// What `evertree-sim` was asked to do.
struct Arguments {
    enum Level: String, CaseIterable { case store, kernel, both }
    var seeds: Range<UInt64> = 1..<101
    var steps = 1_000
    var level = Level.both
    var faults: SimFaults?
    var domain: PersistenceDomain?
    var stride: UInt64 = 40
    var nesting = 3
    var hotPages: Int?
    var isVerbose = false
    var shrinks = false
    /// Number of the planted bug, where bugs are planted.
    var planted = 0

    struct Problem: Error { var text: String }

    static let usage = """
        usage: evertree-sim [--seed N | --seeds A..<B] [--steps M] [--level store|kernel|both]
                            [--faults LIST|none] [--domain coherent|lines|host] [--stride S] [--nesting D] [--hot N] [--verbose] [--shrink]
               evertree-sim mutate [--seed N] [--count N]
               evertree-sim plant ROOT TARGET
        Runs the real store and kernel on a simulated machine, crashes them everywhere, and compares every restore with
        what was committed. Exit status 0: no divergence; 1: a divergence, with the command that reproduces it.
        --faults  names separated by commas; without it each seed chooses its own
        --domain  persistence domain; without it each seed chooses
        --stride  a crash is tried about once in S persist steps; 1 = at every one
        --hot     pages of DRAM for hot pages; without it each seed chooses
        --nesting crashes in the recovery of a crash, this deep
        --shrink  cut a failing seed down to the fewest faults and steps
        mutate    damage a stopped store at random: each damage must be found or harmless
        plant     make a copy of the sources with the bugs of Simulation/planted-bugs.txt
        """

    init(_ words: [String]) throws(Problem) {
        var rest = words[...]
        while let option = rest.popFirst() {
            if option == "--help" || option == "-h" { throw Problem(text: "") }
            if option == "--verbose" {
                isVerbose = true
                continue
            }
            if option == "--shrink" {
                shrinks = true
                continue
            }
            guard let value = rest.popFirst() else {
                throw Problem(text: "\(option) needs a value")
            }
            try take(option, value)
        }
    }

    private mutating func take(_ option: String, _ value: String) throws(Problem) {
        switch option {
        case "--seed":
            let seed = try number(option, value)
            seeds = seed..<(seed + 1)
        case "--seeds":
            let ends = value.split(separator: "..<", omittingEmptySubsequences: false).map(
                String.init)
            guard ends.count == 2 else {
                throw Problem(text: "--seeds wants A..<B, not '\(value)'")
            }
            let (first, end) = (try number(option, ends[0]), try number(option, ends[1]))
            guard first < end else { throw Problem(text: "--seeds: \(value) is empty") }
            seeds = first..<end
        case "--steps": steps = Int(try number(option, value))
        case "--stride": stride = max(1, try number(option, value))
        case "--nesting": nesting = Int(try number(option, value))
        case "--hot": hotPages = min(Int(try number(option, value)), 4_096)
        case "--level":
            guard let found = Level(rawValue: value) else {
                throw Problem(text: "no level is called '\(value)'")
            }
            level = found
        case "--domain":
            let names: [String: PersistenceDomain] = [
                "coherent": .coherentCache, "lines": .cacheLineFlush, "host": .hostFlush,
            ]
            guard let found = names[value] else {
                throw Problem(text: "no persistence domain is called '\(value)'")
            }
            domain = found
        case "--planted": planted = Int(try number(option, value))
        case "--faults": faults = try faultList(value)
        default: throw Problem(text: "no option is called '\(option)'")
        }
    }

    private func number(_ option: String, _ value: String) throws(Problem) -> UInt64 {
        guard let number = UInt64(value), number < 1 << 62 else {
            throw Problem(text: "\(option) wants a number, not '\(value)'")
        }
        return number
    }

    private func faultList(_ value: String) throws(Problem) -> SimFaults {
        if value == "none" { return [] }
        var found: SimFaults = []
        for name in value.split(separator: ",") {
            guard let entry = SimFaults.names.first(where: { $0.name == name }) else {
                throw Problem(
                    text: "no fault is called '\(name)'; there are \(SimFaults.names.map(\.name))")
            }
            found.insert(entry.fault)
        }
        return found
    }
}
