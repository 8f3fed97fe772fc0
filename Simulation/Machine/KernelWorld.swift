import ABI
import Kernel
import Machine
import Store

/// One run of the kernel on a simulated machine: programs, outside world, oracle.
///
/// After each commit the whole state is described and its digest kept. A restore must give a system
/// with the digest of the version it restored.
public final class KernelWorld {
    public struct Options: Sendable {
        public var coreCount = 2
        public var faults: SimFaults = []
        public var intervalNanoseconds: UInt64 = 60_000
        /// What the first program does follows from this.
        public var programSeed: UInt64 = 0
        /// Walk all invariants after every so many kernel entries.
        public var invariantStride = 16
        /// Pages of DRAM for hot pages.
        public var hotPages = 0
        /// Keep descriptions, not only digests, and say where two differ.
        public var explains = false
        public init() {}
    }

    let nvm: SimulatedNVM
    let hardware: SimHardware
    let kernel: UnsafeMutablePointer<Kernel<SimMachine>>
    public let log: FailureLog
    let options: Options
    var random: RandomSource
    var outside = OutsideWorld()
    /// Digest of the committed version; nil when what was committed could not be seen from outside.
    var committed: (version: UInt64, digest: UInt64?)
    /// Digests found by crashes that came after a commit whose digest is not known yet.
    var early: [(version: UInt64, digest: UInt64, step: UInt64, words: [UInt64])] = []
    let depth: Int
    public var probing = CrashProbing()
    public private(set) var entries = 0
    /// The last description met a damaged table.
    private(set) var sawDamage = false
    /// The last description and the committed one, when they are kept.
    var described: [UInt64] = []
    var committedWords: [UInt64] = []
    /// The kernel is in `handle`; what it holds is half changed.
    var isInKernel = false

    static func kernelOptions(_ options: Options) -> KernelOptions {
        var result = KernelOptions()
        result.intervalNanoseconds = options.intervalNanoseconds
        // Short, since a simulated run is: threads are preempted, and idle cores are called.
        result.sliceNanoseconds = 40_000
        result.patienceNanoseconds = 3_000
        result.smallObjects = 256
        result.largeObjects = 128
        result.hotPages = options.hotPages
        result.hotCopies = 1
        result.hotRest = 4
        return result
    }

    /// A new store and the first program.
    public init(nvm: SimulatedNVM, options: Options, seed: UInt64, log: FailureLog)
        throws(StoreError)
    {
        self.nvm = nvm
        self.options = options
        self.log = log
        depth = 0
        random = RandomSource(seed: seed)
        let identity = StoreIdentity(
            uuidLow: seed, uuidHigh: ~seed, frameCount: nvm.frameCount, domain: nvm.domain,
            created: 0, imageFrames: 8)
        try Store.format(nvm, identity: identity)
        for frame in identity.layout.image {
            for word in 0..<512 as Range<UInt64> {
                nvm.store(UInt64(frame) << 16 | word, at: FrameNumber(frame).offset + word * 8)
            }
        }
        nvm.settle()
        hardware = SimHardware(
            nvm: nvm, coreCount: options.coreCount, faults: options.faults, seed: random.next(),
            log: log)
        hardware.programSeed = options.programSeed
        kernel = .allocate(capacity: 1)
        kernel.initialize(
            to: try Kernel(
                machine: SimMachine(hardware: hardware), options: Self.kernelOptions(options)))
        committed = (0, nil)
        if !bundle.withUnsafeBytes({ kernel.pointee.boot(bundle: $0) }) {
            report("the first boot failed")
        }
        committed = (0, digest())
        committedWords = described
    }

    /// What a crash left, restored.
    init(
        recovering nvm: SimulatedNVM, of parent: KernelWorld, depth: Int, seed: UInt64,
        prepare: (KernelWorld) -> Void
    ) throws(StoreError) {
        self.nvm = nvm
        options = parent.options
        log = parent.log
        self.depth = depth
        random = RandomSource(seed: seed)
        outside = parent.outside
        committed = parent.committed
        committedWords = parent.committedWords
        hardware = SimHardware(
            nvm: nvm, coreCount: options.coreCount, faults: options.faults, seed: random.next(),
            log: log)
        hardware.programSeed = options.programSeed
        kernel = .allocate(capacity: 1)
        kernel.initialize(
            to: try Kernel(
                machine: SimMachine(hardware: hardware), options: Self.kernelOptions(options)))
        log.restores += 1
        let version = kernel.pointee.store.committed.value
        if version != committed.version { committed = (version, nil) }
        prepare(self)
        let isNew = kernel.pointee.store.lastCommit.rootGroup.isNone
        let isUp =
            isNew
            ? bundle.withUnsafeBytes({ kernel.pointee.boot(bundle: $0) })
            : kernel.pointee.boot(bundle: UnsafeRawBufferPointer(start: nil, count: 0))
        if !isUp { report("restore failed: \(String(decoding: hardware.text, as: UTF8.self))") }
    }

