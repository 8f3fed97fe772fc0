import ABI
import Kernel
import Machine
import MachineSim
import Store
import Testing

/// A kernel with one first process whose program is a single page, driven call by call.
final class Bench {
    let nvm: SimulatedNVM
    let hotPages: Int
    var kernel: UnsafeMutablePointer<Kernel<CallMachine<SimulatedNVM>>>
    var machine: CallMachine<SimulatedNVM>

    static let programAddress: UInt64 = 0x40_0000
    static let stackTop: UInt64 = 0x7F_F000_0000

    /// Word `n` of page `p` of the image is 0x1111_0000 + p + n.
    init(
        frames: UInt32 = 4096, domain: PersistenceDomain = .coherentCache, imageFrames: UInt32 = 0,
        hotPages: Int = 0
    ) throws {
        self.hotPages = hotPages
        nvm = SimulatedNVM(frameCount: frames, domain: domain)
        let identity = StoreIdentity(
            uuidLow: 7, uuidHigh: 9, frameCount: frames, domain: domain, created: 0,
            imageFrames: imageFrames)
        try Store.format(nvm, identity: identity)
        for (page, frame) in identity.layout.image.enumerated() {
            for word in 0..<512 as Range<UInt64> {
                nvm.store(
                    0x1111_0000 + UInt64(page) + word, at: FrameNumber(frame).offset + word * 8)
            }
        }
        nvm.settle()
        machine = CallMachine<SimulatedNVM>(nvm: nvm, coreCount: 2)
        kernel = .allocate(capacity: 1)
        try boot()
    }

    deinit {
        _ = kernel.move().tearDown()
        kernel.deallocate()
    }

    private func boot() throws {
        var options = KernelOptions()
        options.smallObjects = 4096
        options.largeObjects = 1024
        options.hotPages = hotPages
        options.hotRest = 4
        kernel.initialize(to: try Kernel(machine: machine, options: options))
        let bundle = Bench.bundle
        let started = bundle.withUnsafeBytes { kernel.pointee.boot(bundle: $0) }
        #expect(started, "\(machine.state.text)")
        kernel.pointee.handle(.interrupt, core: 0)
        check()
    }

    /// Forgets everything volatile and starts again from the store.
    func powerCut() throws {
        _ = kernel.move().tearDown()
        machine = CallMachine<SimulatedNVM>(nvm: nvm, coreCount: 2)
        try boot()
    }

    func check() {
        let broken = kernel.pointee.checkInvariants()
        #expect(broken == nil, "\(broken.map { "\($0)" } ?? "")")
    }

    var registers: Registers {
        get { kernel.pointee.context(core: 0)?.pointee.registers ?? Registers() }
        set { kernel.pointee.context(core: 0)?.pointee.registers = newValue }
    }

    /// One native call by the thread on core 0. The result is that of whatever thread runs there
    /// afterwards.
    @discardableResult
    func call(_ number: NativeCall, _ arguments: UInt64...) -> Int64 {
        let result = callUnchecked(number, arguments)
        check()
        return result
    }

    /// The same without a look at the invariants, whose cost grows with the square of the objects.
    @discardableResult
    func callUnchecked(_ number: NativeCall, _ arguments: [UInt64]) -> Int64 {
        var registers = registers
        registers.rax = number.rawValue
        let places: [WritableKeyPath<Registers, UInt64>] = [\.rdi, \.rsi, \.rdx, \.r10, \.r8, \.r9]
        for (place, value) in zip(places, arguments) { registers[keyPath: place] = value }
        self.registers = registers
        kernel.pointee.handle(.systemCall, core: 0)
        return Int64(bitPattern: self.registers.rax)
    }

    /// How many capabilities the group holds that the caller's slot names.
    func capabilities(ofGroupIn slot: UInt64) -> Int {
        var held: [(group: ObjectID, slot: UInt32, object: ObjectID)] = []
        kernel.pointee.authority { fact in
            if case .capability(let group, let slot, let object, _, _, _, _) = fact {
                held.append((group, slot, object))
            }
        }
        let caller = kernel.pointee.runningThread(core: 0)?.group
        let named = held.first { $0.group == caller && UInt64($0.slot) == slot }?.object
        return held.count { $0.group == named }
    }

    func tick(nanoseconds: UInt64 = 2_000_000) {
        machine.state.time += nanoseconds
        kernel.pointee.handle(.timer, core: 0)
        check()
    }

    /// The frame behind a user address, faulting as the processor would.
    private func frame(_ address: UInt64, write: Bool) -> PageFrame? {
        for _ in 0..<2 {
            let translation = kernel.pointee.translation(core: 0)
            if let entry = machine.lookUp(translation, address: UserAddress(address)),
                entry.writable || !write
            {
                if write { machine.noteWrite(translation, address: UserAddress(address)) }
                return entry.frame
            }
            kernel.pointee.handle(
                .pageFault(address: address, isWrite: write, isExecute: false, errorCode: 0),
                core: 0)
        }
        return nil
    }

    func store(_ value: UInt64, at address: UInt64) {
        guard let frame = frame(address, write: true) else {
            Issue.record("no page at \(address)")
            return
        }
        frame.store(value, at: address % pageSize, in: nvm)
    }

    func load(_ address: UInt64) -> UInt64? {
        frame(address, write: false).map { $0.load(address % pageSize, from: nvm) }
    }

    /// A cpio archive whose first file is a static ELF with one page of code.
    static let bundle: [UInt8] = {
        var elf = [UInt8](repeating: 0, count: 4096)
        func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
            for byte in 0..<MemoryLayout<T>.size {
                elf[offset + byte] = UInt8(truncatingIfNeeded: value >> T(byte * 8))
            }
        }
        put(UInt32(0x464C_457F), 0)
        elf[4] = 2
        put(UInt16(2), 16)
        put(UInt16(62), 18)
        put(programAddress, 24)
        put(UInt64(64), 32)
        put(UInt16(56), 54)
        put(UInt16(1), 56)
        put(UInt32(1), 64)
        put(UInt32(7), 68)
        put(programAddress, 80)
        put(UInt64(4096), 96)
        put(UInt64(4096), 104)
        let name = Array((Bundle.serverPath + "\0").utf8)
        func hex(_ value: Int) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
        let fields = [0, 0o100755, 0, 0, 1, 0, elf.count, 0, 0, 0, 0, name.count, 0]
        var archive = Array("070701".utf8) + fields.flatMap { Array(hex($0).utf8) } + name
        while archive.count % 4 != 0 { archive.append(0) }
        return archive + elf
    }()
}
