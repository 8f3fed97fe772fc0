import ABI
import CFuzz
import CLinuxServer

/// The kernel's part as far as the Linux server needs it, in this process and without a clock:
/// server threads are coroutines, PMOs are plain pages, and guests do not run at all; what one does
/// next is the harness's choice. A native call for which the server has no excuse is a finding.
final class LinuxMachine {
    /// The C functions of the seam have no place for a context.
    nonisolated(unsafe) static var current: LinuxMachine?
    static let maximumThreads = 64
    /// As deep as the guest's (Sources/Servers/Linux/Program).
    static let stackBytes = 256 * 1024

    /// Slots are never used again, so that a stale one is always seen.
    var slots: [LinuxObject]
    var frames = LinuxFrames()
    let bootThread = LinuxThread(nil)
    var running: LinuxThread
    var threads: [LinuxThread] = []
    var calls: UInt64 = 0
    /// Monotonic nanoseconds.
    var now: UInt64 = 1_000_000_000
    /// What was given to server threads, in the order in which they started.
    private(set) var arguments: [UInt64] = []

    /// Chance in 256 that a native call lets other threads run first.
    var preemption: UInt64 = 0
    /// Chance in 256 that a call which needs memory gets none.
    var scarcity: UInt64 = 0
    private var dice: UInt64 = 1

    let output: LinuxPMO
    let input: LinuxPMO
    let doorbell = LinuxNotification()

    init(bundle: [UInt8], ringPages: UInt64) {
        let archive = LinuxPMO(pageCount: max(1, (UInt64(bundle.count) + pageSize - 1) / pageSize))
        output = LinuxPMO(pageCount: ringPages + 1)
        input = LinuxPMO(pageCount: ringPages + 1)
        running = bootThread
        slots = [
            .other, .other, .thread(bootThread), .pmo(archive), .pmo(output), .pmo(input),
            .notification(doorbell), .other, .pmo(LinuxPMO(pageCount: 1)),
        ]
        for (index, byte) in bundle.enumerated() {
            write(archive, UInt64(index) / pageSize)?.storeBytes(
                of: byte, toByteOffset: index % Int(pageSize), as: UInt8.self)
        }
        for ring in [output, input] {
            write(ring, 0)?.storeBytes(
                of: Ring.magic, toByteOffset: Int(Ring.magicOffset), as: UInt64.self)
            write(ring, 0)?.storeBytes(
                of: ringPages * pageSize, toByteOffset: Int(Ring.capacityOffset), as: UInt64.self)
        }
    }

    /// A number below 256 that the input's header decides.
    func roll() -> UInt64 {
        dice = scatter(dice)
        return dice >> 56
    }
    func seed(_ value: UInt64) { dice = scatter(value) }

    /// A native call that the server should never have made.
    func blame(_ call: NativeCall, _ w: Words, _ reason: String) -> Never {
        let words = [w.a, w.b, w.c, w.d, w.e, w.f].map { String($0, radix: 16) }
        finding("native call \(call)(\(words.joined(separator: ", "))): \(reason)")
    }

    struct Words {
        let a: UInt64, b: UInt64, c: UInt64, d: UInt64, e: UInt64, f: UInt64
    }

    func failure(_ error: NativeError) -> Int64 { -error.rawValue }

    var lacksMemory: Bool { scarcity > 0 && roll() < scarcity }

    // MARK: Slots

    func add(_ object: LinuxObject) -> Int64 {
        slots.append(object)
        return Int64(slots.count - 1)
    }

    func object(_ slot: UInt64) -> LinuxObject? {
        slot < UInt64(slots.count) ? slots[Int(slot)] : nil
    }

    func notification(_ call: NativeCall, _ w: Words) -> LinuxNotification {
        guard case .notification(let found)? = object(w.a) else {
            blame(call, w, "no such notification")
        }
        return found
    }

    // MARK: Calls

    func perform(_ number: UInt64, _ w: Words) -> Int64 {
        guard let call = NativeCall(rawValue: number) else {
            finding("native call \(number) is none")
        }
        calls += 1
        if preemption > 0, running !== bootThread, roll() < preemption { letOthersRun() }
        switch call {
        case .yield:
            if running !== bootThread { letOthersRun() }
            return 0
        case .checkpoint:
            if w.a != UInt64(RootSlot.system.value) { blame(call, w, "not the system's") }
            return 1
        case .clockRead: return readClock(w.a)
        case .threadKick: return kick(call, w)
        case .threadFPU: return moveFPU(call, w)
        case .enterRestricted: return enter(call, w)
        case .notificationCreate:
            return lacksMemory ? failure(.noMemory) : add(.notification(LinuxNotification()))
        case .notificationSignal:
            signal(notification(call, w))
            return 0
        case .notificationWait: return wait(notification(call, w), deadline: w.b)
        case .irqAcknowledge:
            if notification(call, w) !== doorbell { blame(call, w, "not an interrupt's") }
            return 0
        case .capabilityDelete: return delete(call, w)
        default: return performMemory(call, w)
        }
    }

    private func readClock(_ which: UInt64) -> Int64 {
        now += 50
        switch which {
        case 0: return Int64(now)
        case 1: return Int64(now + 1_700_000_000_000_000_000)
        default: return 0
        }
    }

    private func delete(_ call: NativeCall, _ w: Words) -> Int64 {
        switch object(w.a) {
        case .pmo(let pmo)?: drop(pmo)
        case .space(let space)?: clear(space, 0, UInt64.max)
        case .notification(let notification)? where notification.waiters.isEmpty: break
        default: blame(call, w, "the server must not delete this")
        }
        slots[Int(w.a)] = .other
        return 0
    }

    private func moveFPU(_ call: NativeCall, _ w: Words) -> Int64 {
        guard let buffer = UnsafeMutableRawPointer(bitPattern: UInt(w.b)) else {
            blame(call, w, "no buffer")
        }
        let area = UnsafeMutableRawBufferPointer(start: buffer, count: 512)
        if w.a == 0 { area.copyBytes(from: running.fpu) } else { running.fpu = Array(area) }
        return 0
    }

    func start(_ run: @escaping @convention(c) (UInt64) -> Void, _ argument: UInt64) -> Int64 {
        guard threads.count < LinuxMachine.maximumThreads, !lacksMemory,
            let coroutine = fuzz_coroutine_make(LinuxMachine.stackBytes, run, argument)
        else { return failure(.noMemory) }
        let thread = LinuxThread(coroutine)
        threads.append(thread)
        arguments.append(argument)
        return add(.thread(thread))
    }
}

@c(evertree_native_call)
public func linuxNativeCall(
    _ number: UInt64, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64, _ f: UInt64
) -> Int64 {
    let words = LinuxMachine.Words(a: a, b: b, c: c, d: d, e: e, f: f)
    return LinuxMachine.current?.perform(number, words) ?? -NativeError.gone.rawValue
}

@c(evertree_start_server_thread)
public func linuxStartThread(_ run: @escaping @convention(c) (UInt64) -> Void, _ argument: UInt64)
    -> Int64
{
    LinuxMachine.current?.start(run, argument) ?? -NativeError.gone.rawValue
}
