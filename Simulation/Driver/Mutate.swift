import MachineSim
import Store

/// `evertree-sim mutate [--seed N] [--count N]`: damages stopped stores and starts them.
func mutate(_ words: [String]) -> Int32 {
    var seed: UInt64 = 1
    var count = 10_000
    var rest = words[...]
    while let option = rest.popFirst() {
        guard let text = rest.popFirst(), let value = UInt64(text), value < 1 << 40 else {
            print("evertree-sim mutate: \(option) wants a number")
            return 2
        }
        switch option {
        case "--seed": seed = value
        case "--count": count = Int(value)
        default:
            print("evertree-sim mutate: no option is called '\(option)'")
            return 2
        }
    }
    noteTraps()
    let mutations = StoreMutations(seed: seed)
    underWay.text = "evertree-sim mutate --seed \(seed) --count \(count)"
    var done = 0
    do throws(StoreError) {
        while done < count && mutations.failures.isEmpty {
            let batch = min(1_000, count - done)
            try mutations.run(batch)
            done += batch
        }
    } catch {
        print("a good store was refused: \(error)")
        return 1
    }
    return print(mutations, count: done)
}

private func print(_ mutations: StoreMutations, count: Int) -> Int32 {
    for message in mutations.failures { print(message) }
    var unexpected = mutations.failures.count
    print("damage              harmless     named  same, but  different,   content    silent")
    print("                                        check says  check says")
    for kind in StoreMutations.Kind.allCases {
        let row = mutations.counts[kind.rawValue]
        let numbers = [
            row.harmless, row.named, row.checkOnly, row.checkNeeded, row.content, row.silent,
        ].map { number in
            let text = String(number)
            return String(repeating: " ", count: max(1, 10 - text.count)) + text
        }
        let name = "\(kind)"
        print(name + String(repeating: " ", count: max(1, 18 - name.count)) + numbers.joined())
        unexpected += row.silent
    }
    if let first = mutations.firstSilent { print("first silent difference: \(first)") }
    print("\(count) mutations, \(unexpected) unexpected")
    return unexpected == 0 ? 0 : 1
}