    /// A store of unknown condition: it may refuse.
    init(damaged nvm: SimulatedNVM, seed: UInt64, log: FailureLog) throws(StoreError) {
        self.nvm = nvm
        self.log = log
        options = Options()
        depth = 0
        random = RandomSource(seed: seed)
        hardware = SimHardware(
            nvm: nvm, coreCount: options.coreCount, faults: [], seed: seed, log: log)
        let made = try Kernel(
            machine: SimMachine(hardware: hardware), options: Self.kernelOptions(options))
        kernel = .allocate(capacity: 1)
        kernel.initialize(to: made)
        committed = (kernel.pointee.store.committed.value, nil)
        if !kernel.pointee.boot(bundle: UnsafeRawBufferPointer(start: nil, count: 0)) {
            hardware.isHalted = true
        }
    }

    public func close() {
        _ = kernel.move().tearDown()
        kernel.deallocate()
    }

    /// What a first boot starts from. A first boot after a crash is probed as it goes: it does
    /// not fill the store again, which would take 200,000 steps at every depth.
    private var bundle: [UInt8] {
        depth == 0 && options.faults.contains(.fullStore) ? BootBundle.filling : BootBundle.bytes
    }

    func report(_ message: String) {
        log.add(
            "\(message) [depth \(depth), version \(committed.version), entry \(entries), step \(nvm.steps)]"
        )
    }

    func digest() -> UInt64 {
        var hash: UInt64 = 0
        sawDamage = false
        described.removeAll()
        kernel.pointee.describe { word in
            if options.explains { described.append(word) }
            if word == Kernel<SimMachine>.damageMark { sawDamage = true }
            hash = (hash ^ word) &* 0x9FB2_1C65_1E98_DF25
            hash ^= hash >> 29
        }
        return hash
    }

    public var isHalted: Bool { hardware.isHalted }
    public var version: UInt64 { committed.version }

    // MARK: Running

    /// Lets one core do one thing, or the outside world.
    public func step() {
        if hardware.isHalted { return }
        hardware.time += UInt64(20 + random.below(2_000))
        if options.faults.contains(.clockJumps) && random.chance(1, in: 500) {
            hardware.time += 5_000_000
            log.noteFault(.clockJumps)
        }
        if options.faults.contains(.lostEntries) && random.chance(1, in: 20) {
            hardware.forgetSomething()
        }
        if random.chance(1, in: 24) { visitOutside() }
        let core = random.below(hardware.cores.count)
        switch hardware.cores[core].mode {
        case .trapped(let event):
            // Sometimes a core waits for the lock for long.
            if random.chance(1, in: 3) { enter(core, event) }
        case .idle: if let event = interruption(core) { enter(core, event) } else { skipIdleTime() }
        case .user:
            if let event = interruption(core) {
                hardware.cores[core].mode = .trapped(event)
            } else {
                runUser(core)
            }
        }
    }

    private func interruption(_ core: Int) -> KernelEvent? {
        if hardware.isDoorbellRaised && core == 0 {
            hardware.isDoorbellRaised = false
            return .deviceInterrupt(line: 3)
        }
        if hardware.cores[core].isInterrupted {
            if options.faults.contains(.lateInterrupts) && random.chance(3, in: 4) {
                log.noteFault(.lateInterrupts)
                return nil
            }
            hardware.cores[core].isInterrupted = false
            return .interrupt
        }
        if hardware.cores[core].timer <= hardware.time {
            hardware.cores[core].timer = .max
            return .timer
        }
        if options.faults.contains(.spuriousInterrupts) && random.chance(1, in: 30) {
            log.noteFault(.spuriousInterrupts)
            return .interrupt
        }
        return nil
    }

    /// When nobody runs, time passes until somebody's timer.
    private func skipIdleTime() {
        for core in hardware.cores { if case .idle = core.mode {} else { return } }
        guard let next = hardware.cores.map(\.timer).min(), next != .max else {
            hardware.isDoorbellRaised = true
            return
        }
        hardware.time = max(hardware.time, next)
    }

