import PersistentHeap

/// Power cuts at every persist step of random transactions, on memory that forgets.
///
/// A round runs one seeded series of operations. Before each persist step it makes crash images,
/// recovers a heap from each, and compares it with the model: the state before or after the
/// operation that was running, nothing else. Every so often the recovery itself is cut, and
/// recovered again.
public struct CrashCampaign {
    /// What a round does.
    public enum Kind: String, CaseIterable, Sendable {
        /// Lists, tables, arrays and texts, with growth of the file and collections, under each
        /// log.
        case redo, undo
        /// Native objects, and their move to other addresses.
        case native
        /// Migration of a type's layout.
        case migration
        /// Transactions of several lanes at the same time, under each log.
        case lanesRedo, lanesUndo
        /// Ordered dictionaries under either log, and backups.
        case sorted

        /// The kind of a round follows from its seed, so that the seed reproduces it.
        public init(seed: UInt64) {
            switch seed % 8 {
            case 0, 1: self = .undo
            case 2, 3: self = .redo
            case 4: self = .native
            case 5: self = seed / 8 % 4 >= 2 ? .sorted : .migration
            case 6: self = .lanesRedo
            default: self = .lanesUndo
            }
        }
    }

    public struct Result: Sendable {
        public var points = 0
        public var recoveriesCut = 0
        public var replayed = 0
        public var undone = 0
        /// Rounds in which the file grew.
        public var grown = 0
        public init() {}

        public mutating func add(_ other: Result) {
            points += other.points
            recoveriesCut += other.recoveriesCut
            replayed += other.replayed
            undone += other.undone
            grown += other.grown
        }
    }

    public var seed: UInt64
    public var kind: Kind
    public var operations = 24
    public var imagesPerStep = 2
    /// Every other round commits by journal blocks, as on a file.
    let journals: Bool
    public internal(set) var result = Result()
    static let bytes = 1 << 18

    public init(seed: UInt64, kind: Kind? = nil) {
        self.seed = seed
        self.kind = kind ?? Kind(seed: seed)
        journals = seed / 8 % 2 == 1
    }

    public static var options: HeapOptions {
        var options = HeapOptions()
        // Less than an arena: the file grows within one, and by one.
        options.initialSize = 1 << 16
        options.arenaShift = 17
        options.laneCount = 2
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        return options
    }

    /// Runs one round. Throws on the first wrong state, naming what reproduces it.
    public mutating func run() throws {
        do {
            switch kind {
            case .redo: try runValues(.redo)
            case .undo: try runValues(.undo)
            case .native: try runNative()
            case .migration: try runMigration()
            case .lanesRedo: try runLanes(.redo)
            case .lanesUndo: try runLanes(.undo)
            case .sorted: try runSorted()
            }
        } catch {
            throw CrashFailure("seed \(seed), \(kind): \(error)")
        }
    }

    /// Adds what a probe saw, and throws what it found wrong.
    mutating func finish(_ probe: Probe) throws {
        result.add(probe.result)
        if let failure = probe.failure { throw CrashFailure(failure) }
    }

    private mutating func runValues(_ mode: LogMode) throws {
        var random = SplitMix64(seed: seed)
        var allowed: [CrashModel?] = [nil]
        let probe = Probe(
            seed: seed, bytes: Self.bytes, images: imagesPerStep, options: Self.options
        ) { heap in
            try Self.check(heap, allowed)
        }
        let memory = SimulatedMemory(bytes: Self.bytes)
        memory.journals = journals
        memory.onStep = { probe.crash($0) }
        var model = CrashModel()
        let heap = try PersistentHeap(region: memory.region(), options: Self.options)
        allowed = [nil, model]
        // Every other round has pages to spare for few of the stores in place.
        if seed / 16 % 2 == 1 {
            for lane in heap.lanesForTests { lane.state.pointee.mostPrivateRuns = 2 }
        }
        if seed / 32 % 2 == 1 {
            for lane in heap.lanesForTests { lane.state.pointee.mostObjectBytes = 8192 }
        }
        let workload = try CrashWorkload(heap, mode: mode)
        allowed = [model]
        for _ in 0..<operations {
            let operation = CrashOperation.random(&random)
            var after = model
            operation.apply(to: &after)
            allowed = [model, after]
            probe.operation = "\(operation)"
            try workload.run(operation)
            model = after
            allowed = [model]
        }
        memory.onStep = nil
        try heap.checkInvariants()
        if heap.growthsForTests > 0 { result.grown += 1 }
        try finish(probe)
    }

    private static func check(_ heap: PersistentHeap, _ allowed: [CrashModel?]) throws {
        guard let root = try heap.root(named: "crash", as: CrashRoot.self) else {
            if allowed.contains(where: { $0 == nil }) { return }
            throw CrashFailure("the root is gone")
        }
        let found = try CrashModel(heap, root)
        guard allowed.contains(where: { $0 == found }) else {
            throw CrashFailure("found \(found), expected one of \(allowed)")
        }
    }
}
