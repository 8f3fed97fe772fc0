import Glibc
import NIOCore
import PersistentHeap

/// Writes answers into a connection's buffer. Values are copied once, from the heap to the buffer.
struct Reply {
    var buffer: ByteBuffer

    mutating func ok() { buffer.writeStaticString("+OK\r\n") }
    mutating func null() { buffer.writeStaticString("$-1\r\n") }
    mutating func nullArray() { buffer.writeStaticString("*-1\r\n") }
    mutating func simple(_ text: StaticString) {
        buffer.writeStaticString("+")
        buffer.writeStaticString(text)
        buffer.writeStaticString("\r\n")
    }

    mutating func integer(_ value: Int) { line(UInt8(ascii: ":"), value) }
    mutating func array(_ count: Int) { line(UInt8(ascii: "*"), count) }

    /// Line breaks would end the reply early, and they can come from the client's own words.
    mutating func error(_ message: some Sequence<UInt8>) {
        buffer.writeStaticString("-")
        buffer.writeBytes(message.map { $0 == 13 || $0 == 10 ? 32 : $0 })
        buffer.writeStaticString("\r\n")
    }

    mutating func error(_ message: String) { error(message.utf8) }

    mutating func bulk(_ bytes: UnsafeRawBufferPointer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count + 32) { target in
            var at = Self.put(UInt8(ascii: "$"), bytes.count, in: target, at: 0)
            UnsafeMutableRawBufferPointer(rebasing: target[at...]).copyMemory(from: bytes)
            at += bytes.count
            target[at] = 13
            target[at + 1] = 10
            return at + 2
        }
    }

    mutating func bulk(_ text: String) {
        var text = text
        text.withUTF8 { bulk(UnsafeRawBufferPointer($0)) }
    }

    mutating func bulk(_ text: PString, _ tx: borrowing Transaction) {
        text.withBytes(in: tx) { bulk($0) }
    }

    mutating func score(_ value: Double) { bulk(formatScore(value)) }

    private mutating func line(_ mark: UInt8, _ value: Int) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 32) {
            Self.put(mark, value, in: $0, at: 0)
        }
    }

    /// Writes a mark, a number and a line end; returns the position behind them.
    private static func put(
        _ mark: UInt8, _ value: Int, in target: UnsafeMutableRawBufferPointer, at position: Int
    ) -> Int {
        target[position] = mark
        let end = putDecimal(value, in: target, at: position + 1)
        target[end] = 13
        target[end + 1] = 10
        return end + 2
    }
}

/// Writes a number in decimal, at most 20 bytes; returns the position behind it.
func putDecimal(_ value: Int, in target: UnsafeMutableRawBufferPointer, at position: Int) -> Int {
    var rest = value.magnitude
    var digits = 1
    var limit: UInt = 10
    while digits < 19, rest >= limit {
        digits += 1
        limit &*= 10
    }
    if digits == 19, rest >= 10_000_000_000_000_000_000 { digits = 20 }
    var start = position
    if value < 0 {
        target[start] = UInt8(ascii: "-")
        start += 1
    }
    var at = start + digits
    while at > start {
        at -= 1
        target[at] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
    }
    return start + digits
}

/// A score as redis 7.0 prints it: 17 digits, whole numbers without a fraction.
func formatScore(_ value: Double) -> String {
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == value.rounded(), abs(value) < 1e15, value != 0 || value.sign == .plus {
        return String(Int(value))
    }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { buffer in
        let count = withVaList([value]) { vsnprintf(buffer.baseAddress, buffer.count, "%.17g", $0) }
        return String(decoding: UnsafeRawBufferPointer(buffer)[..<Int(count)], as: UTF8.self)
    }
}
