import Glibc

/// One command's words, as bytes of the connection's buffer. Valid only while the buffer is lent
/// out.
struct Request {
    let bytes: UnsafeRawBufferPointer
    let words: UnsafeBufferPointer<Word>

    var count: Int { words.count }

    subscript(index: Int) -> UnsafeRawBufferPointer {
        let word = words[index]
        return UnsafeRawBufferPointer(rebasing: bytes[word.start..<(word.start + word.count)])
    }

    func text(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }

    /// Whether a word is this option, in any case.
    func isOption(_ index: Int, _ name: StaticString) -> Bool {
        let word = self[index]
        guard word.count == name.utf8CodeUnitCount else { return false }
        return (0..<word.count).allSatisfy { word[$0] & 0xDF == name.utf8Start[$0] & 0xDF }
    }

    func integer(_ index: Int) throws -> Int {
        guard let value = parseInteger(self[index]) else { throw Refusal.notAnInteger }
        return value
    }

    /// A count of elements.
    func count(_ index: Int) throws -> Int {
        guard let value = parseInteger(self[index]), value >= 0 else {
            throw Refusal("ERR value is out of range, must be positive")
        }
        return value
    }

    func double(_ index: Int) throws -> Double {
        guard let value = parseDouble(self[index]) else { throw Refusal.notAFloat }
        return value
    }

    /// The command's name as a key of the command table; nil if it is too long for any command.
    var name: CommandKey? { CommandKey(self[0]) }
}

/// Why a command is not done. Thrown before the command has stored anything.
struct Refusal: Error {
    let message: String
    init(_ message: String) { self.message = message }

    static let wrongType = Refusal(
        "WRONGTYPE Operation against a key holding the wrong kind of value")
    static let notAnInteger = Refusal("ERR value is not an integer or out of range")
    static let notAFloat = Refusal("ERR value is not a valid float")
    static let syntax = Refusal("ERR syntax error")
    static let overflow = Refusal("ERR increment or decrement would overflow")
    static let noSuchKey = Refusal("ERR no such key")
    static func arity(_ name: String) -> Refusal {
        Refusal("ERR wrong number of arguments for '\(name.lowercased())' command")
    }
    static func expiry(_ name: String) -> Refusal {
        Refusal("ERR invalid expire time in '\(name)' command")
    }
}

/// A name of up to 16 bytes, in capitals.
struct CommandKey: Equatable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= 16 else { return nil }
        for index in 0..<bytes.count {
            var byte = UInt64(bytes[index])
            if byte &- 97 < 26 { byte &-= 32 }
            if index < 8 {
                low |= byte << UInt64(index * 8)
            } else {
                high |= byte << UInt64(index * 8 - 64)
            }
        }
    }

    /// Of a command's name; a longer one cannot be called.
    init(_ name: StaticString) {
        let bytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        guard let key = CommandKey(bytes) else { preconditionFailure("\(name) is too long") }
        self = key
    }

    var hash: Int {
        Int(truncatingIfNeeded: (low ^ high &* 31) &* 0x9E37_79B9_7F4A_7C15 >> 48)
    }
}

/// A decimal number in its one shortest form: no sign but "-", no leading zeros.
func parseInteger(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count > 0, bytes.count <= 20 else { return nil }
    let isNegative = bytes[0] == UInt8(ascii: "-")
    var at = isNegative ? 1 : 0
    guard at < bytes.count, bytes[at] != UInt8(ascii: "0") || bytes.count == 1 else { return nil }
    var value = 0
    while at < bytes.count {
        let digit = bytes[at] &- UInt8(ascii: "0")
        guard digit < 10 else { return nil }
        let (tens, isTooLarge) = value.multipliedReportingOverflow(by: 10)
        let (sum, overflows) = tens.subtractingReportingOverflow(Int(digit))
        guard !isTooLarge, !overflows else { return nil }
        value = sum
        at += 1
    }
    if isNegative { return value }
    return value == .min ? nil : -value
}

/// A floating-point number as strtod(3) reads it, with nothing before or behind it. A score must
/// not be too large or too small for a double; a limit may be, as in redis.
func parseDouble(_ bytes: UnsafeRawBufferPointer, mayOverflow: Bool = false) -> Double? {
    guard let first = bytes.first, first > 32, bytes.count <= 128, !bytes.contains(0) else {
        return nil
    }
    let text = bytes.map { CChar(bitPattern: $0) } + [0]
    return text.withUnsafeBufferPointer { buffer -> Double? in
        guard let start = buffer.baseAddress else { return nil }
        var end: UnsafeMutablePointer<CChar>?
        errno = 0
        let value = strtod(start, &end)
        if errno == ERANGE, !mayOverflow, value.isInfinite || value == 0 { return nil }
        guard let end, UnsafePointer(end) == start + bytes.count, !value.isNaN else { return nil }
        return value
    }
}
