import ABI
import Kernel
import Machine
import Store

/// Sequences of native calls, faults, interrupts and power cuts on two cores, decoded from the
/// input. After each event the authority checker compares what everybody may do with what they
/// could do before; invariants are checked every so often, the whole store at the end.
final class CallTarget: FuzzTarget {
    private let memory = ImageMemory(frameCount: 2048)
    private let bench: Bench
    private var before = Authority()
    private var after = Authority()
    /// What the last commit holds.
    private var committed = Authority()
    private var committedVersion = Version.never
    private var calls: UInt64 = 0
    private var powerCuts: UInt64 = 0
    private var checks: UInt64 = 0
    private var granted: UInt64 = 0

    /// Pages that the scenery maps for everybody, and where messages and guest states are.
    static let shared: UInt64 = 0x1000_0000
    static let sharedPages: UInt64 = 16

    var counters: [(name: String, value: UInt64)] {
        [
            ("native calls", calls), ("power cuts", powerCuts),
            ("capabilities gained rightly", granted),
            ("invariant checks", checks),
        ]
    }

    init() throws {
        bench = Bench(memory: memory)
        try Store.format(
            memory,
            identity: StoreIdentity(
                uuidLow: 7, uuidHigh: 9, frameCount: memory.frameCount, domain: .coherentCache,
                created: 0))
        guard try bench.start() else { finding("the first process does not start") }
        Scenery.build(bench)
        bench.powerOff()
        memory.keep()
    }

    func run(_ input: inout Input) {
        memory.reset()
        start()
        before.read(bench.kernel.pointee)
        committed = before
        committedVersion = bench.kernel.pointee.store.committed
        for core in 0..<2 { event(.interrupt, core: core) }
        var steps = 0
        while !input.isEmpty && steps < 512 {
            step(&input)
            steps += 1
            if steps % 64 == 0 { check() }
        }
        end()
    }

    /// The last look: invariants now, and the store after one more commit.
    private func end() {
        if bench.isStopped { restart() }
        check()
        bench.tick()
        if !bench.isStopped {
            let report = StoreChecker.check(memory)
            if !report.isGood { finding("the store is damaged: \(report.damage)") }
        }
        bench.powerOff()
    }

    private func start() {
        do {
            if try !bench.start() { finding("no restart: \(bench.machine.state.text)") }
        } catch { finding("the store cannot be opened: \(error)") }
    }

    private func check() {
        checks += 1
        if !bench.isStopped { bench.checkInvariants("after \(calls) calls") }
    }

    // MARK: Steps

    private func step(_ input: inout Input) {
        if bench.isStopped { return restart() }
        let kind = input.byte()
        let core = Int(kind >> 7)
        if bench.kernel.pointee.context(core: core) == nil { event(.interrupt, core: core) }
        switch kind & 0x7F {
        case 0..<96: call(&input, core: core)
        case 96..<108:
            let address = address(&input)
            let value = Self.argument(&input)
            deed(Deed()) { bench.store(value, at: address, core: core) }
        case 108..<114:
            let address = address(&input)
            deed(Deed()) { _ = bench.load(address, core: core) }
        case 114..<118: fault(&input, core: core)
        case 118..<124:
            bench.machine.state.time &+= input.half() << 8
            event(.timer, core: core)
        case 124: event(.deviceInterrupt(line: input.byte() % 24), core: core)
        case 125:
            if isGuest(core: core) { event(.exception(vector: 13, errorCode: 0), core: core) }
        case 126: event(.interrupt, core: core)
        default: if input.byte() % 8 == 0 { restart() }
        }
    }

