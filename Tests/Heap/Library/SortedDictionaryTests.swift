import HeapCore
import PersistentHeap
import Testing

@Persistent struct Index {
    var byYear: PSortedDictionary<Int, PRef<Node>>
    var byName: PSortedDictionary<PString, Int>
    var byWeight: PSortedDictionary<Double, Int>
    var byDay: PSortedDictionary<Day, PString>
}

@Persistent struct Day: Comparable {
    var year: Int32
    var day: Int32
    static func < (a: Day, b: Day) -> Bool { (a.year, a.day) < (b.year, b.day) }
}

extension Day: PersistentOrderedKey {}

extension Index {
    static var empty: Index {
        Index(
            byYear: PSortedDictionary(), byName: PSortedDictionary(),
            byWeight: PSortedDictionary(), byDay: PSortedDictionary())
    }
}

@Suite struct SortedDictionaryTests {
    private let file = TemporaryHeap()
    private let heap: PersistentHeap
    private let index: PRef<Index>

    init() throws {
        heap = try file.open { $0.arenaShift = 24 }
        index = try heap.root(named: "index", as: Index.self) { .empty }
    }

    @Test func rangesFirstAndLast() throws {
        try heap.transaction { tx in
            for year in stride(from: 1990, through: 1900, by: -10) {
                tx.edit(index).byYear[year] = try tx.new(Node(value: year, next: nil))
            }
        }
        let byYear = heap.view(index).byYear
        #expect(byYear.first?.key == 1900 && byYear.last?.value.value == 1990 && byYear.count == 10)
        #expect(Array(byYear.range(1915..<1940).keys) == [1920, 1930])
        #expect(Array(byYear.range(1920...1940).keys) == [1920, 1930, 1940])
        #expect(Array(byYear.range(1975...).keys) == [1980, 1990])
        #expect(Array(byYear.range(..<1920).keys) == [1900, 1910])
        #expect(Array(byYear.range(...1920).keys) == [1900, 1910, 1920])
        #expect(byYear.range(1901..<1909).isEmpty && byYear.range(..<0).isEmpty)
        #expect(byYear.range(1910...1950).range(1940...).count == 2)
        #expect(byYear[1950]?.value == 1950 && byYear[1951] == nil)
        #expect(byYear.reversed().map(\.key).first == 1990)
    }

