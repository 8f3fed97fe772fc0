import PersistentHeap

/// Lists, tables, arrays and texts (`CrashModel`).
struct CrashValues: CrashSeries {
    let mode: LogMode
    var bytes: Int { CrashCampaign.bytes }
    var start: CrashModel { CrashModel() }

    func makeRoot(_ heap: PersistentHeap) throws -> PRef<CrashRoot> {
        try heap.root(named: "crash", as: CrashRoot.self) {
            CrashRoot(
                head: nil, count: 0, sum: 0, array: PArray(), table: PDictionary(), text: PString())
        }
    }

    func randomOperation(_ random: inout SplitMix64) -> CrashOperation { .random(&random) }

    func apply(_ operation: CrashOperation, to model: inout CrashModel) {
        operation.apply(to: &model)
    }

    func read(_ heap: PersistentHeap) throws -> CrashModel? {
        guard let root = try heap.root(named: "crash", as: CrashRoot.self) else { return nil }
        return try CrashModel(heap, root)
    }

    func runOutside(_ operation: CrashOperation, _ heap: PersistentHeap, _ model: CrashModel)
        throws -> Bool
    {
        guard case .collect = operation else { return false }
        heap.collect()
        return true
    }

    func store(
        _ operation: CrashOperation, _ root: PRef<CrashRoot>, _ tx: borrowing Transaction
    ) throws {
        let edit = tx.edit(root)
        switch operation {
        case .push(let value): try push(value, root, tx)
        case .pop: pop(root, tx)
        case .reverse: reverse(root, tx)
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
                try push(value, root, tx)
                try edit.table.updateValue(count, forKey: value)
            }
        case .abort(let value):
            try push(value, root, tx)
            pop(root, tx)
            pop(root, tx)
            try edit.array.append(value)
            try edit.table.updateValue(value, forKey: value)
            throw CrashAbort()
        case .growBig(let value):
            if edit.count > 40 {
                while edit.count > 0 { pop(root, tx) }
            } else {
                try push(value, root, tx)
            }
        case .collect: break
        }
    }

    private func push(_ value: Int, _ root: PRef<CrashRoot>, _ tx: borrowing Transaction) throws {
        let edit = tx.edit(root)
        edit.head = try tx.new(CrashNode(value: value, next: edit.head))
        edit.count += 1
        edit.sum += value
    }

    private func pop(_ root: PRef<CrashRoot>, _ tx: borrowing Transaction) {
        let edit = tx.edit(root)
        guard let head = edit.head else { return }
        edit.head = tx[head].next
        edit.count -= 1
        edit.sum -= tx[head].value
        // Stored to and freed in one transaction: what a replayed log must not bring back.
        tx.edit(head).value = -1
        tx.free(head)
    }

    private func reverse(_ root: PRef<CrashRoot>, _ tx: borrowing Transaction) {
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
