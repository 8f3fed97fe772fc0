import Machine

/// A line of text put together without allocation, for the debug port and the stop message. Longer
/// text is cut.
struct TextLine {
    private var bytes: InlineArray<256, UInt8> = InlineArray(repeating: 0)
    private(set) var count = 0

    mutating func append(byte: UInt8) {
        if count < 255 {
            bytes[count] = byte
            count += 1
        }
    }
    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { append(byte: text.utf8Start[index]) }
    }
    mutating func append(_ number: UInt64) {
        if number >= 10 { append(number / 10) }
        append(byte: 48 + UInt8(truncatingIfNeeded: number % 10))
    }
    mutating func append(hex number: UInt64) {
        if number >= 16 { append(hex: number >> 4) }
        let digit = UInt8(truncatingIfNeeded: number & 15)
        append(byte: digit < 10 ? 48 + digit : 87 + digit)
    }
    subscript(index: Int) -> UInt8 { bytes[index] }

    func write(to machine: borrowing some Machine) {
        for index in 0..<count { machine.debugWrite(bytes[index]) }
    }
}
