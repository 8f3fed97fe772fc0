import ABI

/// struct timespec, timeval and their pairs.
enum TimeRecord {
    static let second: UInt64 = 1_000_000_000

    /// Seconds and a fraction of `1/second*unit`; EINVAL when they are negative or too large, far
    /// futures are cut.
    static func nanoseconds(_ bytes: Bytes, _ at: Int, unit: UInt64) throws(Errno) -> UInt64 {
        let seconds = bytes.loadInt64(at)
        let fraction = bytes.load64(at + 8)
        guard seconds >= 0, fraction < second / unit else { throw .EINVAL }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: second)
        if overflow || whole > UInt64(Int64.max) - second { return UInt64(Int64.max) }
        return whole + fraction * unit
    }

    static func single(_ nanoseconds: UInt64, unit: UInt64 = 1) -> Bytes {
        var writer = ByteWriter(capacity: 16)
        writer.put64(nanoseconds / second)
        writer.put64(nanoseconds % second / unit)
        return writer.bytes
    }

    /// Interval and value, as itimerspec and itimerval have them.
    static func pair(_ interval: UInt64, _ value: UInt64, unit: UInt64 = 1) -> Bytes {
        single(interval, unit: unit) + single(value, unit: unit)
    }

    /// A duration from now as a monotonic deadline.
    static func deadline(after duration: UInt64) -> UInt64 {
        let (sum, overflow) = Native.monotonic().addingReportingOverflow(duration)
        return overflow ? Native.forever : sum
    }
}

extension GuestThread {
    /// The time that an optional timespec (`unit` 1) or timeval (1000) asks to wait; nil for no
    /// record.
    func duration(_ address: UInt64, unit: UInt64) throws(Errno) -> UInt64? {
        if address == 0 { return nil }
        return try TimeRecord.nanoseconds(try memory.read(address, count: 16), 0, unit: unit)
    }
}