    private func runUser(_ core: Int) {
        guard let context = hardware.cores[core].context else { return }
        let program = UserProgram(hardware: hardware, core: core, context: context)
        switch program.step() {
        case .done: break
        case .wrong(let what): report(what)
        case .event(let event):
            hardware.cores[core].mode = .trapped(event)
            if !random.chance(1, in: 4) { enter(core, event) }
        }
    }

    private func visitOutside() {
        if let wrong = outside.take(nvm) { report(wrong) }
        nvm.externalEvent()
        if random.chance(1, in: 3) {
            outside.give(1 + random.below(3), nvm)
            let isLost = options.faults.contains(.lostDoorbells) && random.chance(1, in: 3)
            if isLost { log.noteFault(.lostDoorbells) } else { hardware.isDoorbellRaised = true }
        }
    }

    // MARK: Entering the kernel

    func enter(_ core: Int, _ event: KernelEvent) {
        entries += 1
        hardware.activeCore = core
        let before = hardware.cores[core].context?.pointee.registers
        if case .systemCall = event {
            // While the core waited, the thread was still at its call; now it is behind it.
            hardware.cores[core].context?.pointee.registers.rip += 2
        }
        let kicks = kernel.pointee.pendingKicks
        isInKernel = true
        kernel.pointee.handle(event, core: core)
        isInKernel = false
        if options.faults.contains(.fullStore) && kernel.pointee.store.framesAvailable < 8 {
            log.noteFault(.fullStore)
        }
        noteCommit(kicksBefore: kicks, event, before, core)
        load(core)
        if hardware.isHalted { return noteHalt() }
        for other in hardware.cores.indices {
            if case .user = hardware.cores[other].mode, kernel.pointee.context(core: other) == nil {
                report("core \(other) runs a thread that is gone")
            }
        }
        if entries % options.invariantStride == 0 { checkInvariants() }
    }

    /// What the entry code does on its way out.
    private func load(_ core: Int) {
        let context = kernel.pointee.context(core: core)
        hardware.cores[core].context = context
        hardware.cores[core].translation = kernel.pointee.translation(core: core)
        hardware.cores[core].mode = context == nil ? .idle : .user
    }

    private func noteCommit(
        kicksBefore: Int, _ event: KernelEvent, _ before: Registers?, _ core: Int
    ) {
        let version = kernel.pointee.store.committed.value
        if version == committed.version { return }
        log.commits += 1
        var isKnown = kicksBefore == 0 && kernel.pointee.pendingKicks == 0
        // A checkpoint may have come before the fault was dealt with; then a fault that ended the
        // thread is not in it.
        if case .pageFault = event, hardware.cores[core].context?.pointee.registers != before {
            isKnown = false
        }
        if case .exception = event { isKnown = false }
        committed = (version, isKnown ? digest() : nil)
        if isKnown { log.compared += UInt64(early.count) }
        for found in early
        where found.version == version && isKnown && found.digest != committed.digest {
            report(
                "a crash at step \(found.step) restored another version \(version) than the one committed"
            )
            explain(restored: found.words, committed: described)
        }
        committedWords = described
        early.removeAll(keepingCapacity: true)
    }

    /// Says where two descriptions differ first, with the words before it: the object's identity
    /// and kind is among them.
    func explain(restored: [UInt64], committed: [UInt64]) {
        if !options.explains { return }
        let same = zip(restored, committed).prefix { $0 == $1 }.count
        func text(_ words: [UInt64]) -> String {
            let part = words.dropFirst(max(0, same - 40)).prefix(60)
            return part.map { String($0, radix: 16) }.joined(separator: " ")
        }
        log.add(
            "differs at word \(same): restored \(text(restored))\n  committed \(text(committed))")
    }

    private func noteHalt() {
        let reason = nvm.load(
            StoreLayout.statistics.offset + UInt64(Statistic.stopReason.rawValue) * 8)
        let isFull = kernel.pointee.store.framesAvailable < 8
        if reason != 1 || !isFull {
            report("the machine stopped: \(String(decoding: hardware.text, as: UTF8.self))")
        }
    }

    func checkInvariants() {
        if let broken = kernel.pointee.checkInvariants() { report("\(broken)") }
        for (space, entries) in hardware.translations {
            for (page, entry) in entries {
                let broken = kernel.pointee.checkEntry(
                    Translation(space), page: page, frame: entry.frame, writable: entry.writable,
                    tracked: entry.tracked)
                if let broken {
                    report("\(broken): page \(String(page, radix: 16)) of translation \(space)")
                }
            }
        }
    }
}
