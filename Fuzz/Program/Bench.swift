import ABI
import Kernel
import Machine
import MachineSim
import Store

/// A kernel on a machine without processors, driven event by event.
final class Bench {
    typealias FuzzKernel = Kernel<CallMachine<ImageMemory>>
    let memory: ImageMemory
    private(set) var machine: CallMachine<ImageMemory>
    let kernel: UnsafeMutablePointer<FuzzKernel>
    private var isRunning = false
    /// The first process's thread.
    private var mainThread = ObjectID.none

    /// First address of the stack of the first process, and its end.
    static let stackBottom: UInt64 = 0x7F_F000_0000 - 256 * pageSize
    static let stackTop: UInt64 = 0x7F_F000_0000

    init(memory: ImageMemory) {
        self.memory = memory
        machine = CallMachine(nvm: memory, coreCount: 2)
        kernel = .allocate(capacity: 1)
    }

    /// Starts a kernel on what the memory holds. False: it stopped with a named reason. Throws: the
    /// store cannot be opened.
    func start(bundle: UnsafeRawBufferPointer, at time: UInt64 = 1000) throws(StoreError) -> Bool {
        powerOff()
        machine = CallMachine(nvm: memory, coreCount: 2)
        machine.state.time = time
        var options = KernelOptions()
        options.smallObjects = 512
        options.largeObjects = 256
        kernel.initialize(to: try Kernel(machine: machine, options: options))
        isRunning = true
        return kernel.pointee.boot(bundle: bundle)
    }

    func start() throws(StoreError) -> Bool {
        var result: Result<Bool, StoreError> = .success(false)
        BootFile.plain.withUnsafeBytes { bytes in
            do throws(StoreError) { result = .success(try start(bundle: bytes)) } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    /// Forgets everything volatile.
    func powerOff() {
        if !isRunning { return }
        isRunning = false
        _ = kernel.move().tearDown()
    }

    func handle(_ event: KernelEvent, core: Int = 0) { kernel.pointee.handle(event, core: core) }

    /// Lets others give way until the first process's thread is on core 0.
    func focus() {
        if !tryFocus() { finding("the first thread does not run") }
    }

    func tryFocus() -> Bool {
        if mainThread.isNone, let running = kernel.pointee.runningThread(core: 0) {
            mainThread = running.thread
        }
        for _ in 0..<64 where kernel.pointee.runningThread(core: 0)?.thread != mainThread {
            call(.yield)
        }
        return kernel.pointee.runningThread(core: 0)?.thread == mainThread
    }

    func tick(nanoseconds: UInt64 = 2_000_000) {
        machine.state.time += nanoseconds
        handle(.timer)
    }

    var isStopped: Bool { kernel.pointee.isStopped }
    /// Why it stopped: see `Statistic.stopReason`.
    var stopReason: UInt64 {
        memory.load(StoreLayout.statistics.offset + UInt64(Statistic.stopReason.rawValue) * 8)
    }

    /// One native call by the thread on a core. The result is that of whatever thread runs there
    /// afterwards.
    @discardableResult
    func call(_ number: NativeCall, _ arguments: UInt64..., core: Int = 0) -> Int64 {
        guard let context = kernel.pointee.context(core: core) else { return .min }
        context.pointee.registers.rax = number.rawValue
        let places: [WritableKeyPath<Registers, UInt64>] = [\.rdi, \.rsi, \.rdx, \.r10, \.r8, \.r9]
        for (place, value) in zip(places, arguments) {
            context.pointee.registers[keyPath: place] = value
        }
        handle(.systemCall, core: core)
        return kernel.pointee.context(core: core).map {
            Int64(bitPattern: $0.pointee.registers.rax)
        } ?? .min
    }

    /// The frame behind a user address, if user code on a core could reach it: faults as the
    /// processor would. Nil also when the access would end the thread.
    private func frame(_ address: UInt64, write: Bool, core: Int) -> FrameNumber? {
        for attempt in 0..<2 {
            let translation = kernel.pointee.translation(core: core)
            if translation.isNone { return nil }
            if let entry = machine.lookUp(translation, address: UserAddress(address)),
                entry.writable || !write
            {
                return entry.frame.frame
            }
            if attempt == 0 {
                handle(
                    .pageFault(address: address, isWrite: write, isExecute: false, errorCode: 0),
                    core: core)
            }
        }
        return nil
    }

    @discardableResult
    func store(_ value: UInt64, at address: UInt64, core: Int = 0) -> Bool {
        guard let frame = frame(address, write: true, core: core) else { return false }
        memory.store(value, at: frame.offset + address % pageSize / 8 * 8)
        return true
    }

    func load(_ address: UInt64, core: Int = 0) -> UInt64? {
        frame(address, write: false, core: core).map {
            memory.load($0.offset + address % pageSize / 8 * 8)
        }
    }

    /// A number for everything that programs could see.
    var digest: UInt64 {
        var hash: UInt64 = 0
        kernel.pointee.describe { hash = (hash ^ $0) &* 0x9E37_79B9_7F4A_7C15 ^ hash >> 29 }
        return hash
    }

    /// Ends the run if an invariant is broken.
    func checkInvariants(_ place: String) {
        if let broken = kernel.pointee.checkInvariants() { finding("\(place): \(broken)") }
        for (translation, entries) in machine.state.translations {
            for (page, entry) in entries {
                let problem = kernel.pointee.checkEntry(
                    Translation(translation), page: page, frame: entry.frame,
                    writable: entry.writable,
                    tracked: entry.tracked)
                if let problem { finding("\(place): \(problem), page \(page)") }
            }
        }
        for core in 0..<2 {
            guard let registers = kernel.pointee.context(core: core)?.pointee.registers else {
                continue
            }
            if registers != registers.sanitized {
                finding("\(place): a thread runs with forbidden registers")
            }
        }
    }
}
