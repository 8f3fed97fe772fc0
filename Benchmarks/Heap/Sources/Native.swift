import Glibc
import PersistentHeap

/// 32 bytes: 16 of object header, two fields.
@Persistent final class Node {
    var value: Int
    var next: Node?
    init(value: Int, next: Node?) {
        self.value = value
        self.next = next
    }
}

/// Objects of one class, made one by one in the heap or in ordinary memory, and walked along their
/// references: in the order in which they were made, then in a random order.
///
/// The heap is then opened again where it was, and at another address: the time of the whole open,
/// for an object. Collection is off, so nothing runs beside it.
enum NativeBenchmark {
    static let perTransaction = 1000

    static func volatile(_ count: Int) {
        var start = nanoseconds()
        var head: Node?
        for value in 0..<count { head = Node(value: value, next: head) }
        report("native.make", count, since: start)
        walkTwice(head, "native.walk", count)
        var all = gather(head)
        head = nil
        start = nanoseconds()
        relink(&all)
        report("native.relink", count, since: start)
        walkTwice(all[0], "native.random-walk", count)
        // One by one from the last: freeing a long chain recursively would need a long stack.
        for node in all { node.next = nil }
    }

    static func persistent(_ path: String, _ count: Int) throws {
        unlink(path)
        let heap = try open(path, at: 0x5500_0000_0000)
        var start = nanoseconds()
        var made = 0
        while made < count {
            let first = made
            try heap.transaction(.undo) { tx in
                var last = try heap.root(named: "nodes", as: Node.self)
                for value in first..<min(first + perTransaction, count) {
                    last = try tx.pnew(Node(value: value, next: last))
                }
                if let last { try tx.setRoot(named: "nodes", to: last) }
            }
            made = min(made + perTransaction, count)
        }
        report("native.make", count, since: start)
        try walks(heap, count)
        heap.close()
        for (address, metric) in [
            (nil, "native.open-in-place"), (0x5600_0000_0000, "native.move"),
            (0x5700_0000_0000, "native.move-again"),
        ] as [(UInt?, String)] {
            start = nanoseconds()
            let again = try open(path, at: address)
            report(metric, count, since: start)
            expect(sum(try again.root(named: "nodes", as: Node.self)) == total(count), metric)
            again.close()
        }
        unlink(path)
    }

    private static func open(_ path: String, at address: UInt?) throws -> PersistentHeap {
        var options = HeapOptions()
        options.maximumSize = 1 << 34
        options.collectsAtOpen = false
        options.nativeTypes = [Node.self]
        options.address = address
        options.unmapsNativeObjects = true
        return try PersistentHeap(path: path, domain: .cacheLineFlush, options: options)
    }

    /// A function of its own: none of its variables refers to an object when the heap is unmapped.
    @inline(never)
    private static func walks(_ heap: PersistentHeap, _ count: Int) throws {
        let head = try heap.root(named: "nodes", as: Node.self)
        walkTwice(head, "native.walk", count)
        var all = gather(head)
        let start = nanoseconds()
        heap.unlogged { _ in relink(&all) }
        report("native.relink", count, since: start)
        walkTwice(all[0], "native.random-walk", count)
        try heap.transaction(.undo) { tx in try tx.setRoot(named: "nodes", to: all[0]) }
    }

    private static func walkTwice(_ head: Node?, _ metric: String, _ count: Int) {
        expect(sum(head) == total(count), metric)
        let start = nanoseconds()
        expect(sum(head) == total(count), metric)
        report(metric, count, since: start)
    }

    @inline(never)
    private static func sum(_ head: Node?) -> Int {
        var (sum, next) = (0, head)
        while let node = next {
            sum &+= node.value
            next = node.next
        }
        return sum
    }

    private static func total(_ count: Int) -> Int { count * (count - 1) / 2 }

    @inline(never)
    private static func gather(_ head: Node?) -> [Node] {
        var all: [Node] = []
        var next = head
        while let node = next {
            all.append(node)
            next = node.next
        }
        return all
    }

    /// Brings the nodes into a random order, and links them in it.
    @inline(never)
    private static func relink(_ all: inout [Node]) {
        let order = shuffled(all.count)
        all = order.map { all[$0] }
        for index in 0..<all.count - 1 { all[index].next = all[index + 1] }
        all[all.count - 1].next = nil
    }
}
