import PersistentHeap

/// Commands for keys of any kind.
extension Store {
    func delete(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        var removed = 0
        for index in 1..<request.count
        where find(request[index], tx) != nil && remove(request[index], tx) {
            removed += 1
        }
        reply.integer(removed)
    }

    func exists(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        var found = 0
        for index in 1..<request.count where find(request[index], tx) != nil { found += 1 }
        reply.integer(found)
    }

    func type(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        guard let item = find(request[1], tx) else { return reply.simple("none") }
        switch tx.edit(item).kind {
        case .string: reply.simple("string")
        case .list: reply.simple("list")
        case .hash: reply.simple("hash")
        case .set: reply.simple("set")
        case .sortedSet: reply.simple("zset")
        }
    }

    func keys(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        var found: [PString] = []
        tx[root].items.forEach(in: tx) { key, item in
            let expiry = tx.edit(item).expiry
            let matches = key.withBytes(in: tx) { Glob.matches(pattern: request[1], $0) }
            if matches, expiry == 0 || expiry > now { found.append(key) }
        }
        reply.array(found.count)
        for key in found { reply.bulk(key, tx) }
    }

    // MARK: Expiry

    private struct ExpiryCondition {
        var ifNone = false
        var ifSome = false
        var ifGreater = false
        var ifLess = false

        init(_ request: Request) throws {
            for index in 3..<max(3, request.count) {
                if request.isOption(index, "NX") {
                    ifNone = true
                } else if request.isOption(index, "XX") {
                    ifSome = true
                } else if request.isOption(index, "GT") {
                    ifGreater = true
                } else if request.isOption(index, "LT") {
                    ifLess = true
                } else {
                    throw Refusal("ERR Unsupported option \(request.text(index))")
                }
            }
            if ifNone, ifSome || ifGreater || ifLess {
                throw Refusal("ERR NX and XX, GT or LT options at the same time are not compatible")
            }
            if ifGreater, ifLess {
                throw Refusal("ERR GT and LT options at the same time are not compatible")
            }
        }

        /// Whether the new time may replace the old one; 0 is never.
        func allows(_ old: Int, _ new: Int) -> Bool {
            if ifNone, old != 0 { return false }
            if ifSome, old == 0 { return false }
            if ifGreater, old == 0 || new <= old { return false }
            return !(ifLess && old != 0 && new >= old)
        }
    }

    /// EXPIRE and its relatives: a span from now or a time since 1970, in units of some
    /// milliseconds.
    func expire(
        _ request: Request, unit: Int, isSpan: Bool, _ name: String, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) throws {
        let condition = try ExpiryCondition(request)
        let amount = try request.integer(2)
        let (scaled, isTooLarge) = amount.multipliedReportingOverflow(by: unit)
        let (time, overflows) = scaled.addingReportingOverflow(isSpan ? now : 0)
        guard !isTooLarge, !overflows else { throw Refusal.expiry(name) }
        guard let item = find(request[1], tx), condition.allows(tx.edit(item).expiry, time) else {
            return reply.integer(0)
        }
        if time <= now { remove(request[1], tx) } else { try setExpiry(request[1], item, time, tx) }
        reply.integer(1)
    }

    func timeToLive(
        _ request: Request, unit: Int, _ tx: borrowing Transaction, _ reply: inout Reply
    ) {
        guard let item = find(request[1], tx) else { return reply.integer(-2) }
        let expiry = tx.edit(item).expiry
        reply.integer(expiry == 0 ? -1 : (expiry - now + unit / 2) / unit)
    }

    func persist(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        guard let item = find(request[1], tx), tx.edit(item).expiry != 0 else {
            return reply.integer(0)
        }
        clearExpiry(request[1], item, tx)
        reply.integer(1)
    }

    // MARK: Ranges

    /// Redis' closed range, with negative numbers counted from the end, as a half-open one.
    static func range(_ first: Int, _ last: Int, count: Int) -> Range<Int> {
        let from = first < 0 ? max(0, count &+ first) : first
        let to = min(last < 0 ? count &+ last : last, count - 1)
        return from > to ? 0..<0 : from..<(to + 1)
    }
}