    @Test func keysOfManyKinds() throws {
        let long = "a name that needs a cell of its own"
        try heap.transaction { tx in
            let edit = tx.edit(index)
            for name in ["pear", "apple", long, "fig", "", "figs"] {
                edit.byName[name, default: 0] += name.utf8.count
            }
            edit.byName["fig"] = nil
            try edit.byName.merge([("apple", 100), ("zoo", 1)]) { $0 + $1 }
            for weight in [2.5, -1, .infinity, .nan, 0] {
                edit.byWeight[weight] = Int(edit.count(weight))
            }
            edit.byDay[Day(year: 2026, day: 2)] = try tx.string("second")
            edit.byDay[Day(year: 2025, day: 9)] = try tx.string("before")
            #expect(edit.byName.first?.value == 0 && edit.byName.last?.value == 1)
        }
        let view = heap.view(index)
        #expect(Array(view.byName.keys) == ["", long, "apple", "figs", "pear", "zoo"])
        #expect(view.byName["apple"] == 105 && view.byName["none", default: -1] == -1)
        #expect(view.byName.range("b"..<"g").map(\.key) == ["figs"])
        #expect(Array(view.byWeight.keys.prefix(4)) == [-1, 0, 2.5, .infinity])
        #expect(view.byWeight.last?.key.isNaN == true && view.byWeight[.nan] == 1)
        #expect(view.byDay.map(\.value) == ["before", "second"])
        #expect(
            view.byName.range("figs"...).description == "[\"figs\": 4, \"pear\": 4, \"zoo\": 1]")
        try heap.transaction { tx in
            #expect(tx.edit(index).byName.popFirst()?.key == "")
            tx.edit(index).byName.removeAll { $0.value > 50 }
            tx.edit(index).byDay.removeAll()
        }
        #expect(heap.view(index).byName == heap.view(index).byName)
        #expect(Array(heap.view(index).byName.keys) == [long, "figs", "pear", "zoo"])
        #expect(heap.view(index).byDay.isEmpty)
    }

    /// Random insertions, replacements and removals, some aborted, beside a Swift dictionary; the
    /// tree's invariants after each transaction.
    @Test(arguments: [LogMode.redo, .undo]) func agreesWithASwiftDictionary(_ mode: LogMode) throws
    {
        var random = Steps(state: 11)
        var expected: [Int: Int] = [:]
        var names: [String: Int] = [:]
        for round in 0..<300 {
            let before = (expected, names)
            let grows = round % 100 < 60
            do {
                try heap.transaction(mode) { tx in
                    let edit = tx.edit(index)
                    for _ in 0..<random.below(120) {
                        let key = random.below(4000)
                        if random.below(10) < (grows ? 7 : 1) {
                            let node = try tx.new(Node(value: key, next: nil))
                            let old = try edit.byYear.updateValue(node, forKey: key)
                            #expect((old == nil) == (expected.updateValue(key, forKey: key) == nil))
                            edit.byName["key \(key) of a longer kind"] = key
                            names["key \(key) of a longer kind"] = key
                        } else {
                            let near = expected.keys.first { $0 >= key } ?? key
                            let old = edit.byYear.removeValue(forKey: near)
                            #expect((old == nil) == (expected.removeValue(forKey: near) == nil))
                            edit.byName["key \(near) of a longer kind"] = nil
                            names["key \(near) of a longer kind"] = nil
                        }
                    }
                    try tx[index].byYear.checkTree(in: tx)
                    if round % 10 == 9 { throw Deliberate() }
                }
            } catch is Deliberate { (expected, names) = before }
            try heap[index].byYear.checkTree(in: heap)
            try heap[index].byName.checkTree(in: heap)
        }
        let view = heap.view(index)
        #expect(Array(view.byYear.keys) == expected.keys.sorted())
        #expect(Array(view.byName.keys) == names.keys.sorted())
        for bound in stride(from: 0, to: 4000, by: 97) {
            let rank = expected.keys.filter { $0 < bound }.count
            #expect(heap[index].byYear.rank(of: bound, in: heap) == rank)
            #expect(view.byYear[bound]?.value == expected[bound])
        }
        try heap.checkInvariants()
    }

    /// Emptied from either end, the tree gives its height back and stays right.
    @Test func keysInOrderFillNodesAndLeaveThem() throws {
        let count = 40_000
        try heap.transaction { tx in
            for key in 0..<count { tx.edit(index).byWeight[Double(key)] = key }
        }
        #expect(heap[index].byWeight.depth <= 3)
        try heap.transaction { tx in
            let edit = tx.edit(index).byWeight
            for key in 0..<count / 2 { #expect(edit.removeValue(forKey: Double(key)) == key) }
            for key in (count / 2 + 5..<count).reversed() { edit[Double(key)] = nil }
        }
        try heap[index].byWeight.checkTree(in: heap)
        #expect(heap.view(index).byWeight.map(\.value) == Array(count / 2..<count / 2 + 5))
        #expect(heap[index].byWeight.depth == 0)
        try heap.transaction { tx in while tx.edit(index).byWeight.popFirst() != nil {} }
        #expect(heap.view(index).byWeight.isEmpty)
        heap.collect()
        try heap.checkInvariants()
    }
}

extension Index.Editor {
    fileprivate func count(_ weight: Double) -> Int { weight.isNaN ? 1 : 0 }
}

private struct Steps {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }
}

/// A transaction that has failed sees a tree half changed; it must end with its error all the same.
@Suite struct FailedTransactionTests {
    @Test(arguments: [LogMode.redo, .undo]) func aFullHeapEndsInAnError(_ mode: LogMode) throws {
        let file = TemporaryHeap()
        let heap = try file.open {
            $0.arenaShift = 17
            $0.laneBytes = LaneFormat.minimumBytes
            $0.maximumSize = 1 << 18
        }
        let index = try heap.root(named: "index", as: Index.self) { .empty }
        try heap.transaction { tx in
            for key in 0..<50 { tx.edit(index).byWeight[Double(key)] = key }
        }
        #expect(throws: (any Error).self) {
            try heap.transaction(mode) { tx in
                let weights = tx.edit(index).byWeight
                for key in 0..<20_000 { weights[Double(key * 7919 % 20_000)] = key }
                let hasFailed = tx.hasFailed
                #expect(hasFailed)
                var sum = 0
                for (_, value) in weights { sum &+= value }
                weights.removeAll { $0.value % 2 == sum % 2 }
                while weights.popFirst() != nil {}
            }
        }
        try heap[index].byWeight.checkTree(in: heap)
        #expect(heap.view(index).byWeight.map(\.value) == Array(0..<50))
        try heap.checkInvariants()
    }
}
