import NIOCore
import PersistentHeap

extension Store {
    /// Runs one command that may store.
    func execute(_ command: Command, _ tx: borrowing Transaction) throws -> Reply {
        let words = command.words
        func has(_ count: Int) -> Bool { words.count >= count }
        let tooFew = Reply.error("ERR wrong number of arguments for '\(command.name.lowercased())'")
        switch command.name {
        case "PING": return .pong
        case "COMMAND", "CONFIG": return .array([])
        case "DBSIZE": return .integer(tx[root].items.count)
        case "GET": return has(2) ? get(words[1], tx) : tooFew
        case "SET": return has(3) ? try set(words, tx) : tooFew
        case "DEL": return has(2) ? .integer(words.dropFirst().count { remove($0, tx) }) : tooFew
        case "EXISTS": return has(2) ? .integer(words.dropFirst().count { find($0, tx) != nil }) : tooFew
        case "INCR": return has(2) ? try increment(words[1], by: 1, tx) : tooFew
        case "DECR": return has(2) ? try increment(words[1], by: -1, tx) : tooFew
        case "INCRBY": return has(3) ? try increment(words[1], by: Int(String(buffer: words[2])), tx) : tooFew
        case "EXPIRE": return has(3) ? expire(words, milliseconds: 1000, tx) : tooFew
        case "PEXPIRE": return has(3) ? expire(words, milliseconds: 1, tx) : tooFew
        case "TTL": return has(2) ? timeToLive(words[1], tx) : tooFew
        case "LPUSH", "RPUSH": return has(3) ? try push(words, atHead: command.name == "LPUSH", tx) : tooFew
        case "LPOP", "RPOP": return has(2) ? pop(words[1], fromHead: command.name == "LPOP", tx) : tooFew
        case "LLEN": return has(2) ? listLength(words[1], tx) : tooFew
        case "LRANGE": return has(4) ? listRange(words, tx) : tooFew
        case "HSET": return has(4) ? try hashSet(words, tx) : tooFew
        case "HGET": return has(3) ? hashGet(words, tx) : tooFew
        case "HDEL": return has(3) ? hashDelete(words, tx) : tooFew
        case "HLEN": return has(2) ? hashLength(words[1], tx) : tooFew
        case "HGETALL": return has(2) ? hashAll(words[1], tx) : tooFew
        case "ZADD": return has(4) ? try sortedSetAdd(words, tx) : tooFew
        case "ZSCORE": return has(3) ? sortedSetScore(words, tx) : tooFew
        case "ZCARD": return has(2) ? sortedSetCount(words[1], tx) : tooFew
        case "ZRANGE": return has(4) ? sortedSetRange(words, tx) : tooFew
        case "FLUSHALL", "FLUSHDB":
            tx.edit(root).items.removeAll()
            return .ok
        default: return .error("ERR unknown command '\(command.name)'")
        }
    }

    // MARK: Strings

    private func get(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        guard let item = find(key, tx) else { return .null }
        return tx[item].kind == .string ? .text(tx[item].text.string(in: tx)) : Self.wrongKind
    }

    /// SET key value [EX seconds | PX milliseconds] [NX | XX]
    private func set(_ words: [ByteBuffer], _ tx: borrowing Transaction) throws -> Reply {
        var expiry = 0
        var index = 3
        while index < words.count {
            let option = String(buffer: words[index]).uppercased()
            switch option {
            case "NX" where find(words[1], tx) != nil, "XX" where find(words[1], tx) == nil: return .null
            case "NX", "XX": break
            case "EX", "PX":
                guard index + 1 < words.count, let time = Int(String(buffer: words[index + 1])), time > 0 else {
                    return .error("ERR invalid expire time in 'set' command")
                }
                expiry = now + time * (option == "EX" ? 1000 : 1)
                index += 1
            default: return .error("ERR syntax error")
            }
            index += 1
        }
        if let item = find(words[1], tx), tx[item].kind != .string { remove(words[1], tx) }
        guard let item = try findOrMake(words[1], .string, tx) else { return Self.wrongKind }
        try set(item, to: words[2], tx)
        if tx[item].expiry != expiry { tx.edit(item).expiry = expiry }
        return .ok
    }

