import PersistentHeap

@Persistent struct Bulk {
    var array: PArray<Int>
    var table: PDictionary<UInt64, Int>
}

/// On an ordinary file (`fileSync`): `count` appends to an array and `count` new keys of a
/// dictionary that existed before, each in one transaction; then single transactions.
func bulk(_ path: String, _ mode: LogMode, _ count: Int) throws {
    let heap = try freshHeap(path, .fileSync)
    defer { heap.close() }
    let root = try heap.root(named: "bulk", as: Bulk.self) {
        Bulk(array: PArray(), table: PDictionary())
    }
    try heap.transaction { tx in
        let edit = tx.edit(root)
        for value in 0..<1000 {
            try edit.array.append(value)
            try edit.table.updateValue(value, forKey: key(value))
        }
    }
    func timed(_ metric: String, _ count: Int, _ body: () throws -> Void) rethrows {
        let start = nanoseconds()
        try body()
        report(metric, count, since: start)
    }
    try timed("bulk.append", count) {
        try heap.transaction(mode) { tx in
            let array = tx.edit(root).array
            for value in 0..<count { try array.append(value) }
        }
    }
    try timed("bulk.insert", count) {
        try heap.transaction(mode) { tx in
            let table = tx.edit(root).table
            for value in 1000..<(1000 + count) { try table.updateValue(value, forKey: key(value)) }
        }
    }
    try timed("bulk.update", count) {
        try heap.transaction(mode) { tx in
            let table = tx.edit(root).table
            for value in 0..<count { try table.updateValue(-value, forKey: key(value)) }
        }
    }
    try timed("single", 2000) {
        for value in 0..<2000 {
            try heap.transaction(mode) { tx in tx.edit(root).array[value % 1000] = value }
        }
    }
    expect(heap[root].table.count == 1000 + count, "bulk table")
    expect(heap[root].array.count == 1000 + count, "bulk array")
    expect(heap[root].table.value(forKey: key(7), in: heap) == -7, "bulk update")
}
