import PersistentHeap

// The records. Coming from SwiftData: `@Persistent struct` stands where `@Model class` stood, `PRef`
// where a relationship stood. There is no context and nothing to fetch: an object is where its
// reference says, and a query is a loop over a collection, or a range of an ordered dictionary.

/// A book. Its first version had no `lentTo`.
@Persistent struct Book {
    var title: PString
    var year: Int
    var author: PRef<Author>
    var lentTo: PString
}

/// Someone who wrote books: the list is the other side of `Book.author`, kept by `Shelf`.
@Persistent struct Author {
    var name: PString
    var books: PArray<PRef<Book>>
}

/// A key for an order in which several books have one year.
@Persistent struct Mark: Comparable {
    var year: Int
    var number: Int
    static func < (a: Mark, b: Mark) -> Bool { (a.year, a.number) < (b.year, b.number) }
}

extension Mark: PersistentOrderedKey {}

/// The root: an index for each order that is asked for.
@Persistent struct Library {
    var added: Int
    var authors: PSortedDictionary<PString, PRef<Author>>
    var byYear: PSortedDictionary<Mark, PRef<Book>>
    var byTitle: PSortedDictionary<PString, PRef<Book>>
}

// MARK: Migration

/// A book as the first version stored it: same stable name, other fields.
@Persistent("Book") struct BookV1 {
    var title: PString
    var year: Int
    var author: PRef<Author>
}

/// Runs at the first open of an old file, in one transaction: a crash leaves the old file.
let bookMigration = Migration(from: BookV1.self, to: Book.self) {
    Book(title: $0.title, year: $0.year, author: $0.author, lentTo: PString())
}