    private func increment(_ key: ByteBuffer, by amount: Int?, _ tx: borrowing Transaction) throws -> Reply {
        let notANumber = Reply.error("ERR value is not an integer or out of range")
        guard let amount else { return notANumber }
        guard let item = try findOrMake(key, .string, tx) else { return Self.wrongKind }
        let text = tx[item].text.string(in: tx)
        guard let old = text.isEmpty ? 0 : Int(text) else { return notANumber }
        let (new, overflows) = old.addingReportingOverflow(amount)
        if overflows { return notANumber }
        try set(item, to: ByteBuffer(string: String(new)), tx)
        return .integer(new)
    }

    private func expire(_ words: [ByteBuffer], milliseconds: Int, _ tx: borrowing Transaction) -> Reply {
        guard let time = Int(String(buffer: words[2])) else {
            return .error("ERR value is not an integer or out of range")
        }
        guard let item = find(words[1], tx) else { return .integer(0) }
        tx.edit(item).expiry = max(1, now + time * milliseconds)
        return .integer(1)
    }

    private func timeToLive(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        guard let item = find(key, tx) else { return .integer(-2) }
        let expiry = tx[item].expiry
        return .integer(expiry == 0 ? -1 : (expiry - now + 999) / 1000)
    }

    // MARK: Lists

    private func push(_ words: [ByteBuffer], atHead: Bool, _ tx: borrowing Transaction) throws -> Reply {
        guard let item = try findOrMake(words[1], .list, tx), let ends = tx[item].list else { return Self.wrongKind }
        for word in words.dropFirst(2) {
            let edit = tx.edit(ends)
            let (head, tail) = (edit.head, edit.tail)
            let node = try tx.new(
                ListNode(text: string(word, tx), previous: atHead ? nil : tail, next: atHead ? head : nil))
            if atHead {
                if let head { tx.edit(head).previous = node } else { edit.tail = node }
                edit.head = node
            } else {
                if let tail { tx.edit(tail).next = node } else { edit.head = node }
                edit.tail = node
            }
            edit.count += 1
        }
        return .integer(tx[ends].count)
    }

    private func pop(_ key: ByteBuffer, fromHead: Bool, _ tx: borrowing Transaction) -> Reply {
        guard let item = find(key, tx) else { return .null }
        guard let ends = tx[item].list else { return Self.wrongKind }
        let edit = tx.edit(ends)
        guard let node = fromHead ? edit.head : edit.tail else { return .null }
        let value = tx[node]
        if let next = value.next { tx.edit(next).previous = value.previous } else { edit.tail = value.previous }
        if let previous = value.previous { tx.edit(previous).next = value.next } else { edit.head = value.next }
        edit.count -= 1
        let text = value.text.string(in: tx)
        tx.free(value.text)
        tx.free(node)
        if edit.count == 0 { remove(key, tx) }
        return .text(text)
    }

    private func listLength(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        guard let item = find(key, tx) else { return .integer(0) }
        return tx[item].list.map { .integer(tx[$0].count) } ?? Self.wrongKind
    }

    private func listRange(_ words: [ByteBuffer], _ tx: borrowing Transaction) -> Reply {
        guard let item = find(words[1], tx) else { return .array([]) }
        guard let ends = tx[item].list else { return Self.wrongKind }
        guard let range = range(words[2], words[3], count: tx[ends].count) else {
            return .error("ERR value is not an integer or out of range")
        }
        var found: [String] = []
        var at = tx[ends].head
        var index = 0
        while let node = at, index < range.upperBound {
            if range.contains(index) { found.append(tx[node].text.string(in: tx)) }
            at = tx[node].next
            index += 1
        }
        return .array(found)
    }

    /// Redis' closed range with negative numbers counted from the end, as a half-open one.
    func range(_ first: ByteBuffer, _ last: ByteBuffer, count: Int) -> Range<Int>? {
        guard var from = Int(String(buffer: first)), var to = Int(String(buffer: last)) else { return nil }
        if from < 0 { from = max(0, count + from) }
        if to < 0 { to += count }
        to = min(to, count - 1)
        return from > to ? 0..<0 : from..<(to + 1)
    }
}
