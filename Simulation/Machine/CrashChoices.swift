import ABI
import Store

/// The words whose content after a power cut is open, each with the values it may have.
public struct CrashChoices: Sendable {
    public struct Word: Sendable {
        public var index: Int
        /// Range in `values`: oldest first, what the program sees last.
        var first: Int
        public var count: Int
    }
    public internal(set) var words: [Word] = []
    var values: [UInt64] = []

    public func value(_ word: Word, _ pick: Int) -> UInt64 { values[word.first + pick] }
}

/// Which of the open values a crash leaves.
public enum Survival: Equatable, Sendable {
    /// Nothing that was pending.
    case none
    /// Everything: caches were written back just in time.
    case all
    /// Only the open word with this number; or everything but it.
    case only(Int)
    case allBut(Int)
    /// Each word by a coin of its own, from a seed.
    case random(UInt64)
}

extension SimulatedNVM {
    /// What is open right now. Empty in a coherent-cache domain.
    public var crashChoices: CrashChoices {
        var choices = CrashChoices()
        let entries = pending.entries
        if entries.isEmpty { return choices }
        var order: [UInt64] = []
        order.reserveCapacity(entries.count)
        for (position, entry) in entries.enumerated() {
            order.append(UInt64(entry.word) << 32 | UInt64(position))
        }
        order.sort()
        for key in order {
            let word = Int(key >> 32)
            let before = entries[Int(key & 0xFFFF_FFFF)].before
            if choices.words.last?.index != word {
                closeLast(&choices)
                choices.words.append(
                    CrashChoices.Word(index: word, first: choices.values.count, count: 0))
            }
            choices.values.append(before)
        }
        closeLast(&choices)
        return choices
    }

    /// Adds the current value to the last word's list.
    private func closeLast(_ choices: inout CrashChoices) {
        guard let last = choices.words.indices.last else { return }
        choices.values.append(words[choices.words[last].index])
        choices.words[last].count = choices.values.count - choices.words[last].first
    }

    /// Cuts the power, with `survival` deciding what is left; runs `body` on the crashed region;
    /// then puts the region, the caches and the step hook back as they were. May be nested: `body`
    /// may crash again.
    public func withCrash(_ survival: Survival, _ choices: CrashChoices, _ body: () -> Void) {
        let mark = journal.entries.count
        let saved = pending.take()
        let (stop, hook) = (nextStop, onStep)
        nextStop = .max
        onStep = nil
        journal.depth += 1
        apply(survival, choices)
        body()
        while journal.entries.count > mark, let entry = journal.removeLast() {
            words[Int(entry.word)] = entry.before
        }
        journal.depth -= 1
        pending.restore(saved)
        nextStop = stop
        onStep = hook
    }

    /// Cuts the power for good.
    public func crash(_ survival: Survival) {
        let choices = crashChoices
        pending.forget()
        apply(survival, choices)
    }

    private func apply(_ survival: Survival, _ choices: CrashChoices) {
        var random = RandomSource(seed: 0)
        if case .random(let seed) = survival { random = RandomSource(seed: seed) }
        for (number, word) in choices.words.enumerated() {
            let newest = word.count - 1
            let pick =
                switch survival {
                case .none: 0
                case .all: newest
                case .only(let wanted): number == wanted ? newest : 0
                case .allBut(let unwanted): number == unwanted ? 0 : newest
                case .random: random.below(word.count)
                }
            damage(word: word.index, to: choices.value(word, pick))
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same on every machine.
public struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    /// A number in 0..<bound.
    public mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
    public mutating func chance(_ one: Int, in all: Int) -> Bool { below(all) < one }
}
