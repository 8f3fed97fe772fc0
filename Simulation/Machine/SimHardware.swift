import ABI
import Machine
import Store

/// What goes wrong in a simulated machine besides the power. All of it is legal: the kernel must
/// cope.
public struct SimFaults: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Interrupts between cores arrive late.
    public static let lateInterrupts = SimFaults(rawValue: 1 << 0)
    /// Interrupts that nobody sent.
    public static let spuriousInterrupts = SimFaults(rawValue: 1 << 1)
    /// Translations forget entries at any time.
    public static let lostEntries = SimFaults(rawValue: 1 << 2)
    /// The list of writable entries is short: `install` refuses often.
    public static let shortList = SimFaults(rawValue: 1 << 3)
    /// The clock jumps forward.
    public static let clockJumps = SimFaults(rawValue: 1 << 4)
    /// Rings of the doorbell are lost.
    public static let lostDoorbells = SimFaults(rawValue: 1 << 5)
    /// Programs use memory until the store is full.
    public static let fullStore = SimFaults(rawValue: 1 << 6)
    /// Interrupts between cores never arrive.
    public static let lostInterrupts = SimFaults(rawValue: 1 << 7)

    public static let names: [(name: String, fault: SimFaults)] = [
        ("late-interrupts", .lateInterrupts), ("spurious-interrupts", .spuriousInterrupts),
        ("lost-entries", .lostEntries), ("short-list", .shortList), ("clock-jumps", .clockJumps),
        ("lost-doorbells", .lostDoorbells), ("full-store", .fullStore),
        ("lost-interrupts", .lostInterrupts),
    ]
}

/// One entry of a translation.
struct SimEntry {
    var frame: PageFrame
    var writable: Bool
    var tracked: Bool
    /// Written since it was made or last collected; counts for pages of memory.
    var dirty = false
}

struct SimCore {
    enum Mode {
        case idle, user
        /// Out of user mode with its registers saved; waits for the big lock.
        case trapped(KernelEvent)
    }
    var mode = Mode.idle
    var timer = UInt64.max
    var isInterrupted = false
    var fpu = FPUState()
    /// The running thread's context, while there is one.
    var context: UnsafeMutablePointer<ThreadContext>?
    var translation = Translation.none
}

/// The volatile part of a simulated machine: cores, clock, translations. A crash makes a new one.
final class SimHardware {
    let nvm: SimulatedNVM
    var cores: [SimCore]
    var time: UInt64 = 1_000
    let faults: SimFaults
    /// What the first program does follows from this.
    var programSeed: UInt64 = 0
    var random: RandomSource
    /// The core that holds the big lock.
    var activeCore = 0
    var translations: [UInt64: [UInt64: SimEntry]] = [:]
    private var nextTranslation: UInt64 = 1
    var writableEntries = 0
    var watched: WatchedPages?
    var isDoorbellRaised = false
    var outsideRings = 0
    var isHalted = false
    var text: [UInt8] = []
    private let log: FailureLog

    init(nvm: SimulatedNVM, coreCount: Int, faults: SimFaults, seed: UInt64, log: FailureLog) {
        self.nvm = nvm
        self.log = log
        self.faults = faults
        cores = Array(repeating: SimCore(), count: coreCount)
        random = RandomSource(seed: seed)
    }

    /// Whether a fault of this kind happens now, once in `chances` times; counts those that do.
    func happens(_ fault: SimFaults, _ chance: Int = 1, in chances: Int) -> Bool {
        guard faults.contains(fault), random.chance(chance, in: chances) else { return false }
        log.noteFault(fault)
        return true
    }
    func note(_ fault: SimFaults) { log.noteFault(fault) }

    func makeTranslation() -> Translation? {
        defer { nextTranslation += 1 }
        translations[nextTranslation] = [:]
        return Translation(nextTranslation)
    }

    /// Takes every other core out of user mode, its floating-point registers saved.
    func quiesce(from core: Int) {
        for other in cores.indices where other != core {
            if case .user = cores[other].mode { cores[other].mode = .trapped(.interrupt) }
            if let context = cores[other].context { context.pointee.fpu = cores[other].fpu }
        }
    }

    func revokeWrites() {
        for (space, entries) in translations {
            for (page, entry) in entries where entry.tracked && entry.writable {
                translations[space]?[page]?.writable = false
            }
        }
        writableEntries = 0
    }

