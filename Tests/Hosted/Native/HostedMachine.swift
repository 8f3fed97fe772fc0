import ABI
import CHosted
import CLinuxServer
import Glibc

/// The kernel's part as far as the Linux server needs it, on a Linux host: guests run as traced
/// processes, PMOs are memfds. Nothing here is persistent. It exists to test the server against
/// real programs without the kernel.
public final class HostedMachine: @unchecked Sendable {
    /// The C functions of the seam have no place for a context.
    nonisolated(unsafe) static var current: HostedMachine?
    static let ringPages: UInt64 = 17
    static let ringCapacity: UInt64 = 65536

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var slots: [HostedObject?] = []
    private var freeSlots: [Int] = []
    private var rings: [UInt64: HostedPMO] = [:]
    let outputRing: HostedPMO
    let inputRing: HostedPMO
    let statistics: HostedPMO
    let doorbell = HostedNotification()
    private let outside: HostedConsole
    /// Shows every return from a guest on standard error.
    public var traces = false

    /// A machine whose boot bundle is `bundle`.
    public init?(bundle: [UInt8]) {
        let pages = max(1, (UInt64(bundle.count) + pageSize - 1) / pageSize)
        guard let archive = HostedPMO(pageCount: pages),
            let output = HostedPMO(pageCount: HostedMachine.ringPages),
            let input = HostedPMO(pageCount: HostedMachine.ringPages),
            let counters = HostedPMO(pageCount: 1)
        else { return nil }
        bundle.withUnsafeBytes {
            if let source = $0.baseAddress { memcpy(archive.base, source, $0.count) }
        }
        outputRing = output
        inputRing = input
        statistics = counters
        outside = HostedConsole(output: output, input: input)
        pthread_mutex_init(mutex, nil)
        let first = HostedThread()
        slots = [
            .other, .space(HostedSpace()), .thread(first), .pmo(archive), .pmo(output), .pmo(input),
            .notification(doorbell), .other, .pmo(counters),
        ]
        evertree_hosted_set_thread(Unmanaged.passRetained(first).toOpaque())
        HostedMachine.current = self
    }

    /// Reads standard input in the background and ends the process when the first program has
    /// ended.
    public func attachConsole() { outside.start(self) }

    /// Shows what is in the output ring; an exit frame ends the process.
    public func showOutput() {
        lock()
        pumpOutput()
        unlock()
    }

    private func lock() { pthread_mutex_lock(mutex) }
    private func unlock() { pthread_mutex_unlock(mutex) }

    // MARK: Slots

    private func object(_ slot: UInt64) -> HostedObject? {
        slot < UInt64(slots.count) ? slots[Int(slot)] : nil
    }

    private func add(_ object: HostedObject) -> Int64 {
        if let index = freeSlots.popLast() {
            slots[index] = object
            return Int64(index)
        }
        slots.append(object)
        return Int64(slots.count - 1)
    }

    private func pmo(_ slot: UInt64) -> HostedPMO? {
        if case .pmo(let pmo) = object(slot) { return pmo }
        return nil
    }

    private func notification(_ slot: UInt64) -> HostedNotification? {
        if case .notification(let notification) = object(slot) { return notification }
        return nil
    }

    private func space(_ slot: UInt64) -> HostedSpace? {
        if case .space(let space) = object(slot), slot != UInt64(RootSlot.vmSpace.value) {
            return space
        }
        return nil
    }

    private func failure(_ error: NativeError) -> Int64 { -error.rawValue }

    // MARK: Calls

    struct Words {
        let a: UInt64, b: UInt64, c: UInt64, d: UInt64, e: UInt64, f: UInt64
    }

    func perform(_ number: UInt64, _ w: Words) -> Int64 {
        guard let call = NativeCall(rawValue: number) else { return failure(.unknownCall) }
        lock()
        defer { unlock() }
        switch call {
        case .null, .checkpoint: return 0
        case .yield:
            unlock()
            sched_yield()
            lock()
            return 0
        case .clockRead: return readClock(w.a)
        case .threadKick: return kick(w.a)
        case .threadFPU: return moveFPU(w)
        case .enterRestricted: return enter(w.a, w.b)
        case .notificationCreate: return add(.notification(HostedNotification()))
        case .notificationSignal: return signal(w.a)
        case .notificationWait: return wait(w.a, deadline: w.b)
        case .irqAcknowledge: return 0
        case .capabilityDelete: return delete(w.a)
        case .objectInfo: return describe(w.a, w.b)
        default: return performMemory(call, w)
        }
    }

