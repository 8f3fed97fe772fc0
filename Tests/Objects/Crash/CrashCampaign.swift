import ObjectCore
import PersistentMemory

/// Power cuts at every persist step of random transactions over several objects.
///
/// A round runs one seeded series of operations. Before each persist step it makes images of what a
/// cut would leave, opens a space on each, and compares all objects with the model: the state before
/// or after the operation that was running, nothing else; every byte of data is in use or free.
/// Now and then the recovery is cut too, or a collection runs on what was recovered.
public struct ObjectCampaign {
    public struct Result: Sendable {
        public var points = 0
        public var recoveriesCut = 0
        public var replayed = 0
        public var undone = 0
        /// Objects that a collection took back after a cut: created and not committed.
        public var orphans = 0
        /// Table entries that it gave back.
        public var entries = 0
        public init() {}

        public mutating func add(_ other: Result) {
            points += other.points
            recoveriesCut += other.recoveriesCut
            replayed += other.replayed
            undone += other.undone
            orphans += other.orphans
            entries += other.entries
        }
    }

    static let objects = 12
    public let seed: UInt64
    public var operations = 16
    public var imagesPerStep = 2
    public private(set) var result = Result()

    public init(seed: UInt64) { self.seed = seed }

    /// Each log in turn: redo, undo, journal blocks.
    private var mode: LogMode { seed % 3 == 1 ? .undo : .redo }
    private var journals: Bool { seed % 3 == 2 }

    public mutating func run() throws {
        do { try runRound() } catch { throw CrashFailure("seed \(seed): \(error)") }
    }

    private mutating func runRound() throws {
        var random = SplitMix64(seed: seed)
        let store = SimulatedStore(objects: Self.objects, journals: journals)
        let space = try ObjectSpace(store: store)
        let probe = Probe(seed: seed, journals: journals, images: imagesPerStep)
        let workload = CrashWorkload(space: space, mode: mode)
        var model: SpaceModel = [:]
        var created = 0
        store.memory.onStep = { _ in probe.crash(store) }
        for _ in 0..<operations {
            let operation = CrashOperation.random(&random, model, created: created)
            if case .create = operation { created += 1 }
            var after = model
            operation.apply(to: &after)
            probe.allowed = [model, after]
            probe.operation = "\(operation)"
            try workload.run(operation, model)
            model = after
            probe.allowed = [model]
            if let failure = probe.failure { throw CrashFailure(failure) }
        }
        store.memory.onStep = nil
        guard try CrashWorkload.model(of: space) == model else {
            throw CrashFailure("the space without a cut is not what it should be")
        }
        result.add(probe.result)
        space.close()
    }
}

/// Cuts the power and looks at what comes back.
private final class Probe {
    var allowed: [SpaceModel] = []
    var operation = ""
    private(set) var failure: String?
    private(set) var result = ObjectCampaign.Result()
    private var random: SplitMix64
    private var image: [UInt64]
    private let images: Int
    private let recovered: SimulatedStore

    init(seed: UInt64, journals: Bool, images: Int) {
        random = SplitMix64(seed: seed ^ 0xC4A5)
        self.images = images
        recovered = SimulatedStore(objects: ObjectCampaign.objects, journals: journals)
        image = Array(
            repeating: 0, count: (ObjectCampaign.objects + 1) * Int(SimulatedStore.chunk) / 8)
    }

    func crash(_ store: SimulatedStore) {
        for _ in 0..<images where failure == nil {
            store.memory.crashImage(into: &image, random: &random)
            result.points += 1
            recovered.memory.load(image, committedBytes: store.memory.committedBytes)
            recovered.files = store.files
            if random.next() % 16 == 0 { cutRecovery() }
            do { try look() } catch { failure = "after \(operation): \(error)" }
        }
    }

    /// A second cut, somewhere in the recovery from the first.
    private func cutRecovery() {
        var second: [UInt64]?
        var steps = random.next() % 12
        let choice = random.next()
        recovered.memory.onStep = { memory in
            if steps == 0, second == nil {
                var image = [UInt64](repeating: 0, count: self.image.count)
                var random = SplitMix64(seed: choice)
                memory.crashImage(into: &image, random: &random)
                second = image
            }
            steps &-= 1
        }
        if let space = try? ObjectSpace(store: recovered) { space.close() }
        recovered.memory.onStep = nil
        recovered.memory.load(second ?? image, committedBytes: recovered.memory.committedBytes)
        guard second != nil else { return }
        result.recoveriesCut += 1
        result.points += 1
    }

    private func look() throws {
        let space = try ObjectSpace(store: recovered)
        defer { space.close() }
        result.replayed += space.recovery.replayedTransactions
        result.undone += space.recovery.undoneRanges
        try compare(space)
        guard random.next() % 8 == 0 else { return }
        let collection = try space.collect()
        result.orphans += collection.removed
        result.entries += collection.entries
        try compare(space)
        let named = try space.names().count
        guard try space.identifiersOfAll().count == collection.reachable,
            collection.reachable == (named == 0 ? collection.reachable : named + 1)
        else { throw CrashFailure("a collection took or left other objects than it should") }
    }

    private func compare(_ space: ObjectSpace) throws {
        let found = try CrashWorkload.model(of: space)
        guard allowed.contains(found) else {
            throw CrashFailure("found \(found), expected one of \(allowed)")
        }
    }
}
