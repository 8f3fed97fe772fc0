import PersistentHeap

/// Hashes: a dictionary of strings in the heap.
extension Store {
    private func fields(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws -> PRef<
        Fields
    >? {
        try find(key, .hash, tx).flatMap { tx.edit($0).hash }
    }

    private func fieldsOrNew(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws
        -> PRef<Fields>
    {
        guard let fields = tx.edit(try findOrMake(key, .hash, tx)).hash else {
            throw Refusal.wrongType
        }
        return fields
    }

    func hashSet(
        _ request: Request, _ name: String, _ tx: borrowing Transaction, _ reply: inout Reply
    ) throws {
        guard request.count % 2 == 0 else { throw Refusal.arity(name) }
        let values = tx.edit(try fieldsOrNew(request[1], tx)).values
        var added = 0
        for index in stride(from: 2, to: request.count, by: 2) {
            let value = try tx.string(bytes: request[index + 1])
            if let old = try values.updateValue(value, forBytes: request[index], in: tx) {
                tx.free(old)
            } else {
                added += 1
            }
        }
        if name == "hmset" { reply.ok() } else { reply.integer(added) }
    }

    func hashSetIfAbsent(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply)
        throws
    {
        let found = try fields(request[1], tx)
        if let found, tx.edit(found).values.value(forBytes: request[2]) != nil {
            return reply.integer(0)
        }
        let values = tx.edit(try fieldsOrNew(request[1], tx)).values
        try values.updateValue(tx.string(bytes: request[3]), forBytes: request[2], in: tx)
        reply.integer(1)
    }

    func hashGet(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let found = try fields(request[1], tx)
        answer(found, request[2], tx, &reply)
    }

    private func answer(
        _ fields: PRef<Fields>?, _ name: UnsafeRawBufferPointer, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) {
        guard let fields, let value = tx.edit(fields).values.value(forBytes: name) else {
            return reply.null()
        }
        reply.bulk(value, tx)
    }

    func hashGetMany(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let found = try fields(request[1], tx)
        reply.array(request.count - 2)
        for index in 2..<request.count { answer(found, request[index], tx, &reply) }
    }

    func hashDelete(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let found = try fields(request[1], tx) else { return reply.integer(0) }
        var removed = 0
        for index in 2..<request.count {
            guard let old = tx.edit(found).values.removeValue(forBytes: request[index]) else {
                continue
            }
            tx.free(old.key)
            tx.free(old.value)
            removed += 1
        }
        if tx.edit(found).values.count == 0 { remove(request[1], tx) }
        reply.integer(removed)
    }

    func hashLength(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        reply.integer(try fields(request[1], tx).map { tx.edit($0).values.count } ?? 0)
    }

    func hashExists(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let value = try fields(request[1], tx).flatMap {
            tx.edit($0).values.value(forBytes: request[2])
        }
        reply.integer(value == nil ? 0 : 1)
    }

    func hashAll(
        _ request: Request, names: Bool, values: Bool, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) throws {
        guard let found = try fields(request[1], tx) else { return reply.array(0) }
        let dictionary = tx[found].values
        reply.array(dictionary.count * (names && values ? 2 : 1))
        dictionary.forEach(in: tx) { name, value in
            if names { reply.bulk(name, tx) }
            if values { reply.bulk(value, tx) }
        }
    }

    func hashIncrement(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws
    {
        let amount = try request.integer(3)
        let found = try fields(request[1], tx)
        let old =
            found.flatMap { tx.edit($0).values.value(forBytes: request[2]) }
            .map { text in text.withBytes(in: tx) { parseInteger($0) } } ?? 0
        guard let old else { throw Refusal("ERR hash value is not an integer") }
        let (new, overflows) = old.addingReportingOverflow(amount)
        guard !overflows else { throw Refusal.overflow }
        let values = tx.edit(try fieldsOrNew(request[1], tx)).values
        if let replaced = try values.updateValue(
            tx.string(String(new)), forBytes: request[2], in: tx)
        {
            tx.free(replaced)
        }
        reply.integer(new)
    }

    func freeFields(_ fields: PRef<Fields>, _ tx: borrowing Transaction) {
        tx[fields].values.forEach(in: tx) { name, value in
            tx.free(name)
            tx.free(value)
        }
        tx.edit(fields).values.removeAll()
        tx.free(fields)
    }
}