    private func performMemory(_ call: NativeCall, _ w: Words) -> Int64 {
        switch call {
        case .pmoCreate:
            return HostedPMO(pageCount: w.a).map { add(.pmo($0)) } ?? failure(.noMemory)
        case .ringCreate: return createRing(w.b, pageCount: w.c)
        case .pmoResize:
            guard let pmo = pmo(w.a) else { return failure(.wrongKind) }
            return pmo.resize(pageCount: w.b) ? 0 : failure(.noMemory)
        case .pmoDecommit:
            guard let pmo = pmo(w.a) else { return failure(.wrongKind) }
            guard w.b <= pmo.pageCount, w.c <= pmo.pageCount - w.b else {
                return failure(.badArgument)
            }
            return pmo.decommit(first: w.b, count: w.c) ? Int64(w.c) : failure(.badArgument)
        case .memoryCopy: return copy(w)
        case .vmSpaceCreate: return add(.space(HostedSpace()))
        case .map: return map(w)
        case .unmap: return unmap(w)
        case .protect: return protect(w)
        default: return failure(.unknownCall)
        }
    }

    /// Rings of which nobody here holds the other side, until a test takes it (`ring`).
    private func createRing(_ number: UInt64, pageCount: UInt64) -> Int64 {
        guard rings[number] == nil, pageCount > 1, let pmo = HostedPMO(pageCount: pageCount) else {
            return failure(.badArgument)
        }
        pmo.base.storeBytes(of: Ring.magic, as: UInt64.self)
        pmo.base.storeBytes(
            of: (pageCount - 1) * pageSize, toByteOffset: Int(Ring.capacityOffset), as: UInt64.self)
        rings[number] = pmo
        return add(.pmo(pmo))
    }

    /// The memory of a ring that the server made.
    public func ring(_ number: UInt64) -> UnsafeMutableRawPointer? {
        lock()
        defer { unlock() }
        return rings[number]?.base
    }

