import CMachinePC

/// A 16550 serial port, polled. COM1 is the debug port, COM2 the doorbell.
struct SerialPort {
    let port: UInt16
    static let debug = SerialPort(port: 0x3F8)
    static let doorbell = SerialPort(port: 0x2F8)
    /// The line on which COM2 interrupts.
    static let doorbellLine: UInt8 = 3

    private static let transmitterEmpty: UInt8 = 0x20
    private static let dataReady: UInt8 = 0x01

    /// 115,200 baud, 8 bits, FIFO on; interrupts for received bytes if asked for.
    func initialize(interrupts: Bool) {
        pc_out8(port + 1, 0)
        pc_out8(port + 3, 0x80)
        pc_out8(port, 1)
        pc_out8(port + 1, 0)
        pc_out8(port + 3, 0x03)
        pc_out8(port + 2, 0x07)
        pc_out8(port + 4, interrupts ? 0x0B : 0x03)
        pc_out8(port + 1, interrupts ? 1 : 0)
    }

    /// Sends a byte, waiting at most `spins` polls for the transmitter. Returns false if the byte
    /// was dropped.
    @discardableResult
    func send(_ byte: UInt8, spins: Int) -> Bool {
        var left = spins
        while pc_in8(port + 5) & Self.transmitterEmpty == 0 {
            if left == 0 { return false }
            left -= 1
        }
        pc_out8(port, byte)
        return true
    }

    /// Throws received bytes away: their meaning is only that they came. Bounded, for a port that
    /// is not there reads as ones.
    func drain() {
        for _ in 0..<256 {
            let status = pc_in8(port + 5)
            if status & Self.dataReady == 0 || status == 0xFF { return }
            _ = pc_in8(port)
        }
    }
}

/// Text on the debug port.
enum DebugText {
    private static let patience = 100_000

    static func write(byte: UInt8) {
        SerialPort.debug.send(byte, spins: patience)
    }

    static func write(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { write(byte: text.utf8Start[index]) }
    }

    /// Sixteen hexadecimal digits.
    static func write(hex value: UInt64) {
        var shift: UInt64 = 64
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: value >> shift & 15)
            write(byte: digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// Base ten.
    static func write(_ value: UInt64) {
        if value >= 10 { write(value / 10) }
        write(byte: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
    }
}
