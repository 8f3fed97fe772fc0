import Glibc
import PersistentHeap

/// Two ordered dictionaries: numbers, whose nodes are split and joined, and texts.
@Persistent struct CrashOrder {
    var numbers: PSortedDictionary<Int, Int>
    var texts: PSortedDictionary<PString, PRef<CrashNode>>
}

/// Ordered dictionaries through power cuts, and backups taken between transactions.
struct CrashOrders: CrashSeries {
    let mode: LogMode
    let seed: UInt64
    var bytes: Int { CrashCampaign.bytes }
    var start: Model { Model() }

    struct Model: Equatable {
        var numbers: [Int: Int] = [:]
        var texts: [String: Int] = [:]
    }

    enum Operation {
        case insert(from: Int, step: Int, count: Int)
        case removeRange(Int, Int)
        case popFirst(Int)
        case text(Int)
        case removeText(Int)
        case abort(Int)
        case backup, collect

        static func random(_ random: inout SplitMix64) -> Operation {
            let (a, b) = (Int(random.next() % 400), Int(random.next() % 40))
            switch random.next() % 16 {
            case 0...4: return .insert(from: a, step: b % 5 + 1, count: b)
            case 5...7: return .removeRange(a, a + b * 3)
            case 8: return .popFirst(b)
            case 9...10: return .text(a)
            case 11: return .removeText(a)
            case 12...13: return .abort(a)
            case 14: return .backup
            default: return .collect
            }
        }

        static func name(_ number: Int) -> String {
            number % 2 == 0 ? "\(number)" : "a name longer than fifteen bytes \(number)"
        }
    }

    func apply(_ operation: Operation, to model: inout Model) {
        switch operation {
        case .insert(let from, let step, let count):
            for index in 0..<count { model.numbers[from + index * step] = count }
        case .removeRange(let low, let high):
            model.numbers = model.numbers.filter { !(low..<high).contains($0.key) }
        case .popFirst(let count):
            for key in model.numbers.keys.sorted().prefix(count) { model.numbers[key] = nil }
        case .text(let number): model.texts[Operation.name(number)] = number
        case .removeText(let number): model.texts[Operation.name(number)] = nil
        case .abort, .backup, .collect: break
        }
    }

    func makeRoot(_ heap: PersistentHeap) throws -> PRef<CrashOrder> {
        try heap.root(named: "order", as: CrashOrder.self) {
            CrashOrder(numbers: PSortedDictionary(), texts: PSortedDictionary())
        }
    }

    func randomOperation(_ random: inout SplitMix64) -> Operation { .random(&random) }

    func runOutside(_ operation: Operation, _ heap: PersistentHeap, _ model: Model) throws -> Bool {
        switch operation {
        case .collect: heap.collect()
        case .backup: try backUp(heap, model)
        default: return false
        }
        return true
    }

    func store(_ operation: Operation, _ root: PRef<CrashOrder>, _ tx: borrowing Transaction) throws {
        let edit = tx.edit(root)
        switch operation {
        case .insert(let from, let step, let count):
            for index in 0..<count {
                try edit.numbers.updateValue(count, forKey: from + index * step)
            }
        case .removeRange(let low, let high):
            edit.numbers.removeAll { (low..<high).contains($0.key) }
        case .popFirst(let count): for _ in 0..<count { edit.numbers.popFirst() }
        case .text(let number):
            let node = try tx.new(CrashNode(value: number, next: nil))
            try edit.texts.updateValue(node, forKey: Operation.name(number))
        case .removeText(let number):
            edit.texts.removeValue(forKey: Operation.name(number))
        case .abort(let number):
            for key in number..<number + 40 { try edit.numbers.updateValue(-1, forKey: key) }
            edit.numbers.removeAll { $0.key % 3 != 0 }
            throw CrashAbort()
        case .backup, .collect: break
        }
    }

    /// A copy opens without recovery and holds the same.
    private func backUp(_ heap: PersistentHeap, _ model: Model) throws {
        let path = "/tmp/heap-crash-\(getpid())-\(seed).heap"
        defer { unlink(path) }
        try heap.backup(to: path)
        let copy = try PersistentHeap(
            path: path, domain: .processCrash, options: CrashCampaign.options)
        defer { copy.close() }
        guard copy.recovery.replayedTransactions == 0, copy.recovery.undoneRanges == 0 else {
            throw CrashFailure("a backup needed recovery")
        }
        try copy.checkInvariants()
        try check(copy, [model])
    }

    func read(_ heap: PersistentHeap) throws -> Model? {
        guard let root = try heap.root(named: "order", as: CrashOrder.self) else { return nil }
        try heap[root].numbers.checkTree(in: heap)
        try heap[root].texts.checkTree(in: heap)
        var found = Model()
        for (key, value) in heap.view(root).numbers { found.numbers[key] = value }
        for (key, node) in heap.view(root).texts { found.texts[key] = node.value.value }
        return found
    }
}
