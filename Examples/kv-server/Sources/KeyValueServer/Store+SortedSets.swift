import PersistentHeap

/// Sorted sets: a dictionary from member to node, and the nodes in a ranked tree.
extension Store {
    func sortedSet(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws -> PRef<
        SortedSet
    >? {
        try find(key, .sortedSet, tx).flatMap { tx.edit($0).sortedSet }
    }

    func top(_ set: PRef<SortedSet>, _ tx: borrowing Transaction) -> PRef<RankedNode>? {
        tx.edit(set).top
    }

    func node(
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

    func sortedSetAdd(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws
    {
        let options = try AddOptions(request)
        var scores: [Double] = []
        for index in stride(from: options.first, to: request.count, by: 2) {
            scores.append(try request.double(index))
        }
        if options.increments {
            return try increment(request, options.first + 1, by: scores[0], options, tx, &reply)
        }
        let found = try sortedSet(request[1], tx)
        if found == nil, options.ifPresent { return reply.integer(0) }
        guard let set = try found ?? tx.edit(findOrMake(request[1], .sortedSet, tx)).sortedSet
        else {
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

    func sortedSetIncrement(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply)
        throws
    {
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
        _ set: PRef<SortedSet>, _ old: PRef<RankedNode>?, _ member: UnsafeRawBufferPointer,
        _ score: Double,
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
            RankedNode(
                score: score, name: name, left: nil, right: nil, priority: .random(in: 0 ... .max),
                count: 1))
        try edit.nodes.updateValue(node, forKey: name)
        edit.top = RankedTree.inserting(node, into: edit.top, tx)
    }

    // MARK: Removing

    func sortedSetRemove(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply)
        throws
    {
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

    private func take(
        _ node: PRef<RankedNode>, from set: PRef<SortedSet>, _ tx: borrowing Transaction
    ) {
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
}
