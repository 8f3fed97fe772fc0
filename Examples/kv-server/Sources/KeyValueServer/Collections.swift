import NIOCore
import PersistentHeap

/// Hashes and sorted sets.
extension Store {
    private func fields(_ key: ByteBuffer, _ tx: borrowing Transaction) -> (found: PRef<Fields>?, isWrong: Bool) {
        guard let item = find(key, tx) else { return (nil, false) }
        return (tx[item].hash, tx[item].kind != .hash)
    }

    func hashSet(_ words: [ByteBuffer], _ tx: borrowing Transaction) throws -> Reply {
        guard words.count % 2 == 0 else { return .error("ERR wrong number of arguments for 'hset'") }
        guard let item = try findOrMake(words[1], .hash, tx), let fields = tx[item].hash else { return Self.wrongKind }
        var added = 0
        for index in stride(from: 2, to: words.count, by: 2) {
            let value = try string(words[index + 1], tx)
            let old = try tx.edit(fields).values.updateValue(value, forKey: string(words[index], tx))
            if let old { tx.free(old) } else { added += 1 }
        }
        return .integer(added)
    }

    func hashGet(_ words: [ByteBuffer], _ tx: borrowing Transaction) -> Reply {
        let (found, isWrong) = fields(words[1], tx)
        if isWrong { return Self.wrongKind }
        guard let found else { return .null }
        let value = words[2].withUnsafeReadableBytes { tx.edit(found).values.value(forBytes: $0) }
        return value.map { .text($0.string(in: tx)) } ?? .null
    }

    func hashDelete(_ words: [ByteBuffer], _ tx: borrowing Transaction) -> Reply {
        let (found, isWrong) = fields(words[1], tx)
        if isWrong { return Self.wrongKind }
        guard let found else { return .integer(0) }
        var removed = 0
        for word in words.dropFirst(2) {
            guard let old = word.withUnsafeReadableBytes({ tx.edit(found).values.removeValue(forBytes: $0) }) else {
                continue
            }
            tx.free(old.key)
            tx.free(old.value)
            removed += 1
        }
        if tx[found].values.count == 0 { remove(words[1], tx) }
        return .integer(removed)
    }

    func hashLength(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        let (found, isWrong) = fields(key, tx)
        return isWrong ? Self.wrongKind : .integer(found.map { tx[$0].values.count } ?? 0)
    }

    func hashAll(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        let (found, isWrong) = fields(key, tx)
        if isWrong { return Self.wrongKind }
        guard let found else { return .array([]) }
        var pairs: [(PString, PString)] = []
        tx[found].values.forEach(in: tx) { pairs.append(($0, $1)) }
        var texts: [String] = []
        for (name, value) in pairs { texts += [name.string(in: tx), value.string(in: tx)] }
        return .array(texts)
    }

    // MARK: Sorted sets

    private func sortedSet(_ key: ByteBuffer, _ tx: borrowing Transaction) -> (PRef<SortedSet>?, isWrong: Bool) {
        guard let item = find(key, tx) else { return (nil, false) }
        return (tx[item].sortedSet, tx[item].kind != .sortedSet)
    }

    func sortedSetAdd(_ words: [ByteBuffer], _ tx: borrowing Transaction) throws -> Reply {
        guard words.count % 2 == 0 else { return .error("ERR syntax error") }
        guard let item = try findOrMake(words[1], .sortedSet, tx), let set = tx[item].sortedSet else {
            return Self.wrongKind
        }
        var added = 0
        for index in stride(from: 2, to: words.count, by: 2) {
            guard let score = Double(String(buffer: words[index])), !score.isNaN else {
                return .error("ERR value is not a valid float")
            }
            let name = String(buffer: words[index + 1])
            let old = words[index + 1].withUnsafeReadableBytes { tx.edit(set).scores.value(forBytes: $0) }
            var key: PString
            if let old {
                let at = position(set, old, name, tx)
                key = tx.edit(set).members.remove(at: at).name
            } else {
                key = try string(words[index + 1], tx)
                added += 1
            }
            try tx.edit(set).members.insert(Member(score: score, name: key), at: position(set, score, name, tx))
            try tx.edit(set).scores.updateValue(score, forKey: key)
        }
        return .integer(added)
    }

    /// The first place whose member is not before (score, name): by score, then by bytes.
    private func position(_ set: PRef<SortedSet>, _ score: Double, _ name: String, _ tx: borrowing Transaction) -> Int {
        let members = tx[set].members
        var (low, high) = (0, members.count)
        while low < high {
            let middle = (low + high) / 2
            let member = members.element(at: middle, in: tx)
            let isBefore = member.score != score ? member.score < score
                : member.name.string(in: tx).utf8.lexicographicallyPrecedes(name.utf8)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func sortedSetScore(_ words: [ByteBuffer], _ tx: borrowing Transaction) -> Reply {
        let (set, isWrong) = sortedSet(words[1], tx)
        if isWrong { return Self.wrongKind }
        guard let set else { return .null }
        let score = words[2].withUnsafeReadableBytes { tx.edit(set).scores.value(forBytes: $0) }
        return score.map { .text(Self.text($0)) } ?? .null
    }

    func sortedSetCount(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Reply {
        let (set, isWrong) = sortedSet(key, tx)
        return isWrong ? Self.wrongKind : .integer(set.map { tx[$0].members.count } ?? 0)
    }

    /// ZRANGE key first last [WITHSCORES]
    func sortedSetRange(_ words: [ByteBuffer], _ tx: borrowing Transaction) -> Reply {
        let (set, isWrong) = sortedSet(words[1], tx)
        if isWrong { return Self.wrongKind }
        guard let set else { return .array([]) }
        let members = tx[set].members
        guard let range = range(words[2], words[3], count: members.count) else {
            return .error("ERR value is not an integer or out of range")
        }
        let withScores = words.count > 4 && String(buffer: words[4]).uppercased() == "WITHSCORES"
        var texts: [String] = []
        for index in range {
            let member = members.element(at: index, in: tx)
            texts.append(member.name.string(in: tx))
            if withScores { texts.append(Self.text(member.score)) }
        }
        return .array(texts)
    }

    /// A score as redis prints it: whole numbers without a fraction.
    static func text(_ score: Double) -> String {
        score == score.rounded() && abs(score) < 1e15 ? String(Int(score)) : String(score)
    }
}
