import Glibc
import PersistentHeap
import Synchronization

// counter FILE: counts in transactions and prints each number after its transaction, until SIGTERM.
// Before each one it checks what it remembers, so a lost, doubled or half transaction ends it.

@Persistent struct Number {
    var value: Int
    var previous: PRef<Number>?
}

@Persistent struct Numbers {
    var count: Int
    var newest: PRef<Number>?
}

struct Mistake: Error { let text: String }

let kept = 10

/// The newest numbers, newest first.
func newest(_ heap: PersistentHeap, _ numbers: PRef<Numbers>) -> [PRef<Number>] {
    var found: [PRef<Number>] = []
    var next = heap[numbers].newest
    while let number = next {
        found.append(number)
        next = heap[number].previous
    }
    return found
}

func step(_ heap: PersistentHeap, _ numbers: PRef<Numbers>) throws {
    let count = heap[numbers].count
    let list = newest(heap, numbers)
    let expected = (max(0, count - kept)..<count).map { $0 + 1 }
    guard list.reversed().map({ heap[$0].value }) == expected else {
        throw Mistake(text: "the list is \(list.map { heap[$0].value }) after \(count) steps")
    }
    try heap.transaction { tx in
        let edit = tx.edit(numbers)
        edit.count += 1
        edit.newest = try tx.new(Number(value: count + 1, previous: edit.newest))
        // The oldest leaves the list; its memory is for the collector.
        if list.count == kept { tx.edit(list[kept - 2]).previous = nil }
    }
}

let mustStop = Atomic(false)

func run(_ path: String) throws {
    let heap = try PersistentHeap(path: path)
    defer { heap.close() }
    let numbers = try heap.root(named: "numbers", as: Numbers.self) {
        Numbers(count: 0, newest: nil)
    }
    while !mustStop.load(ordering: .relaxed) {
        try step(heap, numbers)
        let count = heap[numbers].count
        if count % 100 == 0 { try heap.makeDurable() }
        print(count)
        fflush(nil)
    }
    print("\(heap.domain): \(heap.collect().markedObjects) objects")
}

guard CommandLine.arguments.count == 2 else {
    print("usage: counter FILE")
    exit(2)
}
signal(SIGTERM) { _ in mustStop.store(true, ordering: .relaxed) }
try run(CommandLine.arguments[1])
