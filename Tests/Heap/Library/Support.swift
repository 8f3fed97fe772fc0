import Foundation
import PersistentHeap

@Persistent struct Node {
    var value: Int
    var next: PRef<Node>?
}

@Persistent struct NodeList {
    var head: PRef<Node>?
    var count: Int
    var name: PString
    var numbers: PArray<Int>
    var byName: PDictionary<PString, Int>
    var color: Color
    var maybe: Int?
}

@Persistent enum Color: UInt8 { case red, green, blue }

extension NodeList {
    static var empty: NodeList {
        NodeList(
            head: nil, count: 0, name: PString(), numbers: PArray(), byName: PDictionary(),
            color: .red, maybe: nil)
    }
}

/// A heap file of its own for each test, removed at the end.
final class TemporaryHeap {
    let path: String
    init() {
        path = FileManager.default.temporaryDirectory.path + "/heap-\(UUID().uuidString).heap"
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var options: HeapOptions {
        var options = HeapOptions()
        options.arenaShift = 20
        options.laneCount = 4
        options.maximumSize = 1 << 30
        return options
    }

    func open(_ change: (inout HeapOptions) -> Void = { _ in }) throws -> PersistentHeap {
        var options = options
        change(&options)
        return try PersistentHeap(path: path, domain: .processCrash, options: options)
    }
}

struct Deliberate: Error {}

func values(_ heap: PersistentHeap, _ root: PRef<NodeList>) -> [Int] {
    var found: [Int] = []
    var next = heap[root].head
    while let node = next {
        found.append(heap[node].value)
        next = heap[node].next
    }
    return found
}

func push(_ value: Int, _ root: PRef<NodeList>, _ tx: borrowing Transaction) throws {
    let edit = tx.edit(root)
    edit.head = try tx.new(Node(value: value, next: edit.head))
    edit.count += 1
}
