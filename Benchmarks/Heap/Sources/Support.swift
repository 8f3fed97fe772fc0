import Glibc
import PersistentHeap

/// The workloads draw from the same stream as the C programs: splitmix64, seed 42 for swaps, 7 for
/// look-ups.
struct Stream {
    private var random: SplitMix64
    init(_ seed: UInt64) { random = SplitMix64(seed: seed) }
    /// Uniform in 0..<n by multiply-high.
    @inline(__always) mutating func below(_ n: Int) -> Int {
        Int(truncatingIfNeeded: random.next().multipliedFullWidth(by: UInt64(n)).high)
    }
}

/// Key of insertion `index`: distinct, and looks random.
@inline(__always) func key(_ index: Int) -> UInt64 {
    var random = SplitMix64(seed: UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
    return random.next()
}

/// HEAP_BENCH_CLOCK=cpu: the process's own time, which a busy machine disturbs less.
private let clock = getenv("HEAP_BENCH_CLOCK") == nil ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID

func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Tells the counting program (`count`) that the measured part begins or ends.
func mark() { if getenv("HEAP_BENCH_MARK") != nil { raise(SIGUSR1) } }

/// Prints a result line: metric, count, nanoseconds in all.
func report(_ metric: String, _ count: Int, since start: UInt64) {
    print("\(metric)\t\(count)\t\(nanoseconds() - start)")
}

func expect(_ condition: Bool, _ message: String) {
    guard condition else { fatalError("benchmark result is wrong: \(message)") }
}

/// Uses a result, so that the work behind it is not removed.
@inline(never) func keep<T>(_ value: T) {
    withUnsafeBytes(of: value) { if $0.count > 4096 { print($0[0]) } }
    if getenv("HEAP_BENCH_PRINT") != nil { print(value) }
}

func freshHeap(
    _ path: String, _ domain: PersistenceDomain, arenaShift: Int = 26,
    maximumSize: UInt64 = 1 << 34
) throws -> PersistentHeap {
    unlink(path)
    var options = HeapOptions()
    options.arenaShift = arenaShift
    options.initialSize = 1 << arenaShift
    options.maximumSize = maximumSize
    options.collectsAtOpen = false
    return try PersistentHeap(path: path, domain: domain, options: options)
}
