import Glibc
import PersistentHeap

@Persistent struct Block {
    var next: PRef<Block>?
    var number: Int
    var items: PArray<Int>
}

/// Time from opening to the first use of data, and of the first transaction, by heap size (in
/// quarters of a GB). Three quarters of the heap are reachable buffers; the rest nodes of a list.
func openTimes(_ path: String, gigabytesTimesFour quarters: Int) throws {
    let heap = try freshHeap(path, .processCrash)
    let root = try heap.root(named: "list", as: Block.self) {
        Block(next: nil, number: 0, items: PArray())
    }
    let limit = UInt64(quarters) << 28
    while heap.committedBytes < limit {
        try heap.transaction(.undo) { tx in
            let block = try tx.new(
                Block(next: tx[root].next, number: tx[root].number + 1, items: PArray()))
            try tx.edit(block).items.reserve(1 << 17)
            tx.edit(root).next = block
            tx.edit(root).number += 1
        }
    }
    let number = heap[root].number
    heap.close()
    var options = HeapOptions()
    options.collectsAtOpen = true
    let start = nanoseconds()
    let again = try PersistentHeap(path: path, domain: .processCrash, options: options)
    guard let found = try again.root(named: "list", as: Block.self) else {
        fatalError("root is gone")
    }
    expect(again[found].number == number, "root value")
    report("open.first-read.\(quarters * 256)MB", 1, since: start)
    try again.transaction { tx in tx.edit(found).number += 1 }
    report("open.first-transaction.\(quarters * 256)MB", 1, since: start)
    again.waitForCollector()
    report("open.collected.\(quarters * 256)MB", 1, since: start)
    again.close()
    unlink(path)
}
