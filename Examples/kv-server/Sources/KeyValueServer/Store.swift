import Glibc
import NIOCore
import PersistentHeap

/// The commands, on the heap. Used by the one event loop only.
///
/// All commands that arrived together run in one transaction, and are answered after it is durable: a group commit.
final class Store {
    let heap: PersistentHeap
    let root: PRef<Database>

    init(path: String, domain: PersistenceDomain) throws {
        heap = try PersistentHeap(path: path, domain: domain)
        root = try heap.root(named: "database", as: Database.self) { Database(items: PDictionary()) }
    }

    /// Runs commands; the replies may be sent when this returns.
    func run(_ commands: [Command], into replies: inout ByteBuffer) throws {
        if commands.allSatisfy({ Self.readsOnly($0.name) }) {
            for command in commands { replies.write(read(command) ?? .error("ERR internal")) }
            return
        }
        let before = replies.writerIndex
        do {
            try heap.transaction { tx in
                for command in commands { replies.write(try execute(command, tx)) }
            }
        } catch {
            replies.moveWriterIndex(to: before)
            for _ in commands { replies.write(.error("ERR \(error)")) }
        }
    }

    static func readsOnly(_ name: String) -> Bool { ["GET", "PING", "COMMAND", "CONFIG", "DBSIZE"].contains(name) }

    var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    // MARK: Reads without a transaction

    private func read(_ command: Command) -> Reply? {
        switch command.name {
        case "PING": return .pong
        case "COMMAND", "CONFIG": return .array([])
        case "DBSIZE": return .integer(heap[root].items.count)
        case "GET":
            guard command.words.count == 2 else { return .error("ERR wrong number of arguments for 'get'") }
            let found = command.words[1].withUnsafeReadableBytes { heap[root].items.value(forBytes: $0, in: heap) }
            guard let item = found, isAlive(heap[item].expiry) else { return .null }
            guard heap[item].kind == .string else { return Self.wrongKind }
            var answer: Reply = .null
            answer = heap[item].text.withBytes(in: heap) { .text(String(decoding: $0, as: UTF8.self)) }
            return answer
        default: return nil
        }
    }

    static let wrongKind = Reply.error("WRONGTYPE Operation against a key holding the wrong kind of value")

    func isAlive(_ expiry: Int) -> Bool { expiry == 0 || expiry > now }

    // MARK: Items

    /// The live item of a key.
    func find(_ key: ByteBuffer, _ tx: borrowing Transaction) -> PRef<Item>? {
        let found = key.withUnsafeReadableBytes { tx.edit(root).items.value(forBytes: $0) }
        guard let item = found else { return nil }
        if isAlive(tx[item].expiry) { return item }
        remove(key, tx)
        return nil
    }

    /// The item of a key, of the wanted kind, made if there is none; nil if it has another kind.
    func findOrMake(_ key: ByteBuffer, _ kind: Kind, _ tx: borrowing Transaction) throws -> PRef<Item>? {
        if let item = find(key, tx) { return tx[item].kind == kind ? item : nil }
        let item = try tx.new(Item(kind: kind, expiry: 0, text: PString(), list: nil, hash: nil, sortedSet: nil))
        switch kind {
        case .string: break
        case .list: tx.edit(item).list = try tx.new(ListNodeEnds(head: nil, tail: nil, count: 0))
        case .hash: tx.edit(item).hash = try tx.new(Fields(values: PDictionary()))
        case .sortedSet:
            tx.edit(item).sortedSet = try tx.new(SortedSet(scores: PDictionary(), members: PArray()))
        }
        try tx.edit(root).items.updateValue(item, forKey: string(key, tx))
        return item
    }

    /// Unlinks a key. Cells that only it reached go to the collector, but for the item and its text.
    @discardableResult
    func remove(_ key: ByteBuffer, _ tx: borrowing Transaction) -> Bool {
        let removed = key.withUnsafeReadableBytes { tx.edit(root).items.removeValue(forBytes: $0) }
        guard let removed else { return false }
        let item = tx[removed.value]
        tx.free(item.text)
        tx.free(removed.key)
        tx.free(removed.value)
        return true
    }

    func string(_ bytes: ByteBuffer, _ tx: borrowing Transaction) throws -> PString {
        try bytes.withUnsafeReadableBytes { try tx.string(bytes: $0) }
    }

    func set(_ item: PRef<Item>, to bytes: ByteBuffer, _ tx: borrowing Transaction) throws {
        tx.free(tx[item].text)
        tx.edit(item).text = try string(bytes, tx)
    }
}
