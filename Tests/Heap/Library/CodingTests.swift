import Foundation
import PersistentHeap
import Testing

@Persistent struct Author {
    var name: PString
    var born: Int?
    var mood: Color
    var home: Place
    var works: PArray<PRef<Work>>
    var byYear: PSortedDictionary<Int, PString>
    var scores: PDictionary<PString, Double>
    var days: PDictionary<Int, PArray<Int>>
    var visits: PSortedDictionary<Day, Place>
    var teacher: PRef<Author>?
}

@Persistent struct Place {
    var x: Float
    var y: Float?
    var label: PString
}

@Persistent struct Work {
    var title: PString
    var isLong: Bool
    var author: PRef<Author>?
}

extension Author {
    static var empty: Author {
        Author(
            name: PString(), born: nil, mood: .red, home: Place(x: 0, y: nil, label: PString()),
            works: PArray(), byYear: PSortedDictionary(), scores: PDictionary(),
            days: PDictionary(), visits: PSortedDictionary(), teacher: nil)
    }
}

@Suite struct CodingTests {
    private let file = TemporaryHeap()
    private let heap: PersistentHeap
    private let root: PRef<Author>

    init() throws {
        heap = try file.open { $0.arenaShift = 22 }
        root = try heap.root(named: "author", as: Author.self) { .empty }
    }

    private func fill() throws {
        try heap.transaction { tx in
            let edit = tx.edit(root)
            edit.name = try tx.string("a name longer than fifteen bytes")
            edit.born = -5
            edit.mood = .blue
            edit.home = Place(x: 1.5, y: 2.25, label: try tx.string("home"))
            for title in ["one", "two \"quoted\"", "three, and longer than fifteen"] {
                let work = Work(title: try tx.string(title), isLong: title.count > 9, author: nil)
                try edit.works.append(try tx.new(work))
            }
            for year in [1950, 1900] { edit.byYear[year] = try tx.string("in \(year)") }
            edit.scores["style"] = 0.5
            edit.scores["a key longer than fifteen bytes"] = -1
            var days = PArray<Int>()
            edit.days[3] = days
            days = PArray()
            edit.days[4] = days
            edit.visits[Day(year: 1920, day: 40)] = Place(x: 3, y: nil, label: try tx.string("v"))
            var teacher = Author.empty
            teacher.name = try tx.string("teacher")
            edit.teacher = try tx.new(teacher)
        }
    }

    private func json(_ reference: PRef<Author>) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(heap.view(reference)), as: UTF8.self)
    }

    private func read(_ text: String) throws -> PRef<Author> {
        try heap.transaction { tx in
            let author = try tx.decode(Author.self) {
                try JSONDecoder().decode($0, from: Data(text.utf8))
            }
            try tx.setRoot(named: "copy", to: author)
            return author
        }
    }

    @Test func aGraphGoesOutAndComesBack() throws {
        try fill()
        let text = try json(root)
        #expect(text.contains("\"born\":-5") && text.contains("\"mood\":2"))
        #expect(text.contains("\"byYear\":{\"1900\":\"in 1900\",\"1950\":\"in 1950\"}"))
        #expect(text.contains("\"home\":{\"label\":\"home\",\"x\":1.5,\"y\":2.25}"))
        let copy = try read(text)
        #expect(try json(copy) == text)
        let view = heap.view(copy)
        #expect(view.works.map(\.title)[1] == "two \"quoted\"" && view.works[0].author == nil)
        #expect(view.teacher?.name == "teacher" && view.teacher != heap.view(root).teacher)
        #expect(view.byYear.first?.value == "in 1900" && view.scores["style"] == 0.5)
        #expect(view.visits.first?.key == Day(year: 1920, day: 40) && view.days[3]?.isEmpty == true)
        heap.collect()
        try heap.checkInvariants()
        #expect(try json(copy) == text)
    }

    /// Values read in place: arrays inside a dictionary, optionals that are missing.
    @Test func listsInsideDictionariesAndMissingOptionals() throws {
        try fill()
        let text = try json(root).replacingOccurrences(
            of: "\"days\":{\"3\":[],\"4\":[]}", with: "\"days\":{\"3\":[7,8,9],\"12\":[1]}"
        ).replacingOccurrences(of: "\"born\":-5,", with: "")
        let view = heap.view(try read(text))
        #expect(
            view.days[3].map(Array.init) == [7, 8, 9] && view.days[12]?.first == 1
                && view.days[4] == nil)
        #expect(view.born == nil && heap.view(root).born == -5)
        try heap.checkInvariants()
    }

    @Test func cyclesAreRefusedByName() throws {
        try fill()
        try heap.transaction { tx in
            let work = tx.view(root).works[1].reference
            tx.edit(work).author = root
        }
        let error = #expect(throws: HeapCodingError.self) { try json(root) }
        #expect(
            error
                == .cycle(type: "Author", path: "the root.works[1].author", first: "the root"))
        #expect(
            error?.description.contains("the root.works[1].author refers to the Author") == true)
    }

    @Test func deepListsAreRefusedByName() throws {
        try heap.transaction { tx in
            var last = root
            for _ in 0..<1000 {
                let next = try tx.new(Author.empty)
                tx.edit(last).teacher = next
                last = next
            }
        }
        let error = #expect(throws: HeapCodingError.self) { try json(root) }
        guard case .tooDeep(_, HeapExport.depthLimit) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// What does not fit leaves the heap as it was.
    @Test(arguments: [
        ("\"mood\":2", "\"mood\":9"), ("\"born\":-5", "\"born\":\"x\""),
        ("{\"1900\":", "{\"nineteen\":"), ("\"isLong\":false", "\"isShort\":false"),
    ]) func wrongInputIsRefused(_ change: (String, String)) throws {
        try fill()
        let text = try json(root)
        let wrong = text.replacingOccurrences(of: change.0, with: change.1)
        #expect(wrong != text)
        #expect(throws: DecodingError.self) { try read(wrong) }
        #expect(try heap.root(named: "copy", as: Author.self) == nil)
        #expect(throws: HeapCodingError.notInTransaction) {
            try JSONDecoder().decode(PImport<Author>.self, from: Data(text.utf8))
        }
        try heap.checkInvariants()
    }
}
