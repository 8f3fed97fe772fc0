import PersistentHeap

@Persistent struct Grown {
    var table: PDictionary<UInt64, Int>
    var array: PArray<Int>
}

/// `count` keys and elements into containers that start empty, in transactions of 1,000: the mean,
/// the longest single insertion and append, look-ups at the end; and everything is there.
func grow(_ path: String, _ mode: LogMode, _ domain: PersistenceDomain, _ count: Int) throws {
    let heap = try freshHeap(path, domain, arenaShift: 26, maximumSize: 1 << 36)
    defer { heap.close() }
    let root = try heap.root(named: "grown", as: Grown.self) {
        Grown(table: PDictionary(), array: PArray())
    }
    var (longestInsert, longestAppend) = (UInt64(0), UInt64(0))
    let start = nanoseconds()
    for first in stride(from: 0, to: count, by: 1000) {
        try heap.transaction(mode) { tx in
            let edit = tx.edit(root)
            for number in first..<min(first + 1000, count) {
                let before = nanoseconds()
                try edit.table.updateValue(number, forKey: key(number))
                let between = nanoseconds()
                try edit.array.append(number)
                longestInsert = max(longestInsert, between - before)
                longestAppend = max(longestAppend, nanoseconds() - between)
            }
        }
    }
    report("grow.pair", count, since: start)
    print("grow.longest.insert\t1\t\(longestInsert)")
    print("grow.longest.append\t1\t\(longestAppend)")
    let (table, array) = (heap[root].table, heap[root].array)
    expect(table.count == count && array.count == count, "counts")
    var stream = Stream(7)
    let lookups = 1_000_000
    let looking = nanoseconds()
    for _ in 0..<lookups {
        let number = stream.below(count)
        expect(table.value(forKey: key(number), in: heap) == number, "a look-up")
    }
    report("grow.lookup", lookups, since: looking)
    for number in 0..<count {
        expect(array.element(at: number, in: heap) == number, "an element")
        expect(table.value(forKey: key(number), in: heap) == number, "a key")
    }
    expect(table.value(forKey: key(count), in: heap) == nil, "a key that was not put in")
    print("grow.bytes\t1\t\(heap.committedBytes)")
}
