import PersistentHeap

@Persistent struct Words { var array: PArray<Int> }

/// 10^6 words; each transaction exchanges two.
func swaps(_ heap: PersistentHeap, _ mode: LogMode, _ count: Int) throws {
    let length = 1_000_000
    let root = try heap.root(named: "words", as: Words.self) { Words(array: PArray()) }
    try heap.transaction(.undo) { tx in
        let array = tx.edit(root).array
        try array.reserve(length)
        for value in 0..<length { try array.append(value) }
    }
    var stream = Stream(42)
    mark()
    let start = nanoseconds()
    for _ in 0..<count {
        let a = stream.below(length)
        let b = stream.below(length)
        try heap.transaction(mode) { tx in tx.edit(root).array.swapAt(a, b) }
    }
    mark()
    report("sps", count, since: start)
    let array = heap[root].array
    expect(
        (0..<length).reduce(0) { $0 + array.element(at: $1, in: heap) } == length * (length - 1)
            / 2, "sum")
}

@Persistent struct Link {
    var value: Int
    var next: PRef<Link>?
}

@Persistent struct List {
    var head: PRef<Link>?
    var tail: PRef<Link>?
}

/// Each append is a transaction; then the second of two walks.
func list(_ heap: PersistentHeap, _ mode: LogMode, _ count: Int) throws {
    let root = try heap.root(named: "list", as: List.self) { List(head: nil, tail: nil) }
    // The heap meets the type here, not in the measured part.
    try append(0, to: root, in: heap, mode)
    mark()
    var start = nanoseconds()
    for value in 1...count { try append(value, to: root, in: heap, mode) }
    mark()
    report("list.append", count, since: start)
    for pass in 0..<2 {
        var sum = 0
        start = nanoseconds()
        var next = heap[root].head
        while let link = next {
            sum &+= heap[link].value
            next = heap[link].next
        }
        if pass == 1 { report("list.walk", count, since: start) }
        expect(sum == count * (count + 1) / 2, "list")
    }
}

@inline(__always)
private func append(
    _ value: Int, to root: PRef<List>, in heap: PersistentHeap, _ mode: LogMode
) throws {
    try heap.transaction(mode) { tx in
        let link = try tx.new(Link(value: value, next: nil))
        let edit = tx.edit(root)
        if let tail = edit.tail {
            tx.announce(tail, root)
            tx.edit(tail).next = link
        } else {
            edit.head = link
        }
        edit.tail = link
    }
}

@Persistent struct Table { var entries: PDictionary<UInt64, Int> }

/// One transaction per insertion of a distinct key, then random hits.
func map(_ heap: PersistentHeap, _ mode: LogMode, _ count: Int) throws {
    let root = try heap.root(named: "table", as: Table.self) { Table(entries: PDictionary()) }
    try heap.transaction { tx in try tx.edit(root).entries.reserve(count) }
    var start = nanoseconds()
    for index in 0..<count {
        try heap.transaction(mode) { tx in
            _ = try tx.edit(root).entries.updateValue(index, forKey: key(index))
        }
    }
    report("map.insert", count, since: start)
    var stream = Stream(7)
    var sum = 0
    start = nanoseconds()
    for _ in 0..<count {
        sum &+= heap[root].entries.value(forKey: key(stream.below(count)), in: heap) ?? 0
    }
    report("map.lookup", count, since: start)
    keep(sum)
    expect(heap[root].entries.count == count, "map")
}

/// The same with a chain of nodes for each bucket, as the C programs do it.
@Persistent struct ChainEntry {
    var key: UInt64
    var value: Int
    var next: PRef<ChainEntry>?
}

@Persistent struct Chains {
    var buckets: PArray<PRef<ChainEntry>?>
    var count: Int
}

@inline(__always)
func find(_ heap: PersistentHeap, _ buckets: PArray<PRef<ChainEntry>?>, _ mask: Int, _ key: UInt64)
    -> PRef<ChainEntry>?
{
    var next = buckets.element(at: Int(truncatingIfNeeded: key) & mask, in: heap)
    while let entry = next {
        if heap[entry].key == key { return entry }
        next = heap[entry].next
    }
    return nil
}

