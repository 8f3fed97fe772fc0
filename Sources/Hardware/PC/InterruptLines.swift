import ACPI
import CMachinePC

/// The first I/O APIC (Intel 82093AA): device lines to vectors of core 0.
struct IOAPIC {
    private let base: UInt64
    private let target: UInt32
    private let lines: InlineArray<16, Route>

    private struct Route {
        var register: UInt32
        var low: UInt32
    }

    /// Device interrupts go to the core with the local APIC `target`. All lines are masked at
    /// first.
    init(_ platform: Platform, target: UInt32) {
        self.target = target
        base = Window.address(platform.ioAPIC)
        let first = platform.ioAPICFirstInterrupt
        let sources = platform.lines
        lines = InlineArray { number in
            let line = sources[number]
            let flags: UInt32 = (line.isActiveLow ? 1 << 13 : 0) | (line.isLevel ? 1 << 15 : 0)
            return Route(
                register: 0x10 &+ 2 &* (line.interrupt &- first),
                low: UInt32(Vector.deviceBase) + UInt32(number) | flags)
        }
    }

    /// Masks or unmasks a line. Lines above 15 do not exist.
    func setMask(line: UInt8, masked: Bool) {
        guard line < 16 else { return }
        let route = lines[Int(line)]
        write(route.register + 1, target << 24)
        write(route.register, route.low | (masked ? 1 << 16 : 0))
    }

    private func write(_ register: UInt32, _ value: UInt32) {
        pc_mmio_write(base, register)
        pc_mmio_write(base + 0x10, value)
    }
}

/// The two old 8259A controllers: moved away from the exceptions, and masked for good.
enum LegacyInterrupts {
    static func disable() {
        initialize(port: 0x20, vector: Vector.legacyBase, cascade: 4)
        initialize(port: 0xA0, vector: Vector.legacyBase + 8, cascade: 2)
    }

    private static func initialize(port: UInt16, vector: UInt8, cascade: UInt8) {
        pc_out8(port, 0x11)
        pc_out8(port + 1, vector)
        pc_out8(port + 1, cascade)
        pc_out8(port + 1, 1)
        pc_out8(port + 1, 0xFF)
    }
}
