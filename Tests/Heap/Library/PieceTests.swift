import Foundation
import PersistentHeap
import Testing

@Persistent("FlatRoot") struct PieceRoot {
    var numbers: PArray<Int>
    var names: PDictionary<PString, Int>
    var squares: PDictionary<Int, Int>
}

/// A key all of whose hashes are the same, or nearly.
@Persistent struct PoorKey { var number: Int }
extension PoorKey: PersistentKey {
    func persistentHash<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) -> UInt64 {
        UInt64(number % 3)
    }
    func isEqual<Reader: HeapReading & ~Copyable>(
        to other: PoorKey, in reader: borrowing Reader
    ) -> Bool { number == other.number }
}

@Persistent struct PoorRoot { var table: PDictionary<PoorKey, Int> }

/// Containers grow in pieces: larger than an arena, without copying what they hold.
@Suite struct PieceTests {
    let file = TemporaryHeap()

    private func make(_ change: (inout HeapOptions) -> Void = { _ in }) throws -> (
        PersistentHeap, PRef<PieceRoot>
    ) {
        let heap = try file.open {
            $0.collectsAtOpen = false
            change(&$0)
        }
        let root = try heap.root(named: "flat", as: PieceRoot.self) {
            PieceRoot(numbers: PArray(), names: PDictionary(), squares: PDictionary())
        }
        return (heap, root)
    }

    @Test(arguments: [LogMode.redo, .undo]) func anArrayHoldsWhatSwiftsDoes(_ mode: LogMode) throws {
        let (heap, root) = try make()
        var random = SplitMix64(seed: 3)
        var model: [Int] = []
        struct Deliberate: Error {}
        for round in 0..<60 {
            let before = model
            do {
                try heap.transaction(mode) { tx in
                    let array = tx.edit(root).numbers
                    switch random.next() % 8 {
                    case 0...3:
                        let new = (0..<Int(random.next() % 5000)).map { $0 * round }
                        try array.append(contentsOf: new)
                        model += new
                    case 4:
                        for _ in 0..<min(model.count, Int(random.next() % 3000)) {
                            #expect(array.removeLast() == model.removeLast())
                        }
                    case 5 where round % 12 == 0:
                        array.removeAll()
                        model = []
                    case 5:
                        try array.reserve(Int(random.next() % 20_000))
                        try array.insert(-1, at: model.count / 2)
                        model.insert(-1, at: model.count / 2)
                    default:
                        array.announce()
                        for _ in 0..<min(100, model.count) {
                            let (a, b) = (
                                Int(random.next() % UInt64(model.count)),
                                Int(random.next() % UInt64(model.count))
                            )
                            array.swapAt(a, b)
                            model.swapAt(a, b)
                            array[a] += 1
                            model[a] += 1
                        }
                    }
                    if round % 5 == 4 { throw Deliberate() }
                }
            } catch is Deliberate { model = before }
            #expect(heap[root].numbers.elements(in: heap) == model)
            if round % 10 == 0 {
                heap.collect()
                try heap.checkInvariants()
            }
        }
        #expect(heap[root].numbers.view(in: heap) == model)
    }

    @Test(arguments: [LogMode.redo, .undo]) func aDictionaryHoldsWhatSwiftsDoes(_ mode: LogMode)
        throws
    {
        let (heap, root) = try make()
        var random = SplitMix64(seed: 5)
        var model: [Int: Int] = [:]
        struct Deliberate: Error {}
        for round in 0..<60 {
            let before = model
            do {
                try heap.transaction(mode) { tx in
                    let table = tx.edit(root).squares
                    for _ in 0..<Int(random.next() % 2000) {
                        let key = Int(random.next() % 20_000)
                        if random.next() % 3 == 0 {
                            #expect(table.removeValue(forKey: key)?.value == model[key])
                            model[key] = nil
                        } else {
                            #expect(try table.updateValue(round, forKey: key) == model[key])
                            model[key] = round
                        }
                    }
                    if round == 40 {
                        table.removeAll { $0.key % 2 == 0 }
                        model = model.filter { $0.key % 2 != 0 }
                    }
                    if round == 50 {
                        table.removeAll()
                        model = [:]
                    }
                    #expect(table.count == model.count)
                    if round % 5 == 4 { throw Deliberate() }
                }
            } catch is Deliberate { model = before }
            try heap[root].squares.checkTable(in: heap)
            #expect(heap[root].squares.view(in: heap) == model)
            if round % 10 == 0 {
                heap.collect()
                try heap.checkInvariants()
            }
        }
        for key in 0..<20_000 {
            #expect(heap[root].squares.value(forKey: key, in: heap) == model[key])
        }
    }

