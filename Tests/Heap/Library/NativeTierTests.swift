import PersistentHeap
import Testing

@Persistent final class Person {
    let birthYear: Int32
    var age: Int
    var score: Double
    var isMember: Bool
    var color: Color
    var friend: Person?
    var home: House?

    init(age: Int, friend: Person? = nil) {
        self.birthYear = Int32(2000 - age)
        self.age = age
        self.score = Double(age) / 2
        self.isMember = age % 2 == 0
        self.color = .green
        self.friend = friend
        self.home = nil
    }

    /// Ordinary methods, used on volatile and on persistent objects.
    func grow() { age += 1 }

    func ages() -> [Int] {
        var found: [Int] = []
        var next: Person? = self
        while let person = next {
            found.append(person.age)
            next = person.friend
        }
        return found
    }
}

@Persistent("House") final class House {
    var number: Int
    var owner: Person
    init(number: Int, owner: Person) {
        self.number = number
        self.owner = owner
    }
}

/// An ordinary function, for objects of either heap.
private func totalAge(_ people: [Person]) -> Int {
    people.reduce(0) { $0 + $1.ages().reduce(0, +) }
}

@Suite struct NativeTierTests {
    private func open(_ file: TemporaryHeap, at address: UInt? = nil) throws -> PersistentHeap {
        try file.open {
            $0.nativeTypes = [Person.self]
            $0.address = address
            $0.unmapsNativeObjects = address != nil
        }
    }

    private func makePeople(_ count: Int, _ heap: PersistentHeap) throws {
        try heap.transaction(.undo) { tx in
            var last: Person?
            for age in 0..<count { last = try tx.pnew(Person(age: age, friend: last)) }
            try tx.setRoot(named: "people", to: #require(last))
        }
    }

    @Test func objectsSurviveAtAnotherAddress() throws {
        let file = TemporaryHeap()
        do {
            let heap = try open(file, at: 0x5500_0000_0000)
            try furnish(heap)
            heap.close()
        }
        // Elsewhere, back again, overlapping the last place by most of the heap, and wherever the
        // system likes.
        for address in [
            0x5600_0000_0000, 0x5500_0000_0000, 0x5500_0001_0000, 0x5500_0000_0000, nil,
        ] as [UInt?] {
            let heap = try open(file, at: address)
            heap.waitForCollector()
            #expect(address == nil || UInt(bitPattern: heap.region.base) == address)
            try expectFurnished(heap)
            try heap.checkInvariants()
            heap.close()
        }
    }

    // Functions of their own: no variable of theirs refers to an object any more when the heap is
    // unmapped.
    @inline(never) private func furnish(_ heap: PersistentHeap) throws {
        try makePeople(1000, heap)
        let person = try #require(try heap.root(named: "people", as: Person.self))
        try heap.transaction(.undo) { tx in
            person.home = try tx.pnew(House(number: 7, owner: person))
        }
    }

    @inline(never) private func expectFurnished(_ heap: PersistentHeap) throws {
        let person = try #require(try heap.root(named: "people", as: Person.self))
        #expect(person.ages() == Array((0..<1000).reversed()))
        #expect(person.friend?.score == 499)
        #expect(person.birthYear == 1001)
        #expect(person.home?.owner === person)
        #expect(person.home?.number == 7)
        #expect((person as AnyObject) is Person)
    }

    @Test func variablesMayOutliveTheHeap() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        let person = try heap.root(named: "person", as: Person.self) { Person(age: 10) }
        heap.close()
        let copies = [person, person]
        #expect(copies.count == 2)
    }

    @Test func theHeapIsMappedWhereItsObjectsAreIfThatIsFree() throws {
        let file = TemporaryHeap()
        let address: UInt = 0x5A00_0000_0000
        do {
            let heap = try open(file, at: address)
            try makePeople(1, heap)
            heap.close()
        }
        let heap = try open(file)
        #expect(UInt(bitPattern: heap.region.base) == address)
    }