    /// Takes an entry away; what it knew goes into the page's bit.
    func forget(_ space: UInt64, _ page: UInt64) {
        note(translations[space]?[page])
        translations[space]?[page] = nil
    }

    func note(_ entry: SimEntry?) {
        guard let entry, entry.dirty, let page = entry.frame.memory, let watched
        else { return }
        watched.noteWritten(watched.index(of: page))
    }

    func collectDirty() {
        for (space, entries) in translations {
            for (page, entry) in entries where entry.dirty {
                note(entry)
                translations[space]?[page]?.dirty = false
            }
        }
    }

    /// Forgets an entry now and then, as a processor may.
    func forgetSomething() {
        guard let space = translations.keys.sorted().randomElement(using: &random) else { return }
        guard let page = translations[space]?.keys.sorted().randomElement(using: &random) else {
            return
        }
        forget(space, page)
        log.noteFault(.lostEntries)
    }
}

/// The machine that the kernel sees.
public struct SimMachine: Machine {
    let hardware: SimHardware
    public var nvm: SimulatedNVM { hardware.nvm }
    public var coreCount: Int { hardware.cores.count }

    public func monotonicNanoseconds() -> UInt64 { hardware.time }
    public func wallClockNanoseconds() -> UInt64 { 1_700_000_000_000_000_000 &+ hardware.time }
    public func setTimer(core: Int, at deadlineNanoseconds: UInt64) {
        hardware.cores[core].timer = deadlineNanoseconds
    }
    public func interruptCore(_ core: Int) {
        if hardware.happens(.lostInterrupts, in: 3) { return }
        hardware.cores[core].isInterrupted = true
    }
    public func quiesceOtherCores(from core: Int) { hardware.quiesce(from: core) }
    public func saveFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {
        context.pointee.fpu = hardware.cores[hardware.activeCore].fpu
    }
    public func loadFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {
        hardware.cores[hardware.activeCore].fpu = context.pointee.fpu
    }

    public func makeTranslation() -> Translation? { hardware.makeTranslation() }
    public func dropTranslation(_ translation: Translation) {
        for entry in (hardware.translations[translation.value] ?? [:]).values {
            hardware.note(entry)
        }
        hardware.translations[translation.value] = nil
    }

    public func install(
        _ translation: Translation, address: UserAddress, target: MappingTarget,
        protection: Protection, tracked: Bool
    ) -> Bool {
        let frame: PageFrame
        switch target {
        case .device: return true
        case .frame(let number): frame = PageFrame(number)
        case .memory(let page): frame = PageFrame(page)
        }
        let writable = protection.contains(.write)
        if frame.memory != nil, writable, hardware.happens(.shortList, in: 8) { return false }
        if writable && tracked {
            if hardware.faults.contains(.shortList) && hardware.writableEntries >= 2 {
                hardware.note(.shortList)
                return false
            }
            hardware.writableEntries += 1
        }
        hardware.forget(translation.value, address.pageNumber)
        hardware.translations[translation.value]?[address.pageNumber] = SimEntry(
            frame: frame, writable: writable, tracked: tracked)
        return true
    }

    public func remove(
        _ translation: Translation, from address: UserAddress, pages: UInt64, core: Int
    ) {
        hardware.quiesce(from: core)
        guard let entries = hardware.translations[translation.value] else { return }
        for page in entries.keys
        where page >= address.pageNumber && page - address.pageNumber < pages {
            hardware.forget(translation.value, page)
        }
    }

    public func lookUp(_ translation: Translation, address: UserAddress) -> (
        frame: PageFrame, writable: Bool
    )? {
        guard let entry = hardware.translations[translation.value]?[address.pageNumber] else {
            return nil
        }
        return (entry.frame, entry.writable)
    }

    public func watch(_ pages: WatchedPages) { hardware.watched = pages }
    public func collectDirty() { hardware.collectDirty() }
    public func revokeWrites() { hardware.revokeWrites() }
    public func ringDoorbell() { hardware.outsideRings += 1 }
    public func unmask(line: UInt8) {}
    public func isDeviceMemory(_ physical: PhysicalAddress, byteCount: UInt64) -> Bool {
        physical.value >= 0xC000_0000 && physical.value + byteCount <= 0xD000_0000
    }
    public func debugWrite(_ byte: UInt8) {
        if hardware.text.count < 4_096 { hardware.text.append(byte) }
    }
    public func halt() { hardware.isHalted = true }
}
