import Glibc
import NIOCore
import PersistentHeap

/// The commands, on the heap. Used by the one event loop only, inside a group commit.
///
/// Each handler decides first (a `Refusal` may be thrown) and stores then.
final class Store {
    let heap: PersistentHeap
    let root: PRef<Database>
    let commands = CommandTable()
    let started: Int
    var commandsRun = 0
    /// Milliseconds since 1970, read once a commit: all commands of a commit happen at the same
    /// time.
    private(set) var now = 0
    /// Set by FLUSHALL: much is unreachable at once.
    var wantsCollection = false
    /// Whether there is something to do without being asked (`GroupCommit.tick`).
    var wantsTick: Bool { wantsCollection || heap[root].expiries != nil }

    init(path: String, domain: PersistenceDomain) throws {
        var options = HeapOptions()
        // One transaction at a time, with the commands of a whole turn: one log, and a long one.
        options.laneCount = 2
        options.laneBytes = 4 << 20
        heap = try PersistentHeap(path: path, domain: domain, options: options)
        root = try heap.root(named: "database", as: Database.self) {
            Database(items: PDictionary(), expiries: nil)
        }
        started = Self.clock()
        readClock()
    }

    func readClock() { now = Self.clock() }

    private static func clock() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Runs one command and writes its reply; returns whether the connection goes on. Throws only
    /// what fails the whole transaction.
    func run(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws -> Bool {
        commandsRun &+= 1
        guard let name = request.name, let spec = commands[name] else {
            reply.error(Self.unknown(request))
            return true
        }
        guard spec.accepts(request.count) else {
            reply.error(Refusal.arity(spec.name).message)
            return true
        }
        do {
            try spec.run(self, request, tx, &reply)
            return !spec.endsConnection
        } catch let refusal as Refusal {
            reply.error(refusal.message)
            return true
        }
    }

    /// Names the command and the first of its words, shortened as redis does.
    private static func unknown(_ request: Request) -> [UInt8] {
        var shown: [UInt8] = []
        for index in 1..<max(1, request.count) where shown.count < 128 {
            shown +=
                Array("'".utf8) + request[index].prefix(128 - shown.count).prefix { $0 != 0 }
                + Array("' ".utf8)
        }
        let name = request[0].prefix(128).prefix { $0 != 0 }
        return Array("ERR unknown command '".utf8) + name
            + Array("', with args beginning with: ".utf8) + shown
    }

    // MARK: Items

    /// The live item of a key; an expired one is removed.
    func find(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) -> PRef<Item>? {
        guard let item = tx.edit(root).items.value(forBytes: key) else { return nil }
        let expiry = tx.edit(item).expiry
        if expiry == 0 || expiry > now { return item }
        remove(key, tx)
        return nil
    }

    /// The live item of a key, which must be of a kind.
    func find(_ key: UnsafeRawBufferPointer, _ kind: Kind, _ tx: borrowing Transaction) throws
        -> PRef<Item>?
    {
        guard let item = find(key, tx) else { return nil }
        guard tx.edit(item).kind == kind else { throw Refusal.wrongType }
        return item
    }

    /// The item of a key, of a kind, made if there is none.
    func findOrMake(_ key: UnsafeRawBufferPointer, _ kind: Kind, _ tx: borrowing Transaction) throws
        -> PRef<Item>
    {
        if let item = try find(key, kind, tx) { return item }
        return try make(key, kind, tx)
    }

    /// A new item for a key that has none.
    func make(_ key: UnsafeRawBufferPointer, _ kind: Kind, _ tx: borrowing Transaction) throws
        -> PRef<Item>
    {
        let item = try tx.new(
            Item(
                kind: kind, expiry: 0, text: PString(),
                list: kind == .list ? try tx.new(List(head: nil, tail: nil, count: 0)) : nil,
                hash: kind == .hash ? try tx.new(Fields(values: PDictionary())) : nil,
                set: kind == .set
                    ? try tx.new(MemberSet(places: PDictionary(), members: PArray())) : nil,
                sortedSet: kind == .sortedSet
                    ? try tx.new(SortedSet(nodes: PDictionary(), top: nil)) : nil))
        try tx.edit(root).items.updateValue(item, forBytes: key, in: tx)
        return item
    }

    /// Unlinks a key and gives back all that only it reached.
    @discardableResult
    func remove(_ key: UnsafeRawBufferPointer, _ tx: borrowing Transaction) -> Bool {
        guard let item = tx.edit(root).items.value(forBytes: key) else { return false }
        clearExpiry(key, item, tx)
        guard let removed = tx.edit(root).items.removeValue(forBytes: key) else { return false }
        freeContents(item, tx)
        tx.free(removed.key)
        tx.free(item)
        return true
    }

    private func freeContents(_ item: PRef<Item>, _ tx: borrowing Transaction) {
        let edit = tx.edit(item)
        tx.free(edit.text)
        if let list = edit.list { freeList(list, tx) }
        if let fields = edit.hash { freeFields(fields, tx) }
        if let set = edit.set { freeSet(set, tx) }
        if let set = edit.sortedSet { freeSortedSet(set, tx) }
    }

    func setText(_ item: PRef<Item>, _ bytes: UnsafeRawBufferPointer, _ tx: borrowing Transaction)
        throws
    {
        let new = try tx.string(bytes: bytes)
        let edit = tx.edit(item)
        tx.free(edit.text)
        edit.text = new
    }

    func setText(_ item: PRef<Item>, _ number: Int, _ tx: borrowing Transaction) throws {
        try withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { buffer in
            let count = putDecimal(number, in: buffer, at: 0)
            try setText(item, UnsafeRawBufferPointer(rebasing: buffer[..<count]), tx)
        }
    }

    // MARK: Expiry

    /// Sets when a key ends, in milliseconds since 1970; 0 for never.
    func setExpiry(
        _ key: UnsafeRawBufferPointer, _ item: PRef<Item>, _ time: Int, _ tx: borrowing Transaction
    ) throws {
        clearExpiry(key, item, tx)
        guard time != 0 else { return }
        let node = try tx.new(
            RankedNode(
                score: Double(time), name: tx.string(bytes: key), left: nil, right: nil,
                priority: .random(in: 0 ... .max),
                count: 1))
        tx.edit(root).expiries = RankedTree.inserting(node, into: tx.edit(root).expiries, tx)
        tx.edit(item).expiry = time
    }

    func clearExpiry(_ key: UnsafeRawBufferPointer, _ item: PRef<Item>, _ tx: borrowing Transaction)
    {
        let expiry = tx.edit(item).expiry
        guard expiry != 0, let top = tx.edit(root).expiries else { return }
        tx.edit(item).expiry = 0
        guard let node = RankedTree.find(Double(expiry), key, in: top, tx) else { return }
        tx.edit(root).expiries = RankedTree.removing(node, from: top, tx)
        tx.free(tx.edit(node).name)
        tx.free(node)
    }

    /// Removes keys whose time has come, a bounded number of them.
    func removeExpired() throws {
        readClock()
        guard let top = heap[root].expiries, let first = leftmost(top),
            heap[first].score <= Double(now)
        else { return }
        try heap.transaction { tx in
            var names: [[UInt8]] = []
            let due = RankedTree.count(
                below: Double(now), orEqual: true, in: tx.edit(root).expiries, tx)
            RankedTree.forEach(0..<min(due, 200), in: tx.edit(root).expiries, tx) { node in
                tx.edit(node).name.withBytes(in: tx) { names.append(Array($0)) }
            }
            for name in names { name.withUnsafeBytes { _ = remove($0, tx) } }
        }
    }

    private func leftmost(_ top: PRef<RankedNode>) -> PRef<RankedNode>? {
        var at = top
        while let left = heap[at].left { at = left }
        return at
    }
}
