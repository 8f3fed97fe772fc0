import PersistentHeap

/// Lists: doubly linked nodes.
extension Store {
    private func list(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) throws -> PRef<
        List
    >? {
        try find(key, .list, tx).flatMap { tx.edit($0).list }
    }

    func push(
        _ request: Request, atHead: Bool, makes: Bool, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) throws {
        var found = try list(request[1], tx)
        if found == nil, makes { found = tx.edit(try findOrMake(request[1], .list, tx)).list }
        guard let list = found else { return reply.integer(0) }
        let edit = tx.edit(list)
        for index in 2..<request.count {
            let (head, tail) = (edit.head, edit.tail)
            let node = try tx.new(
                ListNode(
                    text: tx.string(bytes: request[index]), previous: atHead ? nil : tail,
                    next: atHead ? head : nil))
            if atHead {
                if let head { tx.edit(head).previous = node } else { edit.tail = node }
                edit.head = node
            } else {
                if let tail { tx.edit(tail).next = node } else { edit.head = node }
                edit.tail = node
            }
        }
        edit.count += request.count - 2
        reply.integer(edit.count)
    }

    /// LPOP key [count]
    func pop(
        _ request: Request, fromHead: Bool, _ name: String, _ tx: borrowing Transaction,
        _ reply: inout Reply
    ) throws {
        guard request.count <= 3 else { throw Refusal.arity(name) }
        let wanted = request.count == 3 ? try request.count(2) : nil
        guard let list = try list(request[1], tx) else {
            return wanted == nil ? reply.null() : reply.nullArray()
        }
        let taken = min(wanted ?? 1, tx.edit(list).count)
        if wanted != nil { reply.array(taken) }
        for _ in 0..<taken { popOne(list, fromHead, tx, &reply) }
        if tx.edit(list).count == 0 { remove(request[1], tx) }
    }

    private func popOne(
        _ list: PRef<List>, _ fromHead: Bool, _ tx: borrowing Transaction, _ reply: inout Reply
    ) {
        let edit = tx.edit(list)
        guard let node = fromHead ? edit.head : edit.tail else { return reply.null() }
        let value = tx[node]
        if let next = value.next {
            tx.edit(next).previous = value.previous
        } else {
            edit.tail = value.previous
        }
        if let previous = value.previous {
            tx.edit(previous).next = value.next
        } else {
            edit.head = value.next
        }
        edit.count -= 1
        reply.bulk(value.text, tx)
        tx.free(value.text)
        tx.free(node)
    }

    func listLength(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        reply.integer(try list(request[1], tx).map { tx.edit($0).count } ?? 0)
    }

    func listRange(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let (first, last) = (try request.integer(2), try request.integer(3))
        guard let list = try list(request[1], tx) else { return reply.array(0) }
        let range = Self.range(first, last, count: tx.edit(list).count)
        reply.array(range.count)
        guard !range.isEmpty else { return }
        var next = node(list, range.lowerBound, tx)
        for _ in range {
            guard let node = next else { return reply.null() }
            let edit = tx.edit(node)
            reply.bulk(edit.text, tx)
            next = edit.next
        }
    }

    /// The node at an index, found from the nearer end.
    private func node(_ list: PRef<List>, _ index: Int, _ tx: borrowing Transaction) -> PRef<
        ListNode
    >? {
        let edit = tx.edit(list)
        let isNearHead = index < edit.count / 2
        var at = isNearHead ? edit.head : edit.tail
        for _ in 0..<(isNearHead ? index : edit.count - 1 - index) {
            at = at.flatMap { isNearHead ? tx.edit($0).next : tx.edit($0).previous }
        }
        return at
    }

    private func node(
        _ list: PRef<List>, checked index: Int, _ tx: borrowing Transaction
    ) -> PRef<ListNode>? {
        let count = tx.edit(list).count
        let place = index < 0 ? count &+ index : index
        return place >= 0 && place < count ? node(list, place, tx) : nil
    }

    func listIndex(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let list = try list(request[1], tx) else { return reply.null() }
        guard let node = node(list, checked: try request.integer(2), tx) else {
            return reply.null()
        }
        reply.bulk(tx.edit(node).text, tx)
    }

    func listSet(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        guard let list = try list(request[1], tx) else { throw Refusal.noSuchKey }
        guard let node = node(list, checked: try request.integer(2), tx) else {
            throw Refusal("ERR index out of range")
        }
        let edit = tx.edit(node)
        tx.free(edit.text)
        edit.text = try tx.string(bytes: request[3])
        reply.ok()
    }

    func freeList(_ list: PRef<List>, _ tx: borrowing Transaction) {
        var next = tx.edit(list).head
        while let node = next {
            let edit = tx.edit(node)
            next = edit.next
            tx.free(edit.text)
            tx.free(node)
        }
        tx.free(list)
    }
}