    private func readClock(_ which: UInt64) -> Int64 {
        var time = timespec()
        switch which {
        case 0: clock_gettime(CLOCK_MONOTONIC, &time)
        case 1: clock_gettime(CLOCK_REALTIME, &time)
        default: return 0
        }
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private func delete(_ slot: UInt64) -> Int64 {
        guard slot < UInt64(slots.count), slots[Int(slot)] != nil,
            slot >= UInt64(RootSlot.firstFree)
        else {
            return failure(.noCapability)
        }
        slots[Int(slot)] = nil
        freeSlots.append(Int(slot))
        return 0
    }

    private func describe(_ slot: UInt64, _ buffer: UInt64) -> Int64 {
        guard let pmo = pmo(slot),
            let words = UnsafeMutablePointer<UInt64>(bitPattern: UInt(buffer))
        else {
            return failure(.wrongKind)
        }
        words[0] = UInt64(ObjectKind.pmo.rawValue)
        words[1] = UInt64(Rights.all.rawValue)
        words[2] = 0
        words[3] = pmo.pageCount
        return 0
    }

    // MARK: Threads

    private func signal(_ slot: UInt64) -> Int64 {
        guard let notification = notification(slot) else { return failure(.wrongKind) }
        notification.count += 1
        pthread_cond_signal(notification.condition)
        return 0
    }

    /// Called by the console's outside.
    func ringDoorbell() {
        lock()
        doorbell.count = 1
        pthread_cond_signal(doorbell.condition)
        unlock()
    }

    private func wait(_ slot: UInt64, deadline: UInt64) -> Int64 {
        guard let notification = notification(slot) else { return failure(.wrongKind) }
        pumpOutput()
        var time = timespec(
            tv_sec: Int(min(deadline / 1_000_000_000, 1 << 33)),
            tv_nsec: Int(deadline % 1_000_000_000))
        while notification.count == 0 {
            if deadline == 0 { return failure(.timedOut) }
            if pthread_cond_timedwait(notification.condition, mutex, &time) == ETIMEDOUT,
                notification.count == 0
            {
                return failure(.timedOut)
            }
        }
        notification.count -= 1
        return 0
    }

    private func pumpOutput() {
        if outside.pump() {
            doorbell.count = 1
            pthread_cond_signal(doorbell.condition)
        }
    }

    private func kick(_ slot: UInt64) -> Int64 {
        guard case .thread(let thread) = object(slot) else { return failure(.wrongKind) }
        thread.isKicked = true
        if thread.tracee > 0 { _ = evertree_hosted_kick(thread.tracee) }
        return 0
    }

    private var callingThread: HostedThread? {
        evertree_hosted_thread().map {
            Unmanaged<HostedThread>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private func moveFPU(_ w: Words) -> Int64 {
        guard let thread = callingThread,
            let buffer = UnsafeMutableRawPointer(bitPattern: UInt(w.b))
        else {
            return failure(.badAddress)
        }
        guard thread.prepare() else { return failure(.noMemory) }
        if w.a == 0 { thread.saveFPU(buffer) } else { thread.loadFPU(buffer) }
        return 0
    }

    private func enter(_ slot: UInt64, _ address: UInt64) -> Int64 {
        guard let thread = callingThread, let space = space(slot),
            let state = UnsafeMutablePointer<RestrictedState>(bitPattern: UInt(address))
        else { return failure(.badArgument) }
        guard thread.prepare() else { return failure(.noMemory) }
        pumpOutput()
        thread.follow(space)
        if thread.isKicked {
            thread.isKicked = false
            state.pointee.reason = RestrictedExit.kicked.rawValue
            return Int64(RestrictedExit.kicked.rawValue)
        }
        unlock()
        let isAlive = thread.run(state)
        lock()
        if !isAlive { return failure(.gone) }
        if traces { trace(slot, state.pointee) }
        if state.pointee.reason == RestrictedExit.kicked.rawValue { thread.isKicked = false }
        return Int64(state.pointee.reason)
    }

    private func trace(_ slot: UInt64, _ state: RestrictedState) {
        let r = state.registers
        var line = "[\(slot)] "
        if state.reason == RestrictedExit.systemCall.rawValue {
            line += "call \(r.rax)"
            for word in [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] {
                line += " " + String(word, radix: 16)
            }
        } else {
            line += "reason \(state.reason) vector \(state.vector) at " + String(r.rip, radix: 16)
            line +=
                " address " + String(state.faultAddress, radix: 16) + " rsp "
                + String(r.rsp, radix: 16)
        }
        let bytes = Array((line + "\n").utf8)
        write(2, bytes, bytes.count)
    }

    func startThread(_ run: @escaping @convention(c) (UInt64) -> Void, _ argument: UInt64) -> Int64
    {
        lock()
        defer { unlock() }
        let thread = HostedThread()
        let start = ThreadStart(thread: thread, run: run, argument: argument)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var handle = pthread_t()
        let result = pthread_create(
            &handle, &attributes,
            { raw in
                guard let raw else { return nil }
                let start = Unmanaged<ThreadStart>.fromOpaque(raw).takeRetainedValue()
                evertree_hosted_set_thread(Unmanaged.passRetained(start.thread).toOpaque())
                start.run(start.argument)
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        return result == 0 ? add(.thread(thread)) : failure(.noMemory)
    }

    private final class ThreadStart {
        let thread: HostedThread
        let run: @convention(c) (UInt64) -> Void
        let argument: UInt64
        init(thread: HostedThread, run: @escaping @convention(c) (UInt64) -> Void, argument: UInt64)
        {
            self.thread = thread
            self.run = run
            self.argument = argument
        }
    }

    // MARK: Memory

    private func map(_ w: Words) -> Int64 {
        guard let pmo = pmo(w.d) else { return failure(.wrongKind) }
        let (end, overflow) = w.b.addingReportingOverflow(w.c)
        guard !overflow, w.b % pageSize == 0, w.c % pageSize == 0, w.c > 0, w.e % pageSize == 0,
            w.b >= UserAddress.lowest.value, end <= UserAddress.limit.value
        else { return failure(.badArgument) }
        let protection = Protection(rawValue: UInt8(truncatingIfNeeded: w.f))
        if w.a == UInt64(RootSlot.vmSpace.value) {
            let address = UnsafeMutableRawPointer(bitPattern: UInt(w.b))
            let flags = MAP_SHARED | MAP_FIXED
            let mapped = mmap(
                address, Int(w.c), PROT_READ | PROT_WRITE, flags, pmo.descriptor, off_t(w.e))
            return mapped == MAP_FAILED ? failure(.noMemory) : 0
        }
        guard let space = space(w.a) else { return failure(.wrongKind) }
        space.insert(
            HostedSpace.Region(start: w.b, end: end, pmo: pmo, offset: w.e, protection: protection))
        return 0
    }

    private func unmap(_ w: Words) -> Int64 {
        guard let space = space(w.a) else { return failure(.wrongKind) }
        let (end, overflow) = w.b.addingReportingOverflow(w.c)
        guard !overflow, w.b % pageSize == 0, w.c % pageSize == 0 else {
            return failure(.badArgument)
        }
        space.remove(w.b, end)
        return 0
    }

    private func protect(_ w: Words) -> Int64 {
        guard let space = space(w.a) else { return failure(.wrongKind) }
        let (end, overflow) = w.b.addingReportingOverflow(w.c)
        guard !overflow, w.b % pageSize == 0, w.c % pageSize == 0 else {
            return failure(.badArgument)
        }
        for var region in space.remove(w.b, end) {
            region.protection = Protection(rawValue: UInt8(truncatingIfNeeded: w.d))
            space.insert(region)
        }
        return 0
    }

    /// One side of a copy: where it is in this process and how far it reaches.
    private func locate(
        _ slot: UInt64, _ offset: UInt64, needs: Protection
    ) -> (pointer: UnsafeMutableRawPointer, room: UInt64)? {
        if slot == UInt64(RootSlot.vmSpace.value) {
            return UnsafeMutableRawPointer(bitPattern: UInt(offset)).map { ($0, UInt64.max) }
        }
        if let pmo = pmo(slot) {
            let size = pmo.pageCount * pageSize
            return offset < size ? (pmo.base + Int(offset), size - offset) : nil
        }
        return space(slot)?.locate(offset, needs: needs).map { ($0.0, $0.1) }
    }

    private func copy(_ w: Words) -> Int64 {
        var done: UInt64 = 0
        let total = min(w.e, 256 * 1024)
        while done < total {
            let from = w.d &+ done
            let to = w.b &+ done
            if from % pageSize == 0, to % pageSize == 0, let source = pmo(w.c), pmo(w.a) != nil {
                let hole = source.hole(at: from, limit: total - done) / pageSize * pageSize
                if hole > 0 {
                    done += hole
                    continue
                }
            }
            guard let target = locate(w.a, to, needs: .write),
                let source = locate(w.c, from, needs: .read)
            else {
                break
            }
            let part = min(total - done, target.room, source.room, pageSize - from % pageSize)
            memcpy(target.pointer, source.pointer, Int(part))
            done += part
        }
        return done > 0 || total == 0 ? Int64(done) : failure(.badAddress)
    }
}

@c(evertree_native_call)
public func hostedNativeCall(
    _ number: UInt64, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64, _ f: UInt64
) -> Int64 {
    let words = HostedMachine.Words(a: a, b: b, c: c, d: d, e: e, f: f)
    return HostedMachine.current?.perform(number, words) ?? -NativeError.gone.rawValue
}

@c(evertree_start_server_thread)
public func hostedStartThread(_ run: @escaping @convention(c) (UInt64) -> Void, _ argument: UInt64)
    -> Int64
{
    HostedMachine.current?.startThread(run, argument) ?? -NativeError.gone.rawValue
}
