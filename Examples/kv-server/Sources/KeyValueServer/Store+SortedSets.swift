import PersistentHeap

/// Sorted sets: a dictionary from member to node, and the nodes in a ranked tree.
extension Store {
    private func sortedSet(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws -> PRef<SortedSet>? {
        try find(key, .sortedSet, tx).flatMap { tx.edit($0).sortedSet }
    }

    private func top(_ set: PRef<SortedSet>, _ tx: borrowing Transaction) -> PRef<RankedNode>? { tx.edit(set).top }

    private func node(
        _ key: UnsafeRawBufferPointer, _ member: UnsafeRawBufferPointer, _ tx: borrowing Transaction
    ) throws -> PRef<RankedNode>? {
        try sortedSet(key, tx).flatMap { tx.edit($0).nodes.value(forBytes: member) }
    }

    // MARK: Adding

    private struct AddOptions {
        var ifAbsent = false
        var ifPresent = false
        var ifGreater = false
        var ifLess = false
        var countsChanges = false
        var increments = false
        /// The first word behind the options.
        var first = 2

        /// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member ...
        init(_ request: Request) throws {
            options: while first < request.count {
                if request.isOption(first, "NX") {
                    ifAbsent = true
                } else if request.isOption(first, "XX") {
                    ifPresent = true
                } else if request.isOption(first, "GT") {
                    ifGreater = true
                } else if request.isOption(first, "LT") {
                    ifLess = true
                } else if request.isOption(first, "CH") {
                    countsChanges = true
                } else if request.isOption(first, "INCR") {
                    increments = true
                } else {
                    break options
                }
                first += 1
            }
            let words = request.count - first
            guard words > 0, words % 2 == 0 else { throw Refusal.syntax }
            if ifAbsent, ifPresent {
                throw Refusal("ERR XX and NX options at the same time are not compatible")
            }
            if ifGreater && ifLess || ifAbsent && (ifGreater || ifLess) {
                throw Refusal("ERR GT, LT, and/or NX options at the same time are not compatible")
            }
            if increments, words > 2 {
                throw Refusal("ERR INCR option supports a single increment-element pair")
            }
        }

        func allows(_ old: Double?, _ new: Double) -> Bool {
            guard let old else { return !ifPresent }
            return !ifAbsent && !(ifGreater && new <= old) && !(ifLess && new >= old)
        }
    }

    func sortedSetAdd(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let options = try AddOptions(request)
        var scores: [Double] = []
        for index in stride(from: options.first, to: request.count, by: 2) { scores.append(try request.double(index)) }
        if options.increments {
            return try increment(request, options.first + 1, by: scores[0], options, tx, &reply)
        }
        let found = try sortedSet(request[1], tx)
        if found == nil, options.ifPresent { return reply.integer(0) }
        guard let set = try found ?? tx.edit(findOrMake(request[1], .sortedSet, tx)).sortedSet else {
            throw Refusal.wrongType
        }
        var (added, changed) = (0, 0)
        for (place, score) in scores.enumerated() {
            let member = request[options.first + place * 2 + 1]
            let node = tx.edit(set).nodes.value(forBytes: member)
            let old = node.map { tx.edit($0).score }
            guard options.allows(old, score), old != score else { continue }
            try setScore(set, node, member, score, tx)
            if old == nil { added += 1 } else { changed += 1 }
        }
        reply.integer(options.countsChanges ? added + changed : added)
    }

    func sortedSetIncrement(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let amount = try request.double(2)
        try increment(request, 3, by: amount, nil, tx, &reply)
    }

    private func increment(
        _ request: Request, _ member: Int, by amount: Double, _ options: AddOptions?,
        _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        let node = try node(request[1], request[member], tx)
        let old = node.map { tx.edit($0).score }
        let score = (old ?? 0) + amount
        guard !score.isNaN else { throw Refusal("ERR resulting score is not a number (NaN)") }
        guard options?.allows(old, score) ?? true else { return reply.null() }
        guard let set = tx.edit(try findOrMake(request[1], .sortedSet, tx)).sortedSet else {
            throw Refusal.wrongType
        }
        if old != score { try setScore(set, node, request[member], score, tx) }
        reply.score(score)
    }

    private func setScore(
        _ set: PRef<SortedSet>, _ old: PRef<RankedNode>?, _ member: UnsafeRawBufferPointer, _ score: Double,
        _ tx: borrowing Transaction
    ) throws {
        let edit = tx.edit(set)
        if let old, let top = edit.top {
            edit.top = RankedTree.removing(old, from: top, tx)
            tx.edit(old).score = score
            edit.top = RankedTree.inserting(old, into: edit.top, tx)
            return
        }
        let name = try tx.string(bytes: member)
        let node = try tx.new(
            RankedNode(score: score, name: name, left: nil, right: nil, priority: .random(in: 0 ... .max), count: 1))
        try edit.nodes.updateValue(node, forKey: name)
        edit.top = RankedTree.inserting(node, into: edit.top, tx)
    }

    // MARK: Removing

    func sortedSetRemove(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let set = try sortedSet(request[1], tx) else { return reply.integer(0) }
        var removed = 0
        for index in 2..<request.count {
            guard let node = tx.edit(set).nodes.value(forBytes: request[index]) else { continue }
            take(node, from: set, tx)
            removed += 1
        }
        if top(set, tx) == nil { remove(request[1], tx) }
        reply.integer(removed)
    }

    private func take(_ node: PRef<RankedNode>, from set: PRef<SortedSet>, _ tx: borrowing Transaction) {
        let edit = tx.edit(set)
        let name = tx.edit(node).name
        edit.top = edit.top.flatMap { RankedTree.removing(node, from: $0, tx) }
        edit.nodes.removeValue(forKey: name)
        tx.free(name)
        tx.free(node)
    }

    /// ZPOPMIN key [count], ZPOPMAX key [count]
    func sortedSetPop(
        _ request: Request, fromTop: Bool, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        guard request.count <= 3 else { throw Refusal.syntax }
        let wanted = request.count == 3 ? try request.count(2) : 1
        guard let set = try sortedSet(request[1], tx) else { return reply.array(0) }
        let count = RankedTree.count(top(set, tx), tx)
        let taken = min(wanted, count)
        let nodes = nodes(set, fromTop ? count - taken..<count : 0..<taken, tx)
        reply.array(taken * 2)
        for node in fromTop ? nodes.reversed() : nodes {
            reply.bulk(tx.edit(node).name, tx)
            reply.score(tx.edit(node).score)
            take(node, from: set, tx)
        }
        if taken == count { remove(request[1], tx) }
    }

    func freeSortedSet(_ set: PRef<SortedSet>, _ tx: borrowing Transaction) {
        for node in nodes(set, 0..<RankedTree.count(top(set, tx), tx), tx) {
            tx.free(tx.edit(node).name)
            tx.free(node)
        }
        tx.edit(set).nodes.removeAll()
        tx.free(set)
    }

    // MARK: Reading

    func sortedSetScore(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let node = try node(request[1], request[2], tx) else { return reply.null() }
        reply.score(tx.edit(node).score)
    }

    func sortedSetCount(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
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

    private func nodes(
        _ set: PRef<SortedSet>, _ ranks: Range<Int>, _ tx: borrowing Transaction
    ) -> [PRef<RankedNode>] {
        var found: [PRef<RankedNode>] = []
        found.reserveCapacity(ranks.count)
        RankedTree.forEach(ranks, in: top(set, tx), tx) { found.append($0) }
        return found
    }

    private func answer(
        _ nodes: [PRef<RankedNode>], withScores: Bool, _ tx: borrowing Transaction, _ reply: inout Reply
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
            guard let score = parseDouble(number) else { throw Refusal("ERR min or max is not a float") }
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

    func sortedSetCountBetween(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let (low, high) = (try Limit(request[2]), try Limit(request[3]))
        reply.integer(try sortedSet(request[1], tx).map { ranks($0, low, high, tx).count } ?? 0)
    }

    /// ZRANGEBYSCORE key low high [WITHSCORES] [LIMIT offset count]
    func sortedSetRangeByScore(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
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
        ranks = skipped < 0 ? 0..<0 : min(ranks.lowerBound &+ min(skipped, ranks.count), ranks.upperBound)..<ranks.upperBound
        if limit >= 0 { ranks = ranks.prefix(limit) }
        answer(nodes(set, ranks, tx), withScores: withScores, tx, &reply)
    }
}
