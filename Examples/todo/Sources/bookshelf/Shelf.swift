import PersistentHeap

struct Refusal: Error, CustomStringConvertible { let description: String }

/// What the program can do; each change is one transaction, durable when the method returns.
struct Shelf {
    let heap: PersistentHeap
    let root: PRef<Library>

    init(path: String) throws {
        var options = HeapOptions()
        options.migrations = [bookMigration]
        heap = try PersistentHeap(path: path, options: options)
        root = try heap.root(named: "library", as: Library.self) {
            Library(
                added: 0, authors: PSortedDictionary(), byYear: PSortedDictionary(),
                byTitle: PSortedDictionary())
        }
    }

    /// The library with its fields by name, strings as `String`.
    var library: PView<Library> { heap.view(root) }

    // MARK: Changes

    func add(_ title: String, _ year: Int, by name: String) throws {
        try heap.transaction { tx in
            let library = tx.edit(root)
            guard library.byTitle[title] == nil else {
                throw Refusal(description: "\(title) is there already")
            }
            let author = try author(name, tx)
            let book = try tx.new(
                Book(title: tx.string(title), year: year, author: author, lentTo: PString()))
            library.added += 1
            library.byTitle[title] = book
            library.byYear[Mark(year: year, number: library.added)] = book
            try tx.edit(author).books.append(book)
        }
    }

    /// The author of a name, made if there is none.
    private func author(_ name: String, _ tx: borrowing Transaction) throws -> PRef<Author> {
        if let known = tx.edit(root).authors[name] { return known }
        let author = try tx.new(Author(name: tx.string(name), books: PArray()))
        tx.edit(root).authors[name] = author
        return author
    }

    func lend(_ title: String, to person: String) throws {
        try heap.transaction { tx in
            let book = try find(title, tx)
            let holder = tx.view(book).lentTo
            guard holder.isEmpty || person.isEmpty else {
                throw Refusal(description: "\(holder) has \(title)")
            }
            tx.edit(book).lentTo = try tx.string(person)
        }
    }

    /// Removes a book from every order, and its author with the last one.
    func remove(_ title: String) throws {
        try heap.transaction { tx in
            let library = tx.edit(root)
            let book = try find(title, tx)
            let author = tx[book].author
            library.byTitle[title] = nil
            library.byYear.removeAll { $0.value == book }
            tx.edit(author).books.removeAll { $0 == book }
            if tx.edit(author).books.isEmpty { library.authors[tx.view(author).name] = nil }
        }
    }

    private func find(_ title: String, _ tx: borrowing Transaction) throws -> PRef<Book> {
        guard let book = tx.edit(root).byTitle[title] else {
            throw Refusal(description: "there is no \(title)")
        }
        return book
    }

    // MARK: Queries

    func all() -> [PView<Book>] { library.byYear.map(\.value) }

    /// From a year to another, both included.
    func between(_ first: Int, _ last: Int) -> [PView<Book>] {
        library.byYear.range(Mark(year: first, number: 0)..<Mark(year: last + 1, number: 0))
            .map(\.value)
    }

    func titled(_ prefix: String) -> [PView<Book>] {
        library.byTitle.range(prefix...).prefix { $0.key.hasPrefix(prefix) }.map(\.value)
    }

    func by(_ name: String) -> [PView<Book>] {
        library.authors[name]?.books.sorted { $0.year < $1.year } ?? []
    }

    func lent() -> [PView<Book>] {
        library.byTitle.lazy.map(\.value).filter { !$0.lentTo.isEmpty }
    }
}
