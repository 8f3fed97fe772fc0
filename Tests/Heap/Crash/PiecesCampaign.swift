import PersistentHeap

/// Containers larger than one buffer.
@Persistent struct CrashLarge {
    var numbers: PArray<Int>
    var table: PDictionary<Int, Int>
    var names: PDictionary<PString, Int>
}

/// Arrays that gain and lose pieces, dictionaries whose buckets are split, cleaned and given back.
struct CrashPieces: CrashSeries {
    let mode: LogMode
    var bytes: Int { 1 << 20 }
    var start: Model { Model() }

    struct Model: Equatable {
        var numbers: [Int] = []
        var table: [Int: Int] = [:]
        var names: [String: Int] = [:]
    }

    enum Operation {
        case append(Int, times: Int)
        case removeLast(Int)
        case swap(Int, Int)
        case reserve(Int)
        case insert(from: Int, count: Int)
        case remove(from: Int, count: Int)
        case churn(Int)
        case name(from: Int, count: Int)
        case clearArray, clearTable, collect
        case abort(Int)
    }

    func randomOperation(_ random: inout SplitMix64) -> Operation {
        let (a, b) = (Int(random.next() % 1000), Int(random.next() % 1000))
        switch random.next() % 20 {
        case 0...4: return .append(a, times: b * 2)
        case 5: return .removeLast(a)
        case 6: return .swap(a, b)
        case 7: return .reserve(a * 3)
        case 8...11: return .insert(from: a, count: 100 + b / 4)
        case 12...13: return .remove(from: a, count: b / 3)
        case 14: return .churn(a)
        case 15...16: return .name(from: a, count: b / 5)
        case 17: return b % 4 == 0 ? .clearArray : b % 4 == 1 ? .clearTable : .collect
        default: return .abort(a)
        }
    }

    private static func name(_ number: Int) -> String { "a long name, number \(number)" }

    func apply(_ operation: Operation, to model: inout Model) {
        switch operation {
        case .append(let value, let times):
            model.numbers += Array(repeating: value, count: times)
        case .removeLast(let count): model.numbers.removeLast(min(count, model.numbers.count))
        case .swap(let a, let b):
            if !model.numbers.isEmpty {
                model.numbers.swapAt(a % model.numbers.count, b * 7 % model.numbers.count)
            }
        case .insert(let from, let count):
            for key in from..<(from + count) { model.table[key] = count }
        case .remove(let from, let count):
            for key in from..<(from + count) { model.table[key] = nil }
        case .churn(let from):
            for key in from..<(from + 40) { model.table[key * 1000 + 1] = nil }
        case .name(let from, let count):
            for key in from..<(from + count) { model.names[Self.name(key)] = count }
        case .clearArray: model.numbers = []
        case .clearTable: model.table = [:]
        case .reserve, .collect, .abort: break
        }
    }

    func makeRoot(_ heap: PersistentHeap) throws -> PRef<CrashLarge> {
        try heap.root(named: "large", as: CrashLarge.self) {
            CrashLarge(numbers: PArray(), table: PDictionary(), names: PDictionary())
        }
    }

    func runOutside(_ operation: Operation, _ heap: PersistentHeap, _ model: Model) throws -> Bool {
        guard case .collect = operation else { return false }
        heap.collect()
        return true
    }

    func store(_ operation: Operation, _ root: PRef<CrashLarge>, _ tx: borrowing Transaction) throws {
        let edit = tx.edit(root)
        switch operation {
        case .append(let value, let times):
            for _ in 0..<times { try edit.numbers.append(value) }
        case .removeLast(let count):
            for _ in 0..<min(count, edit.numbers.count) { edit.numbers.removeLast() }
        case .swap(let a, let b):
            let count = edit.numbers.count
            if count > 0 { edit.numbers.swapAt(a % count, b * 7 % count) }
        case .reserve(let count): try edit.numbers.reserve(count)
        case .insert(let from, let count):
            for key in from..<(from + count) { try edit.table.updateValue(count, forKey: key) }
        case .remove(let from, let count):
            for key in from..<(from + count) { edit.table.removeValue(forKey: key) }
        case .churn(let from):
            // Removed slots everywhere: buckets are written anew.
            for key in from..<(from + 40) {
                try edit.table.updateValue(key, forKey: key * 1000 + 1)
            }
            for key in from..<(from + 40) { edit.table.removeValue(forKey: key * 1000 + 1) }
        case .name(let from, let count):
            for key in from..<(from + count) {
                try edit.names.updateValue(count, forKey: Self.name(key))
            }
        case .clearArray: edit.numbers.removeAll()
        case .clearTable: edit.table.removeAll()
        case .abort(let from):
            for key in from..<(from + 300) {
                try edit.table.updateValue(-1, forKey: key * 3)
                try edit.numbers.append(-1)
            }
            throw CrashAbort()
        case .collect: break
        }
    }

    func read(_ heap: PersistentHeap) throws -> Model? {
        guard let root = try heap.root(named: "large", as: CrashLarge.self) else { return nil }
        try heap[root].table.checkTable(in: heap)
        try heap[root].names.checkTable(in: heap)
        var found = Model()
        found.numbers = heap[root].numbers.elements(in: heap)
        for (key, value) in heap.view(root).table { found.table[key] = value }
        for (key, value) in heap.view(root).names { found.names[key] = value }
        return found
    }
}
