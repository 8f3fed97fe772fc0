import PersistentHeap

@Persistent public final class CrashLink {
    public var value: Int
    public var next: CrashLink?
    /// The link before; none for the head.
    public var previous: CrashLink?
    public var head: CrashHead
    public init(value: Int, next: CrashLink?, head: CrashHead) {
        self.value = value
        self.next = next
        self.previous = nil
        self.head = head
    }
}

/// A doubly linked list, with ordinary methods.
@Persistent public final class CrashHead {
    public var first: CrashLink?
    public var count: Int
    public init() {
        first = nil
        count = 0
    }

    func pop() {
        guard let link = first else { return }
        first = link.next
        first?.previous = nil
        count -= 1
    }

    func insert(_ link: CrashLink) {
        link.next = first
        first?.previous = link
        first = link
        count += 1
    }

    func reverse() {
        var (next, reversed) = (first, CrashLink?.none)
        while let link = next {
            next = link.next
            link.next = reversed
            link.previous = next
            reversed = link
        }
        first = reversed
    }

    /// The values, after checking that all references agree.
    func values() throws -> [Int] {
        var found: [Int] = []
        var (next, last) = (first, CrashLink?.none)
        while let link = next {
            guard link.previous === last, link.head === self, found.count <= count else {
                throw CrashFailure("link \(found.count) refers to the wrong objects")
            }
            found.append(link.value)
            last = link
            next = link.next
        }
        guard found.count == count else {
            throw CrashFailure("count \(count), but the list is \(found)")
        }
        return found
    }
}

/// The lists a recovered heap may hold now; nil while there may be no root.
private final class AllowedLists {
    var lists: [[Int]?] = [nil]
}

extension CrashCampaign {
    static var nativeOptions: HeapOptions {
        var options = Self.options
        options.nativeTypes = [CrashHead.self]
        return options
    }

    /// Transactions on native objects; then the heap is opened at other addresses, some of which
    /// overlap the last. Every cut is recovered at one more address.
    mutating func runNative() throws {
        var random = SplitMix64(seed: seed)
        let allowed = AllowedLists()
        let probe = Probe(
            seed: seed, bytes: Self.bytes, images: imagesPerStep, options: Self.nativeOptions
        ) { heap in
            let found = try heap.root(named: "links", as: CrashHead.self).map { try $0.values() }
            guard allowed.lists.contains(found) else {
                throw CrashFailure(
                    "found \(String(describing: found)), expected one of \(allowed.lists)")
            }
        }
        let words = Self.bytes / 8
        let slab = UnsafeMutablePointer<UInt64>.allocate(capacity: words * 4)
        defer { slab.deallocate() }
        let place = (Int(bitPattern: slab) + 8191) & ~8191
        var image: [UInt64] = []
        var committed: UInt64 = 0
        for visit in 0..<4 {
            // The first three overlap one another; the last does not.
            let shift = visit == 3 ? Self.bytes * 2 : Int(random.next() % 16) * 8192
            let view = UnsafeMutablePointer<UInt64>(bitPattern: place + shift)
            let memory = SimulatedMemory(bytes: Self.bytes, at: view)
            memory.journals = journals && visit % 2 == 0
            if visit > 0 { memory.load(image, committedBytes: committed) }
            memory.onStep = { probe.crash($0) }
            probe.operation = "opening at the address of visit \(visit)"
            try visitNative(memory, probe, &random, allowed)
            (image, committed) = (memory.contents, memory.committedBytes)
        }
        try finish(probe)
    }

    private func visitNative(
        _ memory: SimulatedMemory, _ probe: Probe, _ random: inout SplitMix64,
        _ allowed: AllowedLists
    ) throws {
        let heap = try PersistentHeap(region: memory.region(), options: Self.nativeOptions)
        var model = allowed.lists[0] ?? []
        allowed.lists.append(model)
        let head = try heap.root(named: "links", as: CrashHead.self) { CrashHead() }
        allowed.lists = [model]
        for _ in 0..<(operations / 3) {
            let choice = random.next() % 8
            let value = Int(random.next() % 97)
            var after = model
            Self.apply(choice, value, to: &after)
            allowed.lists = [model, after]
            probe.operation = "native operation \(choice) on \(model)"
            if try Self.run(choice, value, head, heap) { model = after }
            allowed.lists = [model]
        }
        memory.onStep = nil
        try heap.checkInvariants()
    }

    /// Keeps what one transaction changes small enough for the log of a very small heap.
    private static let longest = 40

    private static func apply(_ choice: UInt64, _ value: Int, to model: inout [Int]) {
        switch choice {
        case 0...3 where model.count > longest: model.removeAll()
        case 0...3: model.insert(contentsOf: (0...(value % 5)).reversed(), at: 0)
        case 4: if !model.isEmpty { model.removeFirst() }
        case 5: model.reverse()
        default: break
        }
    }

    private struct Deliberate: Error {}

    /// False if the operation did not fit the very small heap, and was undone.
    private static func run(
        _ choice: UInt64, _ value: Int, _ head: CrashHead, _ heap: PersistentHeap
    ) throws -> Bool {
        if choice == 7 {
            heap.collect()
            return true
        }
        do {
            try heap.transaction(.undo) { tx in
                switch choice {
                case 0...3 where head.count > longest: for _ in 0..<head.count { head.pop() }
                case 0...3, 6:
                    for value in 0...(value % 5) {
                        head.insert(try tx.pnew(CrashLink(value: value, next: nil, head: head)))
                    }
                    if choice == 6 {
                        head.reverse()
                        throw Deliberate()
                    }
                case 4: head.pop()
                default: head.reverse()
                }
            }
        } catch is Deliberate {
        } catch PersistentMemoryError.full { return false } catch HeapError.full { return false }
        return true
    }
}
