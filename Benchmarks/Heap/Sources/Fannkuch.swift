import PersistentHeap

@Persistent struct Card { var value: Int }

/// A deck of references to cards, the permutation it is made from, and the counters of the
/// permutation.
@Persistent struct Deck {
    var current: PArray<PRef<Card>>
    var next: PArray<PRef<Card>>
    var counts: PArray<Int>
}

/// The benchmarks game's fannkuch on references to cards instead of numbers; one transaction for
/// each permutation.
func fannkuch(_ heap: PersistentHeap, _ mode: LogMode, _ size: Int) throws {
    let root = try heap.root(named: "deck", as: Deck.self) {
        Deck(current: PArray(), next: PArray(), counts: PArray())
    }
    try heap.transaction { tx in
        for value in 0..<size {
            let card = try tx.new(Card(value: value))
            try tx.edit(root).current.append(card)
            try tx.edit(root).next.append(card)
            try tx.edit(root).counts.append(0)
        }
    }
    let expected = fannkuchChecksums[size]
    let start = nanoseconds()
    var (checksum, index, depth) = (0, 0, size)
    while depth > 0 {
        let flips = try heap.transaction(mode) { tx in
            let deck = tx.edit(root)
            deck.current.announce()
            deck.next.announce()
            deck.counts.announce()
            while depth != 1 {
                deck.counts[depth - 1] = depth
                depth -= 1
            }
            let flips = countFlips(deck, tx)
            depth = nextPermutation(deck, size)
            return flips
        }
        checksum += index % 2 == 0 ? flips : -flips
        index += 1
    }
    report("fannkuch", index, since: start)
    expect(expected == nil || expected == checksum, "fannkuch \(checksum)")
}

/// Known sums, by number of cards.
let fannkuchChecksums = [7: 228, 8: 1616, 9: 8629, 10: 73196]

private func countFlips(_ deck: Deck.Editor, _ tx: borrowing Transaction) -> Int {
    let (current, next) = (deck.current, deck.next)
    for place in 0..<next.count { current[place] = next[place] }
    var flips = 0
    while true {
        let first = tx.edit(current[0]).value
        if first == 0 { return flips }
        for place in 0..<(first + 1) / 2 { current.swapAt(place, first - place) }
        flips += 1
    }
}

/// Moves `next` on; returns the depth to go on from, 0 after the last permutation.
private func nextPermutation(_ deck: Deck.Editor, _ size: Int) -> Int {
    let (next, counts) = (deck.next, deck.counts)
    var depth = 1
    while depth < size {
        let first = next[0]
        for place in 0..<depth { next[place] = next[place + 1] }
        next[depth] = first
        counts[depth] -= 1
        if counts[depth] > 0 { return depth }
        depth += 1
    }
    return 0
}

extension VolatileBenchmarks {
    struct VolatileCard { var value: Int }
    typealias Cards = UnsafeMutablePointer<UnsafeMutablePointer<VolatileCard>>

    static func fannkuch(_ size: Int) {
        let cards = UnsafeMutablePointer<VolatileCard>.allocate(capacity: size)
        let (current, next) = (Cards.allocate(capacity: size), Cards.allocate(capacity: size))
        let counts = UnsafeMutablePointer<Int>.allocate(capacity: size)
        counts.initialize(repeating: 0, count: size)
        for value in 0..<size {
            (cards + value).initialize(to: VolatileCard(value: value))
            (next + value).initialize(to: cards + value)
            (current + value).initialize(to: cards + value)
        }
        let start = nanoseconds()
        var (checksum, index, depth) = (0, 0, size)
        while depth > 0 {
            while depth != 1 {
                counts[depth - 1] = depth
                depth -= 1
            }
            let flips = countFlips(current, next, size)
            checksum += index % 2 == 0 ? flips : -flips
            index += 1
            depth = advance(next, counts, size)
        }
        report("fannkuch", index, since: start)
        expect(
            fannkuchChecksums[size] == nil || fannkuchChecksums[size] == checksum,
            "fannkuch \(checksum)")
    }

    private static func countFlips(_ current: Cards, _ next: Cards, _ size: Int) -> Int {
        for place in 0..<size { current[place] = next[place] }
        var flips = 0
        while true {
            let first = current[0].pointee.value
            if first == 0 { return flips }
            for place in 0..<(first + 1) / 2 {
                (current[place], current[first - place]) = (current[first - place], current[place])
            }
            flips += 1
        }
    }

    private static func advance(_ next: Cards, _ counts: UnsafeMutablePointer<Int>, _ size: Int)
        -> Int
    {
        var depth = 1
        while depth < size {
            let first = next[0]
            for place in 0..<depth { next[place] = next[place + 1] }
            next[depth] = first
            counts[depth] -= 1
            if counts[depth] > 0 { return depth }
            depth += 1
        }
        return 0
    }
}
