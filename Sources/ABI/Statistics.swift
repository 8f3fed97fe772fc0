/// The kernel's statistics page: 64-bit counters in eternal memory that the host reads at any time.
/// They are not part of any version: they count since the store was made, over crashes.
public enum Statistic: Int, CaseIterable, Sendable {
    case magic = 0
    case committedVersion
    case checkpoints
    case restores
    case dirtyObjects
    case dirtyPages
    case pageFaults
    case copyOnWriteFaults
    case nativeCalls
    case bytesWritten
    case framesTotal
    case framesUsed
    case framesFree
    case recordsUsed
    case threads
    /// Median cost in nanoseconds of a null call made by the kernel's own self-measurement at boot,
    /// and of a 4 KiB copy between two frames. 0 when not measured.
    case copyNanoseconds
    case bootNanoseconds
    case restoreNanoseconds
    case checkpointsSkippedIdle
    case outputBytesPublished
    /// Why the machine stopped: 0 running or killed, 1 panic, 2 store damaged, 3 no memory at boot.
    case stopReason
    /// Hot pages, kept in DRAM, at the last commit; and their captures so far.
    case hotPages
    case pagesCaptured
    public static let magicValue: UInt64 = 0x5354_4154_5645_5645
}

/// Parts of a checkpoint's pause, each with a histogram behind the counters.
public enum PausePart: Int, CaseIterable, Sendable {
    case total = 0
    case quiesce, records, pages, commit, resume
    /// Hot pages copied from DRAM.
    case capture
    public static let count = 7
}

/// Layout of the statistics area: page 0 holds the counters the words of a
/// host's flush at 1024 and 1088, and, from byte 2048, the stop message
/// (NUL-terminated text); page 1 on hold one page of 1,024 u32 buckets for each `PausePart`.
///
/// Bucket of a duration of n nanoseconds: n below 16 is its own bucket; above, 16 linear buckets
/// for each power of two (a relative error of at most 1/16).
public enum StatisticsLayout {
    /// Where lines are flushed by the host (`hostFlush`): the kernel counts up the first word and
    /// rings; the host flushes the file and copies the number to the second. A cache line each.
    public static let flushRequestOffset = 1024
    public static let flushDoneOffset = 1088
    public static let messageOffset = 2048
    public static let histogramOffset = 4096
    public static let bucketCount = 1024
    public static let pageCount: UInt32 = 8

    @inlinable public static func bucket(nanoseconds n: UInt64) -> Int {
        if n < 16 { return Int(n) }
        let exponent = 63 - n.leadingZeroBitCount
        let step = Int(truncatingIfNeeded: n >> UInt64(exponent - 4)) & 15
        return (exponent - 3) * 16 + step
    }
    /// Lower bound of a bucket, in nanoseconds.
    @inlinable public static func lowerBound(bucket: Int) -> UInt64 {
        if bucket < 16 { return UInt64(bucket) }
        return UInt64(16 + bucket % 16) << UInt64(bucket / 16 - 1)
    }
}
