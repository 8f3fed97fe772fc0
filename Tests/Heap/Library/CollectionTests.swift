import PersistentHeap
import Testing

@Persistent struct Shelf {
    var label: PString
    var numbers: PArray<Int>
    var titles: PArray<PString>
    var nodes: PArray<PRef<Node>>
    var stock: PDictionary<PString, Int>
    var names: PDictionary<PString, PString>
    var squares: PDictionary<Int, Int>
    var first: PRef<Node>?
}

extension Shelf {
    static var empty: Shelf {
        Shelf(
            label: PString(), numbers: PArray(), titles: PArray(), nodes: PArray(),
            stock: PDictionary(), names: PDictionary(), squares: PDictionary(), first: nil)
    }

    /// How many things lie on it.
    var total: Int { numbers.count + titles.count }
}

/// Containers in Swift's own forms, through a heap and through transactions.
@Suite(.serialized) struct CollectionTests {
    private let file = TemporaryHeap()
    private let heap: PersistentHeap
    private let shelf: PRef<Shelf>

    init() throws {
        heap = try file.open()
        shelf = try heap.root(named: "shelf", as: Shelf.self) { .empty }
    }

    @Test(arguments: [LogMode.redo, .undo]) func arraysAreCollections(_ mode: LogMode) throws {
        try heap.transaction(mode) { tx in
            let numbers = tx.edit(shelf).numbers
            #expect(numbers.isEmpty)
            try numbers += [5, 3, 9]
            try numbers.append(contentsOf: (10..<20).lazy.filter { $0 % 2 == 0 })
            #expect(numbers.first == 5 && numbers.last == 18 && numbers.contains(9))
            #expect(numbers.sorted().first == 3 && numbers.map { $0 * 2 }[0] == 10)
            #expect(numbers[1...2].elementsEqual([3, 9]) && numbers.firstIndex(of: 14) == 5)
            numbers.removeAll { $0 > 12 }
            #expect("\(numbers)" == "[5, 3, 9, 10, 12]")
            #expect(tx.view(shelf).numbers == [5, 3, 9, 10, 12])
            numbers.sort()
        }
        let numbers = heap.view(shelf).numbers
        #expect(numbers == [3, 5, 9, 10, 12] && numbers.description == "[3, 5, 9, 10, 12]")
        #expect(numbers.lazy.map { $0 + 1 }.first == 4 && numbers.reversed().first == 12)
        #expect(Set([numbers, heap[shelf].numbers.view(in: heap)]).count == 1)
    }

    @Test func stringsAndReferencesAreShownAsWhatTheyMean() throws {
        let long = "a title that needs a cell of its own"
        try heap.transaction { tx in
            let edit = tx.edit(shelf)
            edit.label = try tx.string("upper")
            try edit.titles += ["Emma", long]
            try edit.titles.append("Ulysses")
            #expect(edit.titles.contains(long) && !edit.titles.contains("Emm"))
            let node = try tx.new(Node(value: 7, next: nil))
            edit.first = node
            try edit.nodes += [node, try tx.new(Node(value: 8, next: node))]
        }
        let view = heap.view(shelf)
        #expect(view.label == "upper" && view.total == 3 && view.value.titles.count == 3)
        #expect(view.titles == ["Emma", long, "Ulysses"])
        #expect(view.titles.sorted() == ["Emma", "Ulysses", long])
        #expect(view.first?.value == 7 && view.nodes.map(\.value) == [7, 8])
        #expect(view.nodes[1].next == view.first && view.nodes[0].next == nil)
        let stored = heap[shelf].titles.element(at: 1, in: heap)
        #expect(stored.utf8(in: heap).elementsEqual(long.utf8) && !stored.isEmpty)
        #expect(stored.isEqual(to: long, in: heap) && !stored.isEqual(to: "Emma", in: heap))
    }

    @Test(arguments: [LogMode.redo, .undo]) func dictionariesTakeStrings(_ mode: LogMode) throws {
        let long = "a key that needs a cell of its own"
        try heap.transaction(mode) { tx in
            let stock = tx.edit(shelf).stock
            stock["apples"] = 3
            stock[long, default: 10] += 1
            stock["pears", default: 0] += 1
            #expect(stock["apples"] == 3 && stock[long] == 11 && stock["plums"] == nil)
            stock["pears"] = nil
            #expect(stock.count == 2 && !stock.isEmpty && stock.values.sorted() == [3, 11])
            try stock.merge([("apples", 4), ("figs", 1)]) { $0 + $1 }
            #expect(stock.removeValue(forKey: "none") == nil)
        }
        let stock = heap.view(shelf).stock
        #expect(stock["apples"] == 7 && stock["plums", default: 5] == 5)
        #expect(stock.keys.sorted() == [long, "apples", "figs"].sorted())
        #expect(stock == ["apples": 7, "figs": 1, long: 11])
        #expect(stock != ["apples": 7, "figs": 2, long: 11])
        #expect(
            stock.map(\.value).reduce(0, +) == 19 && stock.max { $0.value < $1.value }?.key == long)
        try heap.transaction(mode) { tx in
            tx.edit(shelf).stock.removeAll { $0.value > 5 }
            #expect("\(tx.edit(shelf).stock)" == "[\"figs\": 1]")
        }
        #expect(heap.view(shelf).stock.description == "[\"figs\": 1]")
        #expect(heap[shelf].squares.view(in: heap).description == "[:]")
    }

    @Test func dictionariesOfStringsAndNumbers() throws {
        try heap.transaction { tx in
            try tx.edit(shelf).names.updateValue("Ada", forKey: "first")
            #expect(try tx.edit(shelf).names.updateValue("Bea", forKey: "first") == "Ada")
            for number in 0..<100 { tx.edit(shelf).squares[number] = number * number }
            tx.edit(shelf).squares.removeAll { $0.key % 2 == 1 }
            #expect(tx.edit(shelf).names.string(forKey: "first") == "Bea")
        }
        #expect(heap.view(shelf).names["first"] == "Bea")
        #expect(heap.view(shelf).squares.count == 50 && heap.view(shelf).squares[8] == 64)
        #expect(Set([heap.view(shelf).squares, heap.view(shelf).squares]).count == 1)
    }

    /// A subscript cannot throw: a heap without room makes the transaction fail, whole.
    @Test func aSetterWithoutRoomFailsTheTransaction() throws {
        let small = TemporaryHeap()
        let heap = try small.open { $0.maximumSize = 1 << 20 }
        let shelf = try heap.root(named: "shelf", as: Shelf.self) { .empty }
        #expect(throws: HeapError.self) {
            try heap.transaction { tx in
                for number in 0..<40_000 { tx.edit(shelf).squares[number] = number }
            }
        }
        #expect(heap.view(shelf).squares.isEmpty)
        try heap.transaction { tx in tx.edit(shelf).squares[1] = 1 }
        #expect(heap.view(shelf).squares == [1: 1])
        try heap.checkInvariants()
    }
}
