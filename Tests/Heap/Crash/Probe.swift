import PersistentHeap

/// Cuts the power and looks at what comes back.
final class Probe {
    /// What was going on, for the message.
    var operation = "opening"
    private(set) var failure: String?
    private(set) var result = CrashCampaign.Result()
    private let options: HeapOptions
    private let check: (PersistentHeap) throws -> Void
    private var random: SplitMix64
    private var image: [UInt64]
    private let images: Int
    private let recovered: SimulatedMemory

    /// - Parameters:
    ///   - options: how the heap is opened after a cut.
    ///   - check: throws if the recovered heap is not in a state that is allowed now.
    init(
        seed: UInt64, bytes: Int, images: Int, options: HeapOptions,
        check: @escaping (PersistentHeap) throws -> Void
    ) {
        random = SplitMix64(seed: seed ^ 0xC4A5)
        image = Array(repeating: 0, count: bytes / 8)
        recovered = SimulatedMemory(bytes: bytes)
        self.images = images
        self.options = options
        self.check = check
    }

    func crash(_ memory: SimulatedMemory) {
        guard failure == nil else { return }
        recovered.journals = memory.journals
        for _ in 0..<images {
            memory.crashImage(into: &image, random: &random)
            result.points += 1
            recovered.load(image, committedBytes: memory.committedBytes)
            if random.next() % 16 == 0 { cutRecovery() }
            look()
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
        if let heap = try? PersistentHeap(region: recovered.region(), options: options) {
            heap.close()
        }
        recovered.onStep = nil
        recovered.load(second ?? image, committedBytes: recovered.committedBytes)
        if second != nil { result.recoveriesCut += 1 }
        result.points += second == nil ? 0 : 1
    }

    private func look() {
        do {
            let heap = try PersistentHeap(region: recovered.region(), options: options)
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
}