func chains(_ heap: PersistentHeap, _ mode: LogMode, _ count: Int) throws {
    var size = 1
    while size < count { size *= 2 }
    let root = try heap.root(named: "chains", as: Chains.self) {
        Chains(buckets: PArray(), count: 0)
    }
    try heap.transaction(.undo) { tx in
        try tx.edit(root).buckets.reserve(size)
        for _ in 0..<size { try tx.edit(root).buckets.append(nil) }
    }
    let mask = size - 1
    var start = nanoseconds()
    for index in 0..<count {
        let key = key(index)
        expect(find(heap, heap[root].buckets, mask, key) == nil, "duplicate")
        try heap.transaction(mode) { tx in
            let edit = tx.edit(root)
            let bucket = Int(truncatingIfNeeded: key) & mask
            edit.buckets[bucket] = try tx.new(
                ChainEntry(key: key, value: index, next: edit.buckets[bucket]))
            edit.count += 1
        }
    }
    report("chain.insert", count, since: start)
    var stream = Stream(7)
    var sum = 0
    start = nanoseconds()
    for _ in 0..<count {
        if let entry = find(heap, heap[root].buckets, mask, key(stream.below(count))) {
            sum &+= heap[entry].value
        }
    }
    report("chain.lookup", count, since: start)
    keep(sum)
    expect(heap[root].count == count, "chains")
}

@Persistent struct Tree {
    var left: PRef<Tree>?
    var right: PRef<Tree>?
}

func grow(_ tx: borrowing Transaction, _ depth: Int) throws -> PRef<Tree> {
    if depth == 0 { return try tx.new(Tree(left: nil, right: nil)) }
    let left = try grow(tx, depth - 1)
    return try tx.new(Tree(left: left, right: try grow(tx, depth - 1)))
}

func check(_ heap: PersistentHeap, _ tree: PRef<Tree>) -> Int {
    guard let left = heap[tree].left, let right = heap[tree].right else { return 1 }
    return 1 + check(heap, left) + check(heap, right)
}

func fell(_ tx: borrowing Transaction, _ tree: PRef<Tree>) {
    if let left = tx[tree].left, let right = tx[tree].right {
        fell(tx, left)
        fell(tx, right)
    }
    tx.free(tree)
}

@Persistent struct TreeHolder { var tree: PRef<Tree>? }

/// Benchmarks game schedule, one transaction to make a tree and hang it into the root, one to fell
/// it: every tree is durable when its transaction ends.
func trees(_ heap: PersistentHeap, _ mode: LogMode, _ depth: Int) throws {
    let holder = try heap.root(named: "holder", as: TreeHolder.self) { TreeHolder(tree: nil) }
    let long = try heap.root(named: "long", as: TreeHolder.self) { TreeHolder(tree: nil) }
    func make(_ depth: Int, in root: PRef<TreeHolder>) throws -> PRef<Tree> {
        try heap.transaction(mode) { tx in
            let tree = try grow(tx, depth)
            tx.edit(root).tree = tree
            return tree
        }
    }
    func drop(_ tree: PRef<Tree>, from root: PRef<TreeHolder>) throws {
        try heap.transaction(mode) { tx in
            tx.edit(root).tree = nil
            fell(tx, tree)
        }
    }
    let start = nanoseconds()
    let stretch = try make(depth + 1, in: holder)
    var nodes = check(heap, stretch)
    try drop(stretch, from: holder)
    let kept = try make(depth, in: long)
    for small in stride(from: 4, through: depth, by: 2) {
        for _ in 0..<(1 << (depth - small + 4)) {
            let tree = try make(small, in: holder)
            nodes += check(heap, tree)
            try drop(tree, from: holder)
        }
    }
    nodes += check(heap, kept)
    try drop(kept, from: long)
    report("tree", nodes, since: start)
}

@Persistent struct Hop {
    var next: PRef<Hop>?
    var pad0: Int
    var pad1: Int
    var pad2: Int
    var pad3: Int
    var pad4: Int
    var pad5: Int
    var pad6: Int
}

@inline(never) func chase(_ heap: PersistentHeap, _ start: PRef<Hop>, _ hops: Int) -> PRef<Hop> {
    var at = start
    for _ in 0..<hops {
        guard let next = heap[at].next else { return at }
        at = next
    }
    return at
}

/// Nodes of 64 bytes in one random circle.
func chase(_ heap: PersistentHeap, _ nodes: Int, _ name: String, _ hops: Int) throws {
    let order = shuffled(nodes)
    let all = try heap.transaction(.undo) { tx in
        let all = try (0..<nodes).map { _ in
            try tx.new(
                Hop(next: nil, pad0: 0, pad1: 0, pad2: 0, pad3: 0, pad4: 0, pad5: 0, pad6: 0))
        }
        for index in 0..<nodes { tx.edit(all[order[index]]).next = all[order[(index + 1) % nodes]] }
        return all
    }
    keep(chase(heap, all[order[0]], nodes))
    let start = nanoseconds()
    keep(chase(heap, all[order[0]], hops))
    report("chase.\(name)", hops, since: start)
}

func shuffled(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    var stream = Stream(9)
    for index in stride(from: count - 1, to: 0, by: -1) {
        order.swapAt(index, stream.below(index + 1))
    }
    return order
}
