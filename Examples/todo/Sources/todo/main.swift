import PersistentHeap

// todo FILE [add TEXT | done NUMBER | list]: a list that is simply still there the next time.

@Persistent struct Item {
    var text: PString
    var isDone: Bool
    var next: PRef<Item>?
}

@Persistent struct Items {
    var head: PRef<Item>?
    var count: Int
}

func items(_ heap: PersistentHeap, _ list: PRef<Items>) -> [PRef<Item>] {
    var found: [PRef<Item>] = []
    var next = heap[list].head
    while let item = next {
        found.append(item)
        next = heap[item].next
    }
    return found.reversed()
}

func run(_ arguments: [String]) throws {
    let heap = try PersistentHeap(path: arguments[0])
    defer { heap.close() }
    let list = try heap.root(named: "items", as: Items.self) { Items(head: nil, count: 0) }
    switch (arguments.dropFirst().first ?? "list", arguments.dropFirst(2).joined(separator: " ")) {
    case ("add", let text):
        try heap.transaction { tx in
            let edit = tx.edit(list)
            edit.head = try tx.new(Item(text: tx.string(text), isDone: false, next: edit.head))
            edit.count += 1
        }
    case ("done", let number):
        let all = items(heap, list)
        guard let index = Int(number), all.indices.contains(index - 1) else {
            print("there is no item \(number)")
            return
        }
        try heap.transaction { tx in tx.edit(all[index - 1]).isDone = true }
    default:
        for (index, item) in items(heap, list).enumerated() {
            print(
                "\(index + 1). [\(heap[item].isDone ? "x" : " ")] \(heap[item].text.string(in: heap))"
            )
        }
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.isEmpty {
    print("usage: todo FILE [add TEXT | done NUMBER | list]")
} else {
    try run(arguments)
}
