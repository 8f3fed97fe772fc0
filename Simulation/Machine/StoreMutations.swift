import ABI
import Kernel
import Store

/// Damages a stopped store at random, and starts it: the damage must be named, or nothing may be
/// different.
public final class StoreMutations {
    public enum Kind: Int, CaseIterable, Sendable {
        case flippedBit, flippedBits, randomWord, wordFromElsewhere, zeroedWord, randomLine,
            zeroedLine
        /// A line that cannot be read any more: all ones.
        case poisonedLine
        /// A line as it was some versions ago: a broken device lost its write-backs since.
        case staleLine
    }
    public struct Count: Sendable {
        public var harmless = 0
        public var named = 0
        /// Different, and nobody noticed.
        public var silent = 0
        /// Different only in the bytes of programs, which carry no checksum.
        public var content = 0
        /// Started as before, but `StoreChecker` found the damage.
        public var checkOnly = 0
        /// Different, and only `StoreChecker` found it.
        public var checkNeeded = 0
    }
    public private(set) var counts = Array(repeating: Count(), count: Kind.allCases.count)
    public private(set) var firstSilent: String?
    private var random: RandomSource
    private let nvm: SimulatedNVM
    private let log = FailureLog()
    /// What the region held some versions before it was stopped.
    private var past: [UInt64] = []
    /// Lines outside of pages' contents that have changed since.
    private var changedLines: [Int] = []

    public init(seed: UInt64) {
        random = RandomSource(seed: seed)
        nvm = SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: .coherentCache)
    }

    public var failures: [String] { log.messages }

    /// Makes a store by running programs, stops it, and damages it `count` times.
    public func run(_ count: Int) throws(StoreError) {
        nvm.reset()
        let world = try KernelWorld(
            nvm: nvm, options: KernelWorld.Options(), seed: random.next(), log: log)
        var steps = 0
        past = []
        while steps < 4_000, world.version < 6 || world.committed.digest == nil, !world.isHalted {
            world.step()
            steps += 1
            if past.isEmpty && world.version >= 3 {
                past = Array(
                    UnsafeBufferPointer(start: nvm.words, count: Int(nvm.frameCount) * 512))
            }
        }
        let known = world.committed
        world.close()
        guard let digest = known.digest, known.version > 0 else { return }
        let used = usedFrames()
        findChangedLines()
        for _ in 0..<count where log.isEmpty {
            try damage(once: used, version: known.version, digest: digest)
        }
    }

    /// Frames that are not all zeros.
    private func usedFrames() -> [Int] {
        (0..<Int(nvm.frameCount)).filter { frame in
            (0..<512).contains { nvm.words[frame * 512 + $0] != 0 }
        }
    }

    private func findChangedLines() {
        changedLines.removeAll()
        for frame in 0..<Int(nvm.frameCount) where !isUnchecked(frame) && !past.isEmpty {
            let lines = (0..<64).map { frame * 512 + $0 * 8 }.filter { line in
                (line..<line + 8).contains { nvm.words[$0] != past[$0] }
            }
            if lines.isEmpty || StoreChecker.holdsPage(FrameNumber(UInt32(frame)), in: nvm) {
                continue
            }
            changedLines += lines
        }
    }

    private func damage(once frames: [Int], version: UInt64, digest: UInt64) throws(StoreError) {
        let kind = Kind.allCases[random.below(Kind.allCases.count)]
        guard var frame = frames.randomElement(using: &random) else { return }
        // Mostly where something is.
        var word = frame * 512 + random.below(512)
        for _ in 0..<20 where nvm.words[word] == 0 { word = frame * 512 + random.below(512) }
        if kind == .staleLine {
            guard let line = changedLines.randomElement(using: &random) else { return }
            (word, frame) = (line, line / 512)
        }
        let isContent =
            StoreChecker.holdsPage(FrameNumber(UInt32(frame)), in: nvm) || isUnchecked(frame)
        nvm.withCrash(.all, CrashChoices()) {
            change(word, kind)
            let checked = StoreChecker.check(nvm)
            let outcome = start(version: version, digest: digest)
            switch outcome {
            case .named: counts[kind.rawValue].named += 1
            case .same where !checked.isGood: counts[kind.rawValue].checkOnly += 1
            case .same: counts[kind.rawValue].harmless += 1
            case .different where isContent: counts[kind.rawValue].content += 1
            case .different where !checked.isGood: counts[kind.rawValue].checkNeeded += 1
            case .different:
                counts[kind.rawValue].silent += 1
                if firstSilent == nil {
                    firstSilent =
                        "\(kind) at word \(word % 512) of frame \(frame), now \(nvm.words[word]); \(checked.damage)"
                }
            }
        }
    }

    /// Rings, statistics and the trace are not part of any version.
    private func isUnchecked(_ frame: Int) -> Bool {
        frame >= Int(StoreLayout.statistics.value) && frame < Int(StoreLayout.recordRoots.value)
    }

    private func change(_ word: Int, _ kind: Kind) {
        let old = nvm.words[word]
        switch kind {
        case .flippedBit: nvm.damage(word: word, to: old ^ 1 << UInt64(random.below(64)))
        case .flippedBits:
            nvm.damage(
                word: word,
                to: old ^ (1 << UInt64(random.below(64)) | 1 << UInt64(random.below(64))))
        case .randomWord: nvm.damage(word: word, to: random.next())
        case .wordFromElsewhere:
            var other = 0
            for _ in 0..<200 where nvm.words[other] == 0 || other == 0 {
                other = random.below(Int(nvm.frameCount) * 512)
            }
            nvm.damage(word: word, to: nvm.words[other] == 0 ? random.next() : nvm.words[other])
        case .zeroedWord: nvm.damage(word: word, to: 0)
        case .randomLine:
            for other in (word & ~7)..<(word & ~7) + 8 {
                nvm.damage(word: other, to: random.next())
            }
        case .poisonedLine:
            for other in (word & ~7)..<(word & ~7) + 8 { nvm.damage(word: other, to: ~0) }
        case .staleLine: for other in word..<word + 8 { nvm.damage(word: other, to: past[other]) }
        case .zeroedLine:
            for other in (word & ~7)..<(word & ~7) + 8 { nvm.damage(word: other, to: 0) }
        }
    }

    private enum Outcome { case same, different, named }

    private func start(version: UInt64, digest: UInt64) -> Outcome {
        do throws(StoreError) {
            let world = try KernelWorld(damaged: nvm, seed: random.next(), log: log)
            defer { world.close() }
            if world.isHalted { return .named }
            let found = world.kernel.pointee.store.committed.value
            let same = found == version && world.digest() == digest
            return same ? .same : world.sawDamage ? .named : .different
        } catch { return .named }
    }
}
