import PersistentHeap

/// Strings and counters.
extension Store {
    func get(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let item = try find(request[1], .string, tx) else { return reply.null() }
        reply.bulk(tx.edit(item).text, tx)
    }

    private struct SetOptions {
        var expiry = 0
        var keepsExpiry = false
        var ifAbsent = false
        var ifPresent = false
        var answersOld = false

        /// SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
        init(_ request: Request, now: Int) throws {
            var unit: (amount: Int, milliseconds: Int, isSpan: Bool)?
            var index = 3
            while index < request.count {
                if request.isOption(index, "NX"), !ifPresent {
                    ifAbsent = true
                } else if request.isOption(index, "XX"), !ifAbsent {
                    ifPresent = true
                } else if request.isOption(index, "GET") {
                    answersOld = true
                } else if request.isOption(index, "KEEPTTL"), unit == nil {
                    keepsExpiry = true
                } else if let (milliseconds, isSpan) = Self.unit(request, index), unit == nil,
                    !keepsExpiry,
                    index + 1 < request.count
                {
                    unit = (index + 1, milliseconds, isSpan)
                    index += 1
                } else {
                    throw Refusal.syntax
                }
                index += 1
            }
            if let (amount, milliseconds, isSpan) = unit {
                let value = try request.integer(amount)
                expiry = try Store.expiry(value, milliseconds, isSpan ? now : 0, "set")
            }
        }

        private static func unit(_ request: Request, _ index: Int) -> (Int, Bool)? {
            if request.isOption(index, "EX") { return (1000, true) }
            if request.isOption(index, "PX") { return (1, true) }
            if request.isOption(index, "EXAT") { return (1000, false) }
            return request.isOption(index, "PXAT") ? (1, false) : nil
        }
    }

    fileprivate static func expiry(_ amount: Int, _ unit: Int, _ now: Int, _ name: String) throws
        -> Int
    {
        let (scaled, isTooLarge) = amount.multipliedReportingOverflow(by: unit)
        let (time, overflows) = scaled.addingReportingOverflow(now)
        guard amount > 0, !isTooLarge, !overflows else { throw Refusal.expiry(name) }
        return time
    }

    func set(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        if request.count == 3 {
            try assign(request[1], request[2], tx)
            return reply.ok()
        }
        let options = try SetOptions(request, now: now)
        let old = find(request[1], tx)
        if options.answersOld {
            if let old, tx.edit(old).kind != .string { throw Refusal.wrongType }
            if let old { reply.bulk(tx.edit(old).text, tx) } else { reply.null() }
        }
        if options.ifAbsent && old != nil || options.ifPresent && old == nil {
            if !options.answersOld { reply.null() }
            return
        }
        try assign(
            request[1], request[2], expiry: options.expiry, keepsExpiry: options.keepsExpiry, tx)
        if !options.answersOld { reply.ok() }
    }

    /// Makes a key this string, whatever it was.
    private func assign(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, expiry: Int = 0,
        keepsExpiry: Bool = false, _ tx: borrowing Transaction
    ) throws {
        let old = find(key, tx)
        if let old, tx.edit(old).kind != .string {
            let kept = keepsExpiry ? tx.edit(old).expiry : expiry
            remove(key, tx)
            return try assign(key, value, expiry: kept, tx)
        }
        let item = try old ?? make(key, .string, tx)
        try setText(item, value, tx)
        if !keepsExpiry, tx.edit(item).expiry != expiry { try setExpiry(key, item, expiry, tx) }
        // A time in the past: the key is gone at once.
        if expiry != 0, expiry <= now { remove(key, tx) }
    }

    func setIfAbsent(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let isAbsent = find(request[1], tx) == nil
        if isAbsent { try assign(request[1], request[2], tx) }
        reply.integer(isAbsent ? 1 : 0)
    }

    func setExpiring(
        _ request: Request, unit: Int, _ name: String, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) throws {
        let time = try Self.expiry(request.integer(2), unit, now, name)
        try assign(request[1], request[3], expiry: time, tx)
        reply.ok()
    }

    func getAndSet(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        try get(request, tx, &reply)
        try assign(request[1], request[2], tx)
    }

    func getAndDelete(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws
    {
        try get(request, tx, &reply)
        remove(request[1], tx)
    }

    func getMany(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) {
        reply.array(request.count - 1)
        for index in 1..<request.count {
            if let item = find(request[index], tx), tx.edit(item).kind == .string {
                reply.bulk(tx.edit(item).text, tx)
            } else {
                reply.null()
            }
        }
    }

    func setMany(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard request.count % 2 == 1 else { throw Refusal.arity("mset") }
        for index in stride(from: 1, to: request.count, by: 2) {
            try assign(request[index], request[index + 1], tx)
        }
        reply.ok()
    }

    func append(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let item = try findOrMake(request[1], .string, tx)
        let joined = tx.edit(item).text.withBytes(in: tx) { Array($0) } + Array(request[2])
        try joined.withUnsafeBytes { try setText(item, $0, tx) }
        reply.integer(joined.count)
    }

    func stringLength(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws
    {
        let item = try find(request[1], .string, tx)
        reply.integer(item.map { tx.edit($0).text.count } ?? 0)
    }

    func increment(
        _ request: Request, by amount: Int, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        let found = try find(request[1], .string, tx)
        let old = found.map { tx.edit($0).text.withBytes(in: tx) { parseInteger($0) } } ?? 0
        guard let old else { throw Refusal.notAnInteger }
        let (new, overflows) = old.addingReportingOverflow(amount)
        guard !overflows else { throw Refusal.overflow }
        let item = try found ?? findOrMake(request[1], .string, tx)
        try setText(item, new, tx)
        reply.integer(new)
    }

    func decrement(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let amount = try request.integer(2)
        guard amount != .min else { throw Refusal("ERR decrement would overflow") }
        try increment(request, by: -amount, tx, &reply)
    }
}
