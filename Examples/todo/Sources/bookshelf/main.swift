import PersistentHeap

let usage = """
    usage: bookshelf FILE COMMAND
      add TITLE YEAR AUTHOR   lend TITLE PERSON   back TITLE   remove TITLE
      all   between YEAR YEAR   titled PREFIX   by AUTHOR   lent   authors
      backup FILE
    """

func show(_ books: [PView<Book>]) {
    for book in books {
        let lent = book.lentTo.isEmpty ? "" : ", lent to \(book.lentTo)"
        print("\(book.year) \(book.title), \(book.author.name)\(lent)")
    }
}

func run(_ shelf: Shelf, _ words: [String]) throws {
    switch (words.first ?? "all", words.count) {
    case ("add", 4):
        guard let year = Int(words[2]) else { return print(usage) }
        try shelf.add(words[1], year, by: words[3])
    case ("lend", 3): try shelf.lend(words[1], to: words[2])
    case ("back", 2): try shelf.lend(words[1], to: "")
    case ("remove", 2): try shelf.remove(words[1])
    case ("all", _): show(shelf.all())
    case ("between", 3):
        guard let first = Int(words[1]), let last = Int(words[2]) else { return print(usage) }
        show(shelf.between(first, last))
    case ("titled", 2): show(shelf.titled(words[1]))
    case ("by", 2): show(shelf.by(words[1]))
    case ("lent", 1): show(shelf.lent())
    case ("authors", 1):
        for (name, author) in shelf.library.authors { print("\(name): \(author.books.count)") }
    case ("backup", 2): try shelf.heap.backup(to: words[1])
    default: print(usage)
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.isEmpty {
    print(usage)
} else {
    let shelf = try Shelf(path: arguments[0])
    defer { shelf.heap.close() }
    do { try run(shelf, Array(arguments.dropFirst())) } catch let refusal as Refusal {
        print(refusal)
    }
}
