import ABI
import Kernel
import Store

/// Store images: the input is applied as mutations to a store that a kernel made, crashes and all.
/// Whatever it does, opening, checking and restoring end; and a difference in what programs see is
/// reported by the checker or stops the kernel with a name. The contents of pages carry no check
/// (see Docs/limits.md) and are left alone.
final class StoreTarget: FuzzTarget {
    private let memory = ImageMemory(frameCount: StoreLayout.minimumFrames)
    private let bench: Bench
    private let zones: [StoreZone]
    private let isContent: [Bool]
    private let restored: UInt64
    private let exercised: UInt64
    private var mutations: UInt64 = 0
    private var outcomes: [Outcome: UInt64] = [:]

    enum Outcome: String, CaseIterable {
        case harmless = "harmless inputs"
        case noted = "found by the check only"
        case unreadable = "found when opened"
        case stopped = "stopped by the kernel at restore"
        case stoppedLater = "stopped by the kernel later"
    }

    var counters: [(name: String, value: UInt64)] {
        [("mutations", mutations)] + Outcome.allCases.map { ($0.rawValue, outcomes[$0] ?? 0) }
    }

    init() throws {
        let bench = Bench(memory: memory)
        self.bench = bench
        try Store.format(
            memory,
            identity: StoreIdentity(
                uuidLow: 7, uuidHigh: 9, frameCount: memory.frameCount, domain: .coherentCache,
                created: 0))
        guard try bench.start() else { finding("the first process does not start") }
        try StoreScenery.build(bench)
        bench.powerOff()
        memory.keep()
        let report = StoreChecker.check(memory)
        if !report.isGood { finding("the unmutated store is damaged: \(report.damage)") }
        isContent = try StoreZone.contentFrames(of: memory)
        zones = StoreZone.all(of: memory, isContent: isContent)
        guard try bench.start() else { finding("the unmutated store does not restart") }
        restored = bench.digest
        guard let after = try StoreScenery.exercise(bench) else {
            finding("the unmutated store stops")
        }
        exercised = after
        memory.reset()
    }

    func run(_ input: inout Input) {
        memory.reset()
        var changes: [String] = []
        for _ in 0...(input.byte() % 16 < 12 ? 0 : input.byte() % 8) { mutate(&input, &changes) }
        if changes.isEmpty { return }
        let report = StoreChecker.check(memory)
        let outcome = judge(report, changes)
        outcomes[outcome, default: 0] += 1
        bench.powerOff()
    }

    private func judge(_ report: StoreReport, _ changes: [String]) -> Outcome {
        func silent(_ what: String) -> Never {
            finding("\(what), and the check finds nothing: \(changes)")
        }
        do {
            if try !bench.start() {
                if bench.stopReason != 2 {
                    finding("stopped without a reason: \(bench.machine.state.text) \(changes)")
                }
                return .stopped
            }
        } catch {
            if report.isGood { silent("the store cannot be opened") }
            return .unreadable
        }
        if bench.digest != restored && report.isGood { silent("another state was restored") }
        guard let after = try? StoreScenery.exercise(bench) else {
            if bench.isStopped && bench.stopReason == 2 { return .stoppedLater }
            if report.isGood {
                silent("it stops later without a reason: \(bench.machine.state.text)")
            }
            return .noted
        }
        if after != exercised && report.isGood { silent("another state came to be later") }
        return report.isGood ? .harmless : .noted
    }

    /// One change: flipped bits, a word replaced, a line lost.
    private func mutate(_ input: inout Input, _ changes: inout [String]) {
        let kind = input.byte()
        let zone = zones[Int(input.byte()) % zones.count]
        let place = scatter(input.half() | input.half() << 16)
        let frame = zone.frames[Int(place % UInt64(zone.frames.count))]
        if isContent[Int(frame)] { return }
        let word = place >> 20 & 511
        let offset = FrameNumber(frame).offset + word * 8
        let noise = scatter(place ^ UInt64(kind) << 56)
        let old = memory.load(offset)
        switch kind % 8 {
        case 0...2: memory.store(old ^ 1 << (noise % 64), at: offset)
        case 3: memory.store(old ^ 1 << (noise % 64) ^ 1 << (noise >> 8 % 64), at: offset)
        case 4, 5: memory.store(noise, at: offset)
        case 6: memory.store(.max, at: offset)
        default:
            for part: UInt64 in 0..<8 {
                memory.store(scatter(noise &+ part), at: offset / 64 * 64 + part * 8)
            }
        }
        mutations += 1
        changes.append("\(zone.name) frame \(frame) word \(word) kind \(kind % 8)")
    }
}
