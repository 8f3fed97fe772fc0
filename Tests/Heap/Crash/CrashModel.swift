import PersistentHeap

/// The values that the crash workloads keep: a list whose nodes are made and freed, a table, an
/// array, a text.
@Persistent public struct CrashNode {
    public var value: Int
    public var next: PRef<CrashNode>?
}

@Persistent public struct CrashRoot {
    public var head: PRef<CrashNode>?
    public var count: Int
    public var sum: Int
    public var array: PArray<Int>
    public var table: PDictionary<Int, Int>
    public var text: PString
}

/// What the heap must hold: the same operations on ordinary values.
public struct CrashModel: Equatable, Sendable {
    public var list: [Int] = []
    public var array: [Int] = []
    public var table: [Int: Int] = [:]
    public var text = ""

    public init() {}

    /// Reads a heap back; throws if its parts contradict one another.
    public init(_ heap: PersistentHeap, _ root: PRef<CrashRoot>) throws {
        let stored = heap[root]
        var next = stored.head
        while let node = next {
            list.append(heap[node].value)
            next = heap[node].next
            if list.count > 10_000 { throw CrashFailure("the list runs in a circle") }
        }
        guard stored.count == list.count, stored.sum == list.reduce(0, +) else {
            throw CrashFailure("count \(stored.count), sum \(stored.sum), but the list is \(list)")
        }
        array = stored.array.elements(in: heap)
        stored.table.forEach(in: heap) { table[$0] = $1 }
        guard table.count == stored.table.count else {
            throw CrashFailure("the table counts wrong")
        }
        text = stored.text.string(in: heap)
    }
}

public struct CrashFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// One transaction, on the heap and on the model.
public enum CrashOperation: Sendable {
    case push(Int)
    case pop, reverse
    case append(Int)
    case swap(Int, Int)
    case put(Int, Int)
    case remove(Int)
    case text(Int)
    case many(Int)
    case abort(Int)
    case collect
    case growBig(Int)

    public static func random(_ random: inout SplitMix64) -> CrashOperation {
        let (a, b) = (Int(random.next() % 97), Int(random.next() % 97))
        switch random.next() % 24 {
        case 0...3: return .push(a)
        case 4...5: return .pop
        case 6: return .reverse
        case 7...9: return .append(a)
        case 10...12: return .swap(a, b)
        case 13...15: return .put(a, b)
        case 16...17: return .remove(a)
        // One that a journal block can hold, one that is too long for it, one of several pages.
        case 18: return .text(a % 4 == 0 ? a % 8 == 0 ? a * 256 : a * 64 : a)
        case 19...20: return .many(a % 12)
        case 21...22: return .abort(a)
        default: return random.next() % 4 == 0 ? .collect : .growBig(a)
        }
    }

    public func apply(to model: inout CrashModel) {
        switch self {
        case .push(let value): model.list.insert(value, at: 0)
        case .pop: if !model.list.isEmpty { model.list.removeFirst() }
        case .reverse: model.list.reverse()
        case .append(let value): model.array.append(value)
        case .swap(let a, let b):
            guard !model.array.isEmpty else { return }
            model.array.swapAt(a % model.array.count, b % model.array.count)
        case .put(let key, let value): model.table[key] = value
        case .remove(let key): model.table[key] = nil
        case .text(let length): model.text = String(repeating: "x", count: length)
        case .many(let count):
            for value in 0..<count {
                CrashOperation.push(value).apply(to: &model)
                CrashOperation.put(value, count).apply(to: &model)
            }
        case .growBig(let value):
            if model.list.count > 40 {
                model.list.removeAll()
            } else {
                CrashOperation.push(value).apply(to: &model)
            }
        case .abort, .collect: break
        }
    }
}
