import PersistentHeap

/// A kind of round that runs operations on a heap and on ordinary values beside it.
protocol CrashSeries {
    associatedtype Model: Equatable
    associatedtype Operation
    associatedtype Root
    /// Bytes of the memory.
    var bytes: Int { get }
    var mode: LogMode { get }
    /// What the heap holds when its root has been made.
    var start: Model { get }
    func makeRoot(_ heap: PersistentHeap) throws -> Root
    func randomOperation(_ random: inout SplitMix64) -> Operation
    func apply(_ operation: Operation, to model: inout Model)
    /// Stores in a transaction what the operation says. May throw `CrashAbort`.
    func store(_ operation: Operation, _ root: Root, _ tx: borrowing Transaction) throws
    /// Does an operation that is no transaction; false if it is one.
    func runOutside(_ operation: Operation, _ heap: PersistentHeap, _ model: Model) throws -> Bool
    /// What the heap holds; nil without a root. Throws if its parts contradict one another.
    func read(_ heap: PersistentHeap) throws -> Model?
}

/// An operation that takes itself back.
struct CrashAbort: Error {}

extension CrashSeries {
    /// Throws if the heap holds none of the states that are allowed; nil stands for no root.
    func check(_ heap: PersistentHeap, _ allowed: [Model?]) throws {
        let found = try read(heap)
        guard allowed.contains(where: { $0 == found }) else {
            throw CrashFailure("found \(String(describing: found)), expected one of \(allowed)")
        }
    }

    /// Runs an operation; false if the heap had no room for the log or an object, and keeps what it
    /// had.
    func run(_ operation: Operation, _ heap: PersistentHeap, _ root: Root) throws -> Bool {
        do {
            try heap.transaction(mode) { try store(operation, root, $0) }
        } catch is CrashAbort {} catch HeapError.full { return false } catch PersistentMemoryError
            .full
        { return false }
        return true
    }
}

extension CrashCampaign {
    mutating func run<Series: CrashSeries>(_ series: Series) throws {
        var random = SplitMix64(seed: seed)
        var allowed: [Series.Model?] = [nil]
        let probe = Probe(
            seed: seed, bytes: series.bytes, images: imagesPerStep, options: Self.options
        ) { heap in
            try series.check(heap, allowed)
        }
        let memory = SimulatedMemory(bytes: series.bytes)
        memory.journals = journals
        memory.onStep = { probe.crash($0) }
        var model = series.start
        let heap = try PersistentHeap(region: memory.region(), options: Self.options)
        allowed = [nil, model]
        limit(heap)
        let root = try series.makeRoot(heap)
        allowed = [model]
        for _ in 0..<operations {
            let operation = series.randomOperation(&random)
            var after = model
            series.apply(operation, to: &after)
            allowed = [model, after]
            probe.operation = "\(operation)"
            if try !series.runOutside(operation, heap, model),
                try !series.run(operation, heap, root)
            {
                after = model
            }
            model = after
            allowed = [model]
            try series.check(heap, allowed)
        }
        memory.onStep = nil
        try heap.checkInvariants()
        if heap.growthsForTests > 0 { result.grown += 1 }
        try finish(probe)
    }

    /// Some rounds have pages to spare for few of the stores in place, or leave new objects out of
    /// the log.
    private func limit(_ heap: PersistentHeap) {
        for lane in heap.lanesForTests {
            if seed / 16 % 2 == 1 { lane.state.pointee.mostPrivateRuns = 2 }
            if seed / 32 % 2 == 1 { lane.state.pointee.mostObjectBytes = 8192 }
        }
    }
}
