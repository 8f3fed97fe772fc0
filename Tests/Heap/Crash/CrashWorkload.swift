import PersistentHeap

/// Runs operations on a heap.
public struct CrashWorkload {
    let heap: PersistentHeap
    let root: PRef<CrashRoot>
    let mode: LogMode

    public init(_ heap: PersistentHeap, mode: LogMode) throws {
        self.heap = heap
        self.mode = mode
        root = try heap.root(named: "crash", as: CrashRoot.self) {
            CrashRoot(
                head: nil, count: 0, sum: 0, array: PArray(), table: PDictionary(), text: PString())
        }
    }

    private struct Deliberate: Error {}

    public func run(_ operation: CrashOperation) throws {
        if case .collect = operation {
            heap.collect()
            return
        }
        do {
            try heap.transaction(mode) { tx in
                try store(operation, tx)
                if case .abort = operation { throw Deliberate() }
            }
        } catch is Deliberate {}
    }

    private func store(_ operation: CrashOperation, _ tx: borrowing Transaction) throws {
        let edit = tx.edit(root)
        switch operation {
        case .push(let value): try push(value, tx)
        case .pop: pop(tx)
        case .reverse: reverse(tx)
        case .append(let value): try edit.array.append(value)
        case .swap(let a, let b):
            let count = edit.array.count
            if count > 0 { edit.array.swapAt(a % count, b % count) }
        case .put(let key, let value): try edit.table.updateValue(value, forKey: key)
        case .remove(let key): edit.table.removeValue(forKey: key)
        case .text(let length):
            tx.free(edit.text)
            edit.text = try tx.string(String(repeating: "x", count: length))
        case .many(let count):
            for value in 0..<count {
                try push(value, tx)
                try edit.table.updateValue(count, forKey: value)
            }
        case .abort(let value):
            try push(value, tx)
            pop(tx)
            pop(tx)
            try edit.array.append(value)
            try edit.table.updateValue(value, forKey: value)
        case .growBig(let value):
            if edit.count > 40 { while edit.count > 0 { pop(tx) } } else { try push(value, tx) }
        case .collect: break
        }
    }

    private func push(_ value: Int, _ tx: borrowing Transaction) throws {
        let edit = tx.edit(root)
        edit.head = try tx.new(CrashNode(value: value, next: edit.head))
        edit.count += 1
        edit.sum += value
    }

    private func pop(_ tx: borrowing Transaction) {
        let edit = tx.edit(root)
        guard let head = edit.head else { return }
        edit.head = tx[head].next
        edit.count -= 1
        edit.sum -= tx[head].value
        // Stored to and freed in one transaction: what a replayed log must not bring back.
        tx.edit(head).value = -1
        tx.free(head)
    }

    private func reverse(_ tx: borrowing Transaction) {
        let edit = tx.edit(root)
        var reversed: PRef<CrashNode>?
        var next = edit.head
        while let node = next {
            next = tx[node].next
            tx.edit(node).next = reversed
            reversed = node
        }
        edit.head = reversed
    }
}
