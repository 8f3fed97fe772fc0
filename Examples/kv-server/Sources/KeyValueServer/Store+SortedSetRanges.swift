import PersistentHeap

/// Sorted sets: what only reads.
extension Store {
    func sortedSetScore(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply)
        throws
    {
        guard let node = try node(request[1], request[2], tx) else { return reply.null() }
        reply.score(tx.edit(node).score)
    }

    func sortedSetCount(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply)
        throws
    {
        reply.integer(try sortedSet(request[1], tx).map { RankedTree.count(top($0, tx), tx) } ?? 0)
    }

    func sortedSetRank(
        _ request: Request, reversed: Bool, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        guard let set = try sortedSet(request[1], tx),
            let node = tx.edit(set).nodes.value(forBytes: request[2])
        else { return reply.null() }
        let rank = RankedTree.rank(of: node, in: top(set, tx), tx)
        reply.integer(reversed ? RankedTree.count(top(set, tx), tx) - 1 - rank : rank)
    }

    func nodes(
        _ set: PRef<SortedSet>, _ ranks: Range<Int>, _ tx: borrowing Transaction
    ) -> [PRef<RankedNode>] {
        var found: [PRef<RankedNode>] = []
        found.reserveCapacity(ranks.count)
        RankedTree.forEach(ranks, in: top(set, tx), tx) { found.append($0) }
        return found
    }

    private func answer(
        _ nodes: [PRef<RankedNode>], withScores: Bool, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) {
        reply.array(nodes.count * (withScores ? 2 : 1))
        for node in nodes {
            reply.bulk(tx.edit(node).name, tx)
            if withScores { reply.score(tx.edit(node).score) }
        }
    }

    /// ZRANGE key first last [REV] [WITHSCORES], ZREVRANGE key first last [WITHSCORES]
    func sortedSetRange(
        _ request: Request, reversed: Bool, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        var (isReversed, withScores) = (reversed, false)
        for index in 4..<max(4, request.count) {
            if request.isOption(index, "WITHSCORES") {
                withScores = true
            } else if request.isOption(index, "REV"), !reversed {
                isReversed = true
            } else {
                throw Refusal.syntax
            }
        }
        let (first, last) = (try request.integer(2), try request.integer(3))
        guard let set = try sortedSet(request[1], tx) else { return reply.array(0) }
        let count = RankedTree.count(top(set, tx), tx)
        let range = Self.range(first, last, count: count)
        let ranks = isReversed ? count - range.upperBound..<count - range.lowerBound : range
        let found = nodes(set, range.isEmpty ? 0..<0 : ranks, tx)
        answer(isReversed ? found.reversed() : found, withScores: withScores, tx, &reply)
    }

    /// A limit of a range of scores: "(" in front excludes it.
    private struct Limit {
        let score: Double
        let isExcluded: Bool

        init(_ word: UnsafeRawBufferPointer) throws {
            isExcluded = word.first == UInt8(ascii: "(")
            let number = isExcluded ? UnsafeRawBufferPointer(rebasing: word.dropFirst()) : word
            guard let score = parseDouble(number, mayOverflow: true) else {
                throw Refusal("ERR min or max is not a float")
            }
            self.score = score
        }
    }

    private func ranks(
        _ set: PRef<SortedSet>, _ low: Limit, _ high: Limit, _ tx: borrowing Transaction
    ) -> Range<Int> {
        let top = top(set, tx)
        let from = RankedTree.count(below: low.score, orEqual: low.isExcluded, in: top, tx)
        let to = RankedTree.count(below: high.score, orEqual: !high.isExcluded, in: top, tx)
        return from < to ? from..<to : 0..<0
    }

    func sortedSetCountBetween(
        _ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        let (low, high) = (try Limit(request[2]), try Limit(request[3]))
        reply.integer(try sortedSet(request[1], tx).map { ranks($0, low, high, tx).count } ?? 0)
    }

    /// ZRANGEBYSCORE key low high [WITHSCORES] [LIMIT offset count]
    func sortedSetRangeByScore(
        _ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        var withScores = false
        var (skipped, limit) = (0, -1)
        var index = 4
        while index < request.count {
            if request.isOption(index, "WITHSCORES") {
                withScores = true
            } else if request.isOption(index, "LIMIT"), index + 2 < request.count {
                (skipped, limit) = (try request.integer(index + 1), try request.integer(index + 2))
                index += 2
            } else {
                throw Refusal.syntax
            }
            index += 1
        }
        let (low, high) = (try Limit(request[2]), try Limit(request[3]))
        guard let set = try sortedSet(request[1], tx) else { return reply.array(0) }
        var ranks = ranks(set, low, high, tx)
        ranks =
            skipped < 0
            ? 0..<0
            : min(
                ranks.lowerBound &+ min(skipped, ranks.count), ranks.upperBound)..<ranks.upperBound
        if limit >= 0 { ranks = ranks.prefix(limit) }
        answer(nodes(set, ranks, tx), withScores: withScores, tx, &reply)
    }
}
