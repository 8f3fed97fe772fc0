import ABI

/// The six arguments of a Linux call (syscall(2)): rdi rsi rdx r10 r8 r9. All of them are
/// allegations.
struct Arguments {
    let a: UInt64, b: UInt64, c: UInt64, d: UInt64, e: UInt64, f: UInt64

    init(_ r: Registers) {
        a = r.rdi
        b = r.rsi
        c = r.rdx
        d = r.r10
        e = r.r8
        f = r.r9
    }
}

extension UInt64 {
    /// The low half as C's `int`: descriptors, pids, flags.
    var int: Int32 { Int32(truncatingIfNeeded: self) }
    var word: UInt32 { UInt32(truncatingIfNeeded: self) }
    var signed: Int64 { Int64(bitPattern: self) }
}

/// How much of a call is there.
enum Support: UInt8 {
    /// As the man page says, as far as programs are known to use it.
    case full
    /// Some flags or cases are refused with an error.
    case partial
    /// Accepted without effect, because there is nothing to do here.
    case accepted
}

/// One Linux call: number (x86-64), name, and what serves it. The coverage table in Docs is made
/// from these.
struct CallEntry {
    typealias Handler = (GuestThread, Arguments) throws(Errno) -> Int64
    let number: Int
    let name: StaticString
    let support: Support
    let handler: Handler

    init(_ number: Int, _ name: StaticString, _ support: Support, _ handler: @escaping Handler) {
        self.number = number
        self.name = name
        self.support = support
        self.handler = handler
    }
}

/// All calls by number. A number without an entry is ENOSYS and counted (`ServerStatistics`).
final class CallTable {
    private var entries = [CallEntry?](repeating: nil, count: ServerStatistics.numbers)
    private let statistics: CallStatistics

    init(statistics: CallStatistics) {
        self.statistics = statistics
        for entry in CallTable.all() { entries[entry.number] = entry }
    }

    /// Every entry, by family.
    static func all() -> [CallEntry] {
        fileCalls() + transferCalls() + statusCalls() + pathCalls() + descriptorCalls()
            + channelCalls() + pollCalls() + socketCalls()
            + memoryCalls() + processCalls() + identityCalls() + signalCalls() + timeCalls()
            + systemCalls()
    }

    func perform(_ number: UInt64, _ thread: GuestThread, _ arguments: Arguments) throws(Errno)
        -> Int64
    {
        let index = Int(truncatingIfNeeded: min(number, UInt64(ServerStatistics.numbers - 1)))
        statistics.countCall(index)
        guard number < UInt64(entries.count), let entry = entries[index] else {
            statistics.countUnknown(index)
            throw .ENOSYS
        }
        return try entry.handler(thread, arguments)
    }
}

/// The statistics page that the CLI reads (`ServerStatistics`).
final class CallStatistics {
    static let address: UInt64 = 0x22_0000_0000
    private let page: UnsafeMutablePointer<UInt32>

    init() throws(Errno) {
        _ = try SharedRing.mapPMO(RootSlot.serverStatistics, at: CallStatistics.address)
        guard let page = UnsafeMutablePointer<UInt32>(bitPattern: UInt(CallStatistics.address))
        else { throw .EFAULT }
        self.page = page
    }

    func countCall(_ index: Int) { page[Int(ServerStatistics.callsOffset) / 4 + index] &+= 1 }
    func countUnknown(_ index: Int) { page[Int(ServerStatistics.unknownOffset) / 4 + index] &+= 1 }
}
