import PersistentHeap

// bookshelf1 FILE TITLE YEAR AUTHOR: the first version of `bookshelf`, in which a book knew less.
// It is here so that check-bookshelf.sh has an old file that the current version migrates.

@Persistent struct Book {
    var title: PString
    var year: Int
    var author: PRef<Author>
}

@Persistent struct Author {
    var name: PString
    var books: PArray<PRef<Book>>
}

@Persistent struct Mark: Comparable {
    var year: Int
    var number: Int
    static func < (a: Mark, b: Mark) -> Bool { (a.year, a.number) < (b.year, b.number) }
}

extension Mark: PersistentOrderedKey {}

@Persistent struct Library {
    var added: Int
    var authors: PSortedDictionary<PString, PRef<Author>>
    var byYear: PSortedDictionary<Mark, PRef<Book>>
    var byTitle: PSortedDictionary<PString, PRef<Book>>
}

func run(_ path: String, _ title: String, _ year: Int, _ name: String) throws {
    let heap = try PersistentHeap(path: path)
    defer { heap.close() }
    let root = try heap.root(named: "library", as: Library.self) {
        Library(
            added: 0, authors: PSortedDictionary(), byYear: PSortedDictionary(),
            byTitle: PSortedDictionary())
    }
    try heap.transaction { tx in
        let library = tx.edit(root)
        var author = library.authors[name]
        if author == nil {
            author = try tx.new(Author(name: tx.string(name), books: PArray()))
            library.authors[name] = author
        }
        guard let author else { return }
        let book = try tx.new(Book(title: tx.string(title), year: year, author: author))
        library.added += 1
        library.byYear[Mark(year: year, number: library.added)] = book
        library.byTitle[title] = book
        try tx.edit(author).books.append(book)
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 5, let year = Int(arguments[3]) else {
    fatalError("usage: bookshelf1 FILE TITLE YEAR AUTHOR")
}
try run(arguments[1], arguments[2], year, arguments[4])
