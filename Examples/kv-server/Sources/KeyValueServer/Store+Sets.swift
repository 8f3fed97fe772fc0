import PersistentHeap

/// Sets.
extension Store {
    private func members(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws -> PRef<
        MemberSet
    >? {
        try find(key, .set, tx).flatMap { tx.edit($0).set }
    }

    func setAdd(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let set = tx.edit(try findOrMake(request[1], .set, tx)).set else {
            throw Refusal.wrongType
        }
        let edit = tx.edit(set)
        var added = 0
        for index in 2..<request.count where edit.places.value(forBytes: request[index]) == nil {
            let member = try tx.string(bytes: request[index])
            try edit.places.updateValue(edit.members.count, forKey: member)
            try edit.members.append(member)
            added += 1
        }
        reply.integer(added)
    }

    func setRemove(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let set = try members(request[1], tx) else { return reply.integer(0) }
        var removed = 0
        for index in 2..<request.count {
            guard let place = tx.edit(set).places.value(forBytes: request[index]) else { continue }
            tx.free(try take(place, from: set, tx))
            removed += 1
        }
        if tx.edit(set).members.count == 0 { remove(request[1], tx) }
        reply.integer(removed)
    }

    /// Takes a member out; the last one moves to its place.
    private func take(_ place: Int, from set: PRef<MemberSet>, _ tx: borrowing Transaction) throws
        -> PString
    {
        let edit = tx.edit(set)
        let member = edit.members[place]
        let last = edit.members.removeLast()
        if place < edit.members.count {
            edit.members[place] = last
            try edit.places.updateValue(place, forKey: last)
        }
        edit.places.removeValue(forKey: member)
        return member
    }

    func setContains(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let place = try members(request[1], tx).flatMap {
            tx.edit($0).places.value(forBytes: request[2])
        }
        reply.integer(place == nil ? 0 : 1)
    }

    func setCount(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        reply.integer(try members(request[1], tx).map { tx.edit($0).members.count } ?? 0)
    }

    func setMembers(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let set = try members(request[1], tx) else { return reply.array(0) }
        let array = tx.edit(set).members.value
        reply.array(array.count)
        for index in 0..<array.count { reply.bulk(array.element(at: index, in: tx), tx) }
    }

    /// SPOP key [count]
    func setPop(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard request.count <= 3 else { throw Refusal.syntax }
        let wanted = request.count == 3 ? try request.count(2) : nil
        guard let set = try members(request[1], tx) else {
            return wanted == nil ? reply.null() : reply.array(0)
        }
        let taken = min(wanted ?? 1, tx.edit(set).members.count)
        if wanted != nil { reply.array(taken) }
        for _ in 0..<taken {
            let member = try take(.random(in: 0..<tx.edit(set).members.count), from: set, tx)
            reply.bulk(member, tx)
            tx.free(member)
        }
        if tx.edit(set).members.count == 0 { remove(request[1], tx) }
    }

    func setRandom(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let set = try members(request[1], tx) else { return reply.null() }
        let array = tx.edit(set).members.value
        reply.bulk(array.element(at: .random(in: 0..<array.count), in: tx), tx)
    }

    func freeSet(_ set: PRef<MemberSet>, _ tx: borrowing Transaction) {
        let edit = tx.edit(set)
        let array = edit.members.value
        for index in 0..<array.count { tx.free(array.element(at: index, in: tx)) }
        edit.members.removeAll()
        edit.places.removeAll()
        tx.free(set)
    }
}
