/// Small texts as bytes, without `String`: its Unicode tables are larger than this whole server.
extension [UInt8] {
    /// The bytes of a literal.
    static func text(_ literal: StaticString) -> Bytes {
        var bytes = Bytes()
        bytes.append(literal)
        return bytes
    }

    mutating func append(_ literal: StaticString) {
        literal.withUTF8Buffer { append(contentsOf: $0) }
    }

    /// Decimal digits, padded in front to `width`.
    mutating func append(decimal value: UInt64, width: Int = 0, pad: UInt8 = .space) {
        var digits = Bytes()
        var rest = value
        repeat {
            digits.append(.zero + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest != 0
        while digits.count < width { digits.append(pad) }
        append(contentsOf: digits.reversed())
    }

    mutating func append(decimal value: Int64) {
        if value < 0 { append(0x2D) }
        append(decimal: value.magnitude)
    }

    /// The value of decimal digits (a final newline is allowed); nil for anything else or more than
    /// 2^63 − 1.
    var decimalValue: UInt64? {
        var value: UInt64 = 0
        let digits = last == .newline ? dropLast() : self[...]
        guard !digits.isEmpty else { return nil }
        for byte in digits {
            guard byte >= 0x30, byte <= 0x39, value < UInt64(Int64.max) / 10 - 1 else { return nil }
            value = value * 10 + UInt64(byte - 0x30)
        }
        return value
    }

    func hasPrefix(_ literal: StaticString) -> Bool {
        literal.withUTF8Buffer { starts(with: $0) }
    }

    func equals(_ literal: StaticString) -> Bool {
        literal.utf8CodeUnitCount == count && hasPrefix(literal)
    }
}
