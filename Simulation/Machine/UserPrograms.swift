import ABI
import Machine
import Store

/// What simulated user code does. A program is a seed: the instruction at each `rip` follows from
/// it, so all state is in registers and memory, and a restored thread goes on where it was.
///
/// Registers: r12 seed, rbx digest of what was read, r13 and r14 numbers of the next input and
/// output word (first program only). The code's region tells who runs: 0x40… the first program,
/// 0x41… others, 0x42… guests in restricted mode. Even instructions act; odd ones keep the result
/// of the one before.
struct UserProgram {
    /// What an instruction does to the machine.
    enum Outcome {
        case done
        case event(KernelEvent)
        /// The program saw what it must never see.
        case wrong(String)
    }
    enum Role { case first, other, guest }

    static let otherEntry: UInt64 = 0x41_0000
    static let guestEntry: UInt64 = 0x42_0000
    static let outputBase: UInt64 = 0x5000_0000
    static let inputBase: UInt64 = 0x6000_0000
    /// Memory that programs share and map at will.
    static let sharedBase: UInt64 = 0x1000_0000
    static let otherStack: UInt64 = 0x4000_0000
    static let firstStack: UInt64 = 0x7F_F000_0000 - 0x4000
    static let tableOffset: UInt64 = 0
    static let messageOffset: UInt64 = 0x400
    static let stateOffset: UInt64 = 0x800

    let hardware: SimHardware
    let core: Int
    let context: UnsafeMutablePointer<ThreadContext>

    var rip: UInt64 { context.pointee.registers.rip }
    var role: Role {
        switch rip >> 16 {
        case 0x40: .first
        case 0x41: .other
        default: .guest
        }
    }
    var stack: UInt64 { role == .first ? Self.firstStack : Self.otherStack }
    var number: UInt64 { (rip & 0xFFFF) / 2 }

    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var random = RandomSource(seed: a &* 0x9E37_79B9_7F4A_7C15 ^ b)
        return random.next()
    }
    func choice(_ number: UInt64) -> UInt64 { Self.mix(context.pointee.registers.r12, number) }

    /// Executes one instruction. A fault or a call leaves the registers as they are at it.
    func step() -> Outcome {
        if number == 0 && role == .first { context.pointee.registers.r12 = hardware.programSeed }
        let h = choice(number)
        let outcome: Outcome
        if number == 0 && role == .other {
            context.pointee.registers.r12 = context.pointee.registers.rdi
            outcome = .done
        } else if number % 2 == 1 {
            outcome = keepResult()
        } else {
            switch role {
            case .first: outcome = first(h)
            case .other: outcome = other(h)
            case .guest: outcome = guest(h)
            }
        }
        if case .done = outcome { advance() }
        return outcome
    }

    func advance() {
        // The program is 30,000 instructions long and starts again.
        context.pointee.registers.rip = rip & ~0xFFFF | (rip &+ 2) & 0xFFFF
    }

    // MARK: Memory

    func frame(_ address: UInt64, isWrite: Bool) -> PageFrame? {
        let space = hardware.cores[core].translation
        guard let entry = hardware.translations[space.value]?[address / pageSize],
            entry.writable || !isWrite
        else { return nil }
        if isWrite { hardware.translations[space.value]?[address / pageSize]?.dirty = true }
        return entry.frame
    }

    func fault(_ address: UInt64, isWrite: Bool) -> Outcome {
        .event(
            .pageFault(
                address: address, isWrite: isWrite, isExecute: false, errorCode: isWrite ? 6 : 4))
    }

    func load(_ address: UInt64) -> UInt64? {
        guard let frame = frame(address, isWrite: false) else { return nil }
        return frame.load(address % pageSize, from: hardware.nvm)
    }

    func store(_ value: UInt64, at address: UInt64) -> Bool {
        guard let frame = frame(address, isWrite: true) else { return false }
        frame.store(value, at: address % pageSize, in: hardware.nvm)
        return true
    }

    /// A load or a store of one word, chosen by `h`.
    func touch(_ address: UInt64, _ h: UInt64) -> Outcome {
        if h & 1 == 0 {
            guard let value = load(address) else { return fault(address, isWrite: false) }
            context.pointee.registers.rbx = Self.mix(context.pointee.registers.rbx, value)
            return .done
        }
        return store(Self.mix(context.pointee.registers.rbx, h), at: address)
            ? .done : fault(address, isWrite: true)
    }

    // MARK: Slots

    /// Where a program keeps the slot of an object that it made: eight places for each kind.
    func tablePlace(_ kind: ObjectKind, _ h: UInt64) -> UInt64 {
        stack + Self.tableOffset + (UInt64(kind.rawValue) * 8 + h % 8) * 8
    }

    /// A slot of a kind: from the table, or the one that every program has, or now and then any
    /// number.
    func slot(_ kind: ObjectKind, _ h: UInt64) -> UInt64? {
        // The first program keeps its own group to itself: a thread of that group may not fail.
        if h >> 8 & 31 == 0 { return role == .first ? 9 + h >> 16 & 63 : h >> 16 & 63 }
        guard let kept = load(tablePlace(kind, h)) else { return nil }
        if kept != 0 { return kept }
        switch kind {
        case .capGroup: return role == .first ? 2_000 : 0
        case .vmSpace: return 1
        case .pmo: return role == .first ? 3 : 2
        case .connection: return 3
        case .notification: return role == .first ? 6 : 4
        case .thread: return 2
        default: return 7
        }
    }

    /// The kind of object that the call made by an instruction returns a slot of.
    static func made(by call: NativeCall, _ h: UInt64) -> ObjectKind? {
        switch call {
        case .capabilityMint: someKind(h >> 28)
        case .pmoCreate, .pmoOfImage, .connectionMemory: .pmo
        case .vmSpaceCreate: .vmSpace
        case .notificationCreate: .notification
        case .capGroupCreate: .capGroup
        case .connectionCreate: .connection
        case .threadCreate: .thread
        default: nil
        }
    }

    /// Folds the last call's result into the digest, and keeps a new slot in the table.
    private func keepResult() -> Outcome {
        let h = choice(number - 1)
        let result = context.pointee.registers.rax
        if role != .guest, let kind = madeKind(number - 1, h), result < 1 << 16 {
            let place = tablePlace(kind, placeFor(number - 1, h))
            if !store(result, at: place) { return fault(place, isWrite: true) }
        }
        context.pointee.registers.rbx = Self.mix(context.pointee.registers.rbx, result)
        return .done
    }

    /// Makes a call with these arguments; the registers hold them until it returns.
    func call(
        _ number: NativeCall, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0,
        _ e: UInt64 = 0,
        _ f: UInt64 = 0
    ) -> Outcome {
        context.pointee.registers.rax = number.rawValue
        context.pointee.registers.rdi = a
        context.pointee.registers.rsi = b
        context.pointee.registers.rdx = c
        context.pointee.registers.r10 = d
        context.pointee.registers.r8 = e
        context.pointee.registers.r9 = f
        return .event(.systemCall)
    }
}
