import ACPI
import CMachinePC

/// Time from the time-stamp counter, calibrated at boot against the ACPI power-management timer.
struct Clock {
    private let start: UInt64
    /// Nanoseconds per tick, times 2^32.
    private let scale: UInt64
    /// Local APIC timer ticks per nanosecond, times 2^32.
    let timerScale: UInt64
    private let wallAtStart: UInt64

    /// ACPI 6.4 section 4.8.3.3.
    private static let referenceHertz: UInt64 = 3_579_545
    private static let calibrationTicks: UInt64 = 35_795

    init(platform: Platform, localAPIC: LocalAPIC) {
        let reference = Reference(port: platform.timerPort, is32Bit: platform.timerIs32Bit)
        localAPIC.startCalibration()
        let first = reference.sample(localAPIC)
        var last = reference.sample(localAPIC)
        while reference.ticks(from: first, to: last) < Self.calibrationTicks {
            last = reference.sample(localAPIC)
        }
        let elapsed = reference.ticks(from: first, to: last) * 1_000_000_000 / Self.referenceHertz
        scale = (elapsed << 32) / max(last.stamp &- first.stamp, 1)
        timerScale = (UInt64(first.count &- last.count) << 32) / elapsed
        start = first.stamp
        wallAtStart = RealTimeClock.nanosecondsSince1970()
        localAPIC.stop()
    }

    /// Nanoseconds since the machine started.
    func nanoseconds() -> UInt64 {
        let ticks = pc_read_tsc() &- start
        // Another core's counter may be some ticks behind the one that read `start`.
        if ticks > UInt64.max / 2 { return 0 }
        let product = ticks.multipliedFullWidth(by: scale)
        return product.high << 32 | product.low >> 32
    }

    /// Nanoseconds since 1970. The real-time clock counts whole seconds, so up to one second late.
    func wallNanoseconds() -> UInt64 { wallAtStart &+ nanoseconds() }

    /// The power-management timer, read together with the counters that are measured by it.
    private struct Reference {
        struct Sample {
            var tick: UInt64
            var stamp: UInt64
            var count: UInt32
        }

        let port: UInt16
        let is32Bit: Bool

        /// The tightest of a few readings, so that a pause of the virtual processor between the
        /// registers does not count.
        func sample(_ localAPIC: LocalAPIC) -> Sample {
            var best = Sample(tick: 0, stamp: 0, count: 0)
            var bestSpan = UInt64.max
            for _ in 0..<8 {
                let before = pc_read_tsc()
                let tick = UInt64(pc_in32(port))
                let count = localAPIC.currentCount()
                let after = pc_read_tsc()
                if after &- before < bestSpan {
                    bestSpan = after &- before
                    best = Sample(tick: tick, stamp: before &+ bestSpan / 2, count: count)
                }
            }
            return best
        }

        func ticks(from first: Sample, to last: Sample) -> UInt64 {
            (last.tick &- first.tick) & (is32Bit ? 0xFFFF_FFFF : 0xFF_FFFF)
        }
    }
}

/// The battery clock (MC146818), read once at boot.
enum RealTimeClock {
    private static let address: UInt16 = 0x70
    private static let data: UInt16 = 0x71

    private static func register(_ index: UInt8) -> UInt64 {
        pc_out8(address, index)
        return UInt64(pc_in8(data))
    }

    private static func waitForUpdate() {
        var patience = 100_000
        while register(0x0A) & 0x80 != 0, patience > 0 { patience -= 1 }
    }

    static func nanosecondsSince1970() -> UInt64 {
        waitForUpdate()
        let isBinary = register(0x0B) & 4 != 0
        let isTwentyFour = register(0x0B) & 2 != 0
        func decode(_ value: UInt64) -> UInt64 {
            isBinary ? value : (value >> 4) * 10 + (value & 15)
        }
        let rawHour = register(4)
        var hour = decode(rawHour & 0x7F)
        if !isTwentyFour { hour = hour % 12 + (rawHour & 0x80 != 0 ? 12 : 0) }
        let days = daysSince1970(
            year: 2000 + decode(register(9)), month: max(decode(register(8)), 1),
            day: max(decode(register(7)), 1))
        let seconds = ((days * 24 + hour) * 60 + decode(register(2))) * 60 + decode(register(0))
        return seconds * 1_000_000_000
    }

    /// Days from 1970-01-01 in the Gregorian calendar; years begin in March so that leap days come
    /// last.
    static func daysSince1970(year: UInt64, month: UInt64, day: UInt64) -> UInt64 {
        let shifted = month > 2 ? year : year - 1
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}
