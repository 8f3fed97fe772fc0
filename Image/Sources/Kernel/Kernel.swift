import ABI
import Machine
import Store

// Temporary: lets MachinePC run user code before the real kernel is here.
public struct Kernel<M: Machine>: ~Copyable {
    public var machine: M
    var threads: [TestThread] = []
    var nextFrame: UInt32 = 16
    var bundle = UnsafeRawBufferPointer(start: nil, count: 0)
    var ended = 0
    var ticks = 0, faults = 0, calls = 0, interrupts = 0, writeFaults = 0

    final class TestThread {
        let context = UnsafeMutablePointer<ThreadContext>.allocate(capacity: 1)
        var translation = Translation.none
        var isEnded = false
        var heap: (start: UInt64, end: UInt64) = (0, 0)
        init() { context.initialize(to: ThreadContext()) }
    }

    public init(machine: consuming M) { self.machine = machine }

    public mutating func recordStop(_ message: UnsafeRawBufferPointer) { say("stop message recorded\n") }

    func say(_ text: StaticString) {
        for i in 0..<text.utf8CodeUnitCount { machine.debugWrite(text.utf8Start[i]) }
    }
    func say(_ n: Int) {
        if n >= 10 { say(n / 10) }
        machine.debugWrite(UInt8(48 + n % 10))
    }

    public mutating func boot(bundle: UnsafeRawBufferPointer) {
        say("test-kernel: cores "); say(machine.coreCount)
        say(" frames "); say(Int(machine.nvm.frameCount))
        say(" bundle "); say(bundle.count)
        say(" wall "); say(Int(machine.wallClockNanoseconds() / 1_000_000_000))
        say(" ns "); say(Int(machine.monotonicNanoseconds())); say("\n")
        self.bundle = bundle
        for core in 0..<machine.coreCount {
            let thread = TestThread()
            guard let t = machine.makeTranslation() else { say("no translation\n"); machine.halt() }
            thread.translation = t
            thread.context.pointee.registers.rip = word(24)
            thread.context.pointee.registers.rdi = UInt64(bundle.count)
            thread.context.pointee.registers.rsi = 1
            threads.append(thread)
            machine.setTimer(core: core, at: machine.monotonicNanoseconds() + 1_000_000)
        }
        machine.unmask(line: 3)
    }

    func word(_ at: Int) -> UInt64 { bundle.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
    func half(_ at: Int) -> UInt16 { bundle.loadUnaligned(fromByteOffset: at, as: UInt16.self) }

    public mutating func handle(_ event: KernelEvent, core: Int) {
        let thread = threads[core]
        switch event {
        case .systemCall: calls += 1; call(thread, core)
        case .pageFault(let address, let isWrite, _, let code):
            faults += 1
            fault(thread, address, isWrite, code)
        case .exception(let vector, let code):
            say("user exception "); say(Int(vector)); say(" "); say(Int(code)); say(" rip ")
            say(Int(thread.context.pointee.registers.rip)); say("\n")
            end(thread)
        case .timer:
            ticks += 1
            machine.quiesceOtherCores(from: core)
            machine.revokeWrites()
            machine.setTimer(core: core, at: machine.monotonicNanoseconds() + 1_000_000)
        case .interrupt: interrupts += 1
        case .deviceInterrupt(let line):
            say("device "); say(Int(line)); say("\n")
            machine.unmask(line: line)
            machine.ringDoorbell()
        }
    }

    mutating func end(_ thread: TestThread) {
        thread.isEnded = true
        ended += 1
        if ended == threads.count {
            say("test-kernel: done ticks "); say(ticks)
            say(" faults "); say(faults); say(" writeFaults "); say(writeFaults)
            say(" calls "); say(calls); say(" interrupts "); say(interrupts)
            say(" ns "); say(Int(machine.monotonicNanoseconds())); say("\n")
            for t in threads { machine.dropTranslation(t.translation) }
            machine.halt()
        }
    }

    mutating func fault(_ thread: TestThread, _ address: UInt64, _ isWrite: Bool, _ code: UInt64) {
        let page = address / 4096 * 4096
        if let old = machine.lookUp(thread.translation, address: UserAddress(page)) {
            guard isWrite, !old.writable, flags(thread, page) & 2 != 0 else { return }
            writeFaults += 1
            _ = machine.install(thread.translation, address: UserAddress(page), target: .frame(old.frame),
                                protection: [.read, .write], tracked: true)
            return
        }
        let f = flags(thread, page)
        guard f != 0 else {
            say("bad fault at "); say(Int(address)); say(" rip "); say(Int(thread.context.pointee.registers.rip)); say("\n")
            end(thread); return
        }
        let frame = FrameNumber(nextFrame)
        nextFrame += 1
        machine.nvm.zeroFrame(frame)
        fill(page, frame)
        var p: Protection = [.read]
        if f & 2 != 0 && isWrite { p.insert(.write) }
        if f & 1 != 0 { p.insert(.execute) }
        if !machine.install(thread.translation, address: UserAddress(page), target: .frame(frame), protection: p, tracked: true) {
            say("install failed\n"); machine.halt()
        }
    }

    func flags(_ thread: TestThread, _ page: UInt64) -> UInt32 {
        if page >= thread.heap.start && page < thread.heap.end { return 6 }
        for i in 0..<Int(half(56)) {
            let h = Int(word(32)) + i * 56
            if page + 4096 > word(h + 16) && page < word(h + 16) + word(h + 40) { return UInt32(truncatingIfNeeded: word(h) >> 32) }
        }
        return 0
    }
    func fill(_ page: UInt64, _ frame: FrameNumber) {
        for i in 0..<Int(half(56)) {
            let h = Int(word(32)) + i * 56
            let va = word(h + 16), size = word(h + 32), off = word(h + 8)
            let from = max(page, va), to = min(page + 4096, va + size)
            if from < to {
                let bytes = UnsafeRawBufferPointer(rebasing: bundle[Int(off + from - va)..<Int(off + to - va)])
                machine.nvm.write(bytes, at: frame.offset + from - page)
            }
        }
    }

    mutating func call(_ thread: TestThread, _ core: Int) {
        let r = thread.context.pointee.registers
        var result: Int64 = 0
        switch NativeCall(rawValue: r.rax) {
        case .null: break
        case .clockRead: result = Int64(machine.monotonicNanoseconds())
        case .pmoCreate: result = 20
        case .map: thread.heap = (r.rsi, r.rsi + r.rdx)
        case .notificationSignal: result = -NativeError.noCapability.rawValue
        case .threadExit: end(thread)
        case .debugWrite:
            for i in 0..<r.rdx {
                let a = r.rsi + i
                if machine.lookUp(thread.translation, address: UserAddress(a / 4096 * 4096)) == nil { fault(thread, a, false, 0) }
                guard let f = machine.lookUp(thread.translation, address: UserAddress(a / 4096 * 4096)) else { continue }
                let w = machine.nvm.load(f.frame.offset + a % 4096 / 8 * 8)
                machine.debugWrite(UInt8(truncatingIfNeeded: w >> (a % 8 * 8)))
            }
        default: result = -NativeError.unknownCall.rawValue
        }
        thread.context.pointee.registers.rax = UInt64(bitPattern: result)
    }

    public func context(core: Int) -> UnsafeMutablePointer<ThreadContext>? {
        threads[core].isEnded ? nil : threads[core].context
    }
    public func translation(core: Int) -> Translation { threads[core].isEnded ? .none : threads[core].translation }
}