    @Test func methodsAndFunctionsWorkOnBoth() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        let volatile = Person(age: 1)
        volatile.grow()
        #expect(volatile.age == 2)
        #expect(!heap.contains(volatile))
        let person = try heap.root(named: "person", as: Person.self) { Person(age: 10) }
        #expect(heap.contains(person))
        try heap.transaction(.undo) { _ in person.grow() }
        #expect(person.age == 11)
        #expect(totalAge([volatile, person]) == 13)
        // Volatile to persistent is free.
        volatile.friend = person
        #expect(volatile.ages() == [2, 11])
    }

    @Test func anAbortUndoesWhatMethodsDid() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        let person = try heap.root(named: "person", as: Person.self) { Person(age: 10) }
        #expect(throws: Deliberate.self) {
            try heap.transaction(.undo) { tx in
                tx.announce(person)
                person.grow()
                person.friend = person
                person.color = .blue
                throw Deliberate()
            }
        }
        #expect(person.age == 10)
        #expect(person.friend == nil)
        #expect(person.color == .green)
    }

    @Test func aFullLogIsAnErrorAndUndoesEverything() throws {
        let file = TemporaryHeap()
        let heap = try file.open {
            $0.nativeTypes = [Person.self]
            $0.laneBytes = LaneFormat.minimumBytes
            $0.arenaShift = 17
            $0.maximumSize = 1 << 18
        }
        try heap.transaction(.undo) { tx in
            var last: Person?
            for age in 0..<500 { last = try tx.pnew(Person(age: age, friend: last)) }
            try tx.setRoot(named: "people", to: #require(last))
        }
        let head = try #require(try heap.root(named: "people", as: Person.self))
        let before = head.ages()
        #expect(throws: PersistentMemoryError.self) {
            try heap.transaction(.undo) { _ in
                for _ in 0..<20 {
                    var next: Person? = head
                    while let person = next {
                        person.age += 1
                        person.color = .red
                        next = person.friend
                    }
                }
            }
        }
        #expect(head.ages() == before)
        #expect(head.color == .green)
    }

    @Test func storesOutsideATransactionAreAskedForByName() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        let person = try heap.root(named: "person", as: Person.self) { Person(age: 10) }
        heap.unlogged { access in
            person.grow()
            access.persist(person)
        }
        #expect(person.age == 11)
    }

    @Test func countsOfPersistentObjectsAreNeverWritten() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        try makePeople(10, heap)
        let person = try #require(try heap.root(named: "people", as: Person.self))
        let words = Unmanaged.passUnretained(person).toOpaque().assumingMemoryBound(to: UInt64.self)
        let before = words[1]
        var copies: [Person] = []
        for _ in 0..<1000 { copies.append(person) }
        #expect(totalAge(copies) == 45 * 1000)
        copies.removeAll()
        #expect(words[1] == before)
    }

    @Test func aVolatileObjectCannotBeReferredTo() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        #expect(throws: HeapError.self) { try heap.pnew(Person(age: 1, friend: Person(age: 2))) }
        #expect(throws: HeapError.self) {
            try heap.transaction(.undo) { tx in try tx.setRoot(named: "person", to: Person(age: 1))
            }
        }
    }

    @Test func whatDoesNotFitIsRefusedByName() throws {
        let file = TemporaryHeap()
        do {
            let heap = try open(file)
            _ = try heap.root(named: "person", as: Person.self) { Person(age: 1) }
            #expect(throws: HeapError.wrongType(name: "person", stored: "Person", asked: "House")) {
                try heap.root(named: "person", as: House.self)
            }
            heap.close()
        }
        // Without the class, with another class of its name, with a toolchain that fails, with
        // locks.
        #expect(throws: HeapError.self) { try file.open() }
        #expect { try file.open { $0.nativeTypes = [OtherPerson.self] } } throws: { error in
            guard case HeapError.changedLayout(let type, _, _) = error else { return false }
            return type == "Person"
        }
        let reason = "retain writes the count of an immortal object"
        #expect(throws: HeapError.nativeTierRefused(reason: reason)) {
            try file.open {
                $0.nativeTypes = [Person.self]
                $0.nativeSelfTest = { reason }
            }
        }
        #expect(throws: HeapError.self) {
            try file.open {
                $0.nativeTypes = [Person.self]
                $0.isolation = .locking
            }
        }
        #expect(throws: Never.self) { try open(file) }
    }

    @Test func theSelfTestNoticesCountsThatAreWritten() {
        #expect(
            NativeTierProbe.selfTest(counts: 3) == "retain writes the count of an immortal object")
        #expect(NativeTierProbe.selfTest(counts: nil) == nil)
    }

    @Test func aClassWithASuperclassIsRefused() throws {
        let file = TemporaryHeap()
        #expect(throws: HeapError.self) { try file.open { $0.nativeTypes = [Derived.self] } }
    }

    @Test func unreachableObjectsAreCollected() throws {
        let file = TemporaryHeap()
        let heap = try open(file)
        let kept = try heap.pnew(Person(age: 77))
        heap.pin(kept)
        for _ in 0..<5 {
            try heap.transaction(.undo) { tx in
                var last: Person?
                for age in 0..<5000 { last = try tx.pnew(Person(age: age, friend: last)) }
            }
            heap.collect()
        }
        #expect(heap.committedBytes <= 2 << 20)
        #expect(kept.age == 77)
        heap.unpin(kept)
        heap.collect()
        #expect(try heap.checkInvariants().types.allSatisfy { $0.name != "Person" })
    }
}

@Persistent("Person") final class OtherPerson {
    var age: Int
    init() { age = 0 }
}

class Base { var inherited = 1 }

@Persistent final class Derived: Base {
    var own: Int = 2
}
