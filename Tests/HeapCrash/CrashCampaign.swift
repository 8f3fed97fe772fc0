import PersistentHeap

/// Power cuts at every persist step of random transactions, on memory that forgets.
///
/// A round runs one seeded series of operations. Before each persist step it makes crash images, recovers a heap from
/// each, and compares it with the model: the state before or after the operation that was running, nothing else.
/// Every so often the recovery itself is cut, and recovered again.
public struct CrashCampaign {
    public struct Result: Sendable {
        public var points = 0
        public var recoveriesCut = 0
        public var replayed = 0
        public var undone = 0
        public init() {}
    }

    public var seed: UInt64
    public var mode: LogMode
    public var operations = 24
    public var imagesPerStep = 2
    public private(set) var result = Result()
    private static let bytes = 1 << 18

    public init(seed: UInt64, mode: LogMode) {
        self.seed = seed
        self.mode = mode
    }

    public static var options: HeapOptions {
        var options = HeapOptions()
        options.arenaShift = 17
        options.laneCount = 2
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        return options
    }

    /// Runs one round. Throws on the first wrong state, naming what reproduces it.
    public mutating func run() throws {
        var random = SplitMix64(seed: seed)
        let probe = Probe(seed: seed, bytes: Self.bytes, images: imagesPerStep)
        let memory = SimulatedMemory(bytes: Self.bytes)
        memory.onStep = { probe.crash($0) }
        probe.allowed = [nil]
        var model = CrashModel()
        do {
            let heap = try PersistentHeap(region: memory.region(), options: Self.options)
            probe.allowed = [nil, model]
            let workload = try CrashWorkload(heap, mode: mode)
            probe.allowed = [model]
            for _ in 0..<operations {
                let operation = CrashOperation.random(&random)
                var after = model
                operation.apply(to: &after)
                probe.allowed = [model, after]
                probe.operation = "\(operation)"
                try workload.run(operation)
                model = after
                probe.allowed = [model]
            }
            memory.onStep = nil
            try heap.checkInvariants()
        }
        result.points += probe.result.points
        result.recoveriesCut += probe.result.recoveriesCut
        result.replayed += probe.result.replayed
        result.undone += probe.result.undone
        if let failure = probe.failure {
            throw CrashFailure("seed \(seed), \(mode): \(failure)")
        }
    }
}

/// Cuts the power and looks at what comes back.
private final class Probe {
    var allowed: [CrashModel?] = []
    var operation = "opening"
    var failure: String?
    var result = CrashCampaign.Result()
    private var random: SplitMix64
    private var image: [UInt64]
    private let images: Int
    private let recovered: SimulatedMemory

    init(seed: UInt64, bytes: Int, images: Int) {
        random = SplitMix64(seed: seed ^ 0xC4A5)
        image = Array(repeating: 0, count: bytes / 8)
        recovered = SimulatedMemory(bytes: bytes)
        self.images = images
    }

    func crash(_ memory: SimulatedMemory) {
        guard failure == nil else { return }
        for _ in 0..<images {
            memory.crashImage(into: &image, random: &random)
            result.points += 1
            recovered.load(image, committedBytes: memory.committedBytes)
            if random.next() % 16 == 0 { cutRecovery() }
            check()
            if failure != nil { return }
        }
    }

    /// A second power cut, somewhere in the recovery from the first.
    private func cutRecovery() {
        var second: [UInt64]?
        var steps = random.next() % 12
        let choice = random.next()
        recovered.onStep = { memory in
            if steps == 0, second == nil {
                var image = [UInt64](repeating: 0, count: self.image.count)
                var random = SplitMix64(seed: choice)
                memory.crashImage(into: &image, random: &random)
                second = image
            }
            steps &-= 1
        }
        let heap = try? PersistentHeap(region: recovered.region(), options: CrashCampaign.options)
        _ = heap
        recovered.onStep = nil
        recovered.load(second ?? image, committedBytes: recovered.committedBytes)
        if second != nil { result.recoveriesCut += 1 }
        result.points += second == nil ? 0 : 1
    }

    private func check() {
        do {
            let heap = try PersistentHeap(region: recovered.region(), options: CrashCampaign.options)
            result.replayed += heap.recovery.replayedTransactions
            result.undone += heap.recovery.undoneRanges
            try check(heap)
            if random.next() % 8 == 0 {
                heap.collect()
                try heap.checkInvariants()
                try check(heap)
            }
        } catch {
            failure = "after \(operation): \(error)"
        }
    }

    private func check(_ heap: PersistentHeap) throws {
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
