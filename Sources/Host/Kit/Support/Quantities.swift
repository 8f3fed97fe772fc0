import Store

/// A number of bytes as people write it: `4096`, `64K`, `512M`, `1G` (powers of 1,024).
public struct ByteSize: Equatable, Sendable {
    public var bytes: UInt64

    public init(bytes: UInt64) { self.bytes = bytes }

    /// Nil when the text is not a size, or too large for 64 bits.
    public init?(_ text: String) {
        guard let split = Quantity(text) else { return nil }
        let shift: UInt64
        switch split.unit.lowercased() {
        case "", "b": shift = 0
        case "k", "kb", "kib": shift = 10
        case "m", "mb", "mib": shift = 20
        case "g", "gb", "gib": shift = 30
        case "t", "tb", "tib": shift = 40
        default: return nil
        }
        let (product, overflow) = split.number.multipliedReportingOverflow(by: 1 << shift)
        if overflow { return nil }
        bytes = product
    }

    public var mebibytes: UInt64 { bytes >> 20 }
}

/// How often checkpoints are taken.
public enum CheckpointInterval: Equatable, Sendable {
    case off
    case every(nanoseconds: UInt64)

    public static let standard = CheckpointInterval.every(nanoseconds: 1_000_000)
    /// What a run gets that asks for nothing else: a flush by the host takes milliseconds.
    public static func standard(_ domain: PersistenceDomain) -> CheckpointInterval {
        domain == .hostFlush ? .every(nanoseconds: 1_000_000_000) : standard
    }
    /// A checkpoint more often than every 10 µs would leave no time for the program.
    public static let shortestNanoseconds: UInt64 = 10_000
    public static let longestNanoseconds: UInt64 = 3_600_000_000_000

    /// `off`, or a number with `us`, `ms` or `s`. Nil when it is neither, or out of range.
    public init?(_ text: String) {
        if text == "off" {
            self = .off
            return
        }
        guard let split = Quantity(text) else { return nil }
        let unit: UInt64
        switch split.unit {
        case "us", "µs": unit = 1000
        case "ms": unit = 1_000_000
        case "s": unit = 1_000_000_000
        default: return nil
        }
        let (product, overflow) = split.number.multipliedReportingOverflow(by: unit)
        let range = CheckpointInterval.shortestNanoseconds...CheckpointInterval.longestNanoseconds
        if overflow || !range.contains(product) { return nil }
        self = .every(nanoseconds: product)
    }

    /// As the kernel's command line takes it.
    public var text: String {
        switch self {
        case .off: "off"
        case .every(let nanoseconds) where nanoseconds % 1_000_000 == 0:
            "\(nanoseconds / 1_000_000)ms"
        case .every(let nanoseconds): "\(nanoseconds / 1000)us"
        }
    }
}

/// A whole number and what follows it.
private struct Quantity {
    var number: UInt64
    var unit: String

    init?(_ text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits) else { return nil }
        self.number = number
        unit = String(text.dropFirst(digits.count))
    }
}