    /// Calls that end threads come back rarely.
    private func call(_ input: inout Input, core: Int) {
        let choice = Int(input.byte())
        var number = NativeCall.allCases[choice % NativeCall.allCases.count]
        if number == .threadExit || number == .capGroupKill, choice >= 64 { number = .yield }
        guard let context = bench.kernel.pointee.context(core: core),
            let running = bench.kernel.pointee.runningThread(core: core)
        else { return }
        context.pointee.registers.rax = choice == 255 ? 999 : number.rawValue
        context.pointee.registers.rdi = Self.argument(&input)
        context.pointee.registers.rsi = Self.argument(&input)
        context.pointee.registers.rdx = Self.argument(&input)
        context.pointee.registers.r10 = Self.argument(&input)
        context.pointee.registers.r8 = Self.argument(&input)
        context.pointee.registers.r9 = Self.argument(&input)
        calls += 1
        deed(
            Deed(
                number: isGuest(core: core) ? nil : number, thread: running.thread,
                group: running.group)
        ) {
            bench.handle(.systemCall, core: core)
        }
    }

    private func fault(_ input: inout Input, core: Int) {
        let address = Self.argument(&input)
        let isWrite = input.byte() & 1 != 0
        event(
            .pageFault(
                address: address, isWrite: isWrite, isExecute: false, errorCode: isWrite ? 6 : 4),
            core: core)
    }

    private func event(_ event: KernelEvent, core: Int) {
        deed(Deed()) { bench.handle(event, core: core) }
    }

    /// Does something and compares authority before and after.
    private func deed(_ deed: Deed, _ body: () -> Void) {
        body()
        if bench.isStopped { return checkStop() }
        after.read(bench.kernel.pointee)
        if before != after {
            if after.capabilities.count > before.capabilities.count { granted += 1 }
            if let gain = before.firstGain(in: after, by: deed) {
                finding("authority gained by \(deed): \(gain)")
            }
        }
        swap(&before, &after)
        let version = bench.kernel.pointee.store.committed
        if version != committedVersion {
            committedVersion = version
            committed = before
        }
    }

    /// The machine may stop because the first process ended, for no other reason.
    private func checkStop() {
        if bench.stopReason != 1 { finding("stopped: \(bench.machine.state.text)") }
    }

    /// Whether the thread on a core runs a guest: its events belong to the guest then.
    private func isGuest(core: Int) -> Bool {
        guard let running = bench.kernel.pointee.runningThread(core: core) else { return false }
        return before.threads.contains { $0.id == running.thread && !$0.restricted.isNone }
    }

    /// A power cut: all authority is that of the last commit again.
    private func restart() {
        powerCuts += 1
        start()
        before.read(bench.kernel.pointee)
        if before != committed {
            finding("authority after a restart is not that of version \(committedVersion.value)")
        }
        for core in 0..<2 { event(.interrupt, core: core) }
    }

    // MARK: Arguments

    private func address(_ input: inout Input) -> UInt64 {
        let place = input.half()
        return place & 0x8000 == 0
            ? Self.shared + place % (Self.sharedPages * 512) * 8
            : Bench.stackTop - 8192 + place % 1024 * 8
    }

    static let interesting: [UInt64] = [
        0, 1, 7, 8, 31, 32, 63, 64, 255, 256, 4095, 4096, 8192, 65536, 0x10_0000, 0x40_0000,
        0x1000_0000,
        0x1000_1000, 0x2000_0000, 0x7F_EFFF_F000, 0x3FFF_FFFF_F000, 0x4000_0000_0000,
        0x7FFF_FFFF_FFFF,
        0xFFFF_FFFF, 0x1_0000_0000, .max, .max - 1, .max - 4095, 1 << 63, 0x8000_0000_0000, 1 << 34,
        (1 << 34) - 1,
    ]

    static func argument(_ input: inout Input) -> UInt64 {
        let choice = input.byte()
        switch choice {
        case 0..<144: return UInt64(choice % 48)
        case 144..<176: return interesting[Int(choice - 144)]
        case 176..<208: return shared + UInt64(choice - 176) * 4096
        case 208..<224: return shared + UInt64(choice - 208) * 192
        case 224..<232: return UInt64(choice - 223) * 4096
        case 232..<248: return input.half()
        default: return input.word()
        }
    }
}