    /// Pairs that no bit tells apart share a bucket that grows.
    @Test func aPoorHashCostsTimeOnly() throws {
        let heap = try file.open { $0.collectsAtOpen = false }
        let root = try heap.root(named: "poor", as: PoorRoot.self) {
            PoorRoot(table: PDictionary())
        }
        for start in stride(from: 0, to: 800, by: 100) {
            try heap.transaction(.undo) { tx in
                for number in start..<(start + 100) {
                    try tx.edit(root).table.updateValue(number, forKey: PoorKey(number: number))
                }
            }
        }
        try heap[root].table.checkTable(in: heap)
        heap.collect()
        try heap.checkInvariants()
        try heap.transaction { tx in
            for number in 0..<700 {
                tx.edit(root).table.removeValue(forKey: PoorKey(number: number))
            }
        }
        #expect(heap.view(root).table.map(\.value).sorted() == Array(700..<800))
    }

    /// Arenas of 128 KiB, and containers of several times that.
    @Test func containersAreLargerThanAnArena() throws {
        let (heap, root) = try make {
            $0.arenaShift = 17
            $0.laneCount = 2
            $0.laneBytes = LaneFormat.minimumBytes
        }
        // Outside `fileSync` the log of a redo transaction is one object.
        for start in stride(from: 0, to: 60_000, by: 500) {
            try heap.transaction(start % 1000 == 0 ? .redo : .undo) { tx in
                let edit = tx.edit(root)
                for number in start..<(start + 500) {
                    try edit.numbers.append(number)
                    try edit.names.updateValue(number, forKey: "\(number)")
                }
            }
        }
        #expect(heap[root].names.count == 60_000)
        #expect(heap[root].names.value(forKey: "59999", in: heap) == 59_999)
        #expect(heap[root].numbers.element(at: 59_999, in: heap) == 59_999)
        try heap[root].names.checkTable(in: heap)
        heap.collect()
        try heap.checkInvariants()
        heap.close()
        let again = try file.open { $0.collectsAtOpen = false }
        let found = try #require(try again.root(named: "flat", as: PieceRoot.self))
        again.collect()
        #expect(again[found].numbers.elements(in: again) == Array(0..<60_000))
        try again.transaction { tx in
            tx.edit(found).names.removeAll()
            tx.edit(found).numbers.removeAll()
        }
        let live = try again.checkInvariants().liveBytes
        #expect(live < 10_000)
        // All of it was given back, not left to the collector.
        #expect(again.collect().freedPages == 0)
    }

    /// Each insertion writes what it changed, and a bucket or a piece now and then; the file's growth
    /// apart, none writes what the container holds.
    @Test(arguments: [LogMode.redo, .undo]) func aGrowingTransactionLogsWhatItChanges(
        _ mode: LogMode
    ) throws {
        var options = file.options
        options.collectsAtOpen = false
        options.arenaShift = 24
        options.initialSize = 1 << 24
        options.laneBytes = 1 << 18
        let heap = try PersistentHeap(path: file.path, domain: .fileSync, options: options)
        let root = try heap.root(named: "flat", as: PieceRoot.self) {
            PieceRoot(numbers: PArray(), names: PDictionary(), squares: PDictionary())
        }
        try heap.transaction(mode) { tx in
            for number in 0..<40_000 {
                try tx.edit(root).squares.updateValue(number, forKey: number)
                try tx.edit(root).numbers.append(number)
            }
        }
        var most = 0
        for number in 40_000..<42_500 {
            let before = heap.region.writtenPages
            try heap.transaction(mode) { tx in
                try tx.edit(root).squares.updateValue(number, forKey: number)
                try tx.edit(root).numbers.append(number)
            }
            most = max(most, heap.region.writtenPages - before)
        }
        // A piece of 16 KiB, two buckets of 8 KiB, their heads and the log's last page.
        #expect(most <= 12)
        try heap.checkInvariants()
    }

    /// Made by format 3: an array of 6,000 numbers and tables of 1,500 keys, each in one buffer.
    @Test(arguments: [LogMode.redo, .undo]) func aHeapOfFormat3Opens(_ mode: LogMode) throws {
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../Fixtures/format3.heap.gz").path
        let command = Process()
        command.executableURL = URL(fileURLWithPath: "/bin/sh")
        command.arguments = ["-c", "gzip -dc '\(fixture)' > '\(file.path)'"]
        try command.run()
        command.waitUntilExit()
        let heap = try file.open()
        let root = try #require(try heap.root(named: "flat", as: PieceRoot.self))
        var numbers = (0..<6000).map { $0 * 3 }
        var names: [String: Int] = [:]
        for number in 0..<1500 where number % 7 != 0 { names["key \(number)"] = number }
        var squares = Dictionary(uniqueKeysWithValues: (0..<1500).map { ($0, $0 * $0) })
        heap.waitForCollector()
        for round in 0..<3 {
            #expect(heap[root].numbers.elements(in: heap) == numbers)
            #expect(heap.view(root).names == names)
            #expect(heap.view(root).squares == squares)
            try heap[root].names.checkTable(in: heap)
            try heap.checkInvariants()
            try heap.transaction(mode) { tx in
                let edit = tx.edit(root)
                for number in 0..<3000 {
                    try edit.numbers.append(number)
                    numbers.append(number)
                    try edit.names.updateValue(number, forKey: "new \(round) \(number)")
                    names["new \(round) \(number)"] = number
                    try edit.squares.updateValue(round, forKey: number)
                    squares[number] = round
                }
            }
            heap.collect()
        }
    }
}
