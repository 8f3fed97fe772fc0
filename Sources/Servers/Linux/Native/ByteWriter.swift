/// Lays out the little-endian structures of the Linux ABI.
struct ByteWriter {
    private(set) var bytes: Bytes = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func put8(_ value: UInt8) { bytes.append(value) }
    mutating func put16(_ value: UInt16) { put(UInt64(value), count: 2) }
    mutating func put32(_ value: UInt32) { put(UInt64(value), count: 4) }
    mutating func put64(_ value: UInt64) { put(value, count: 8) }
    mutating func put32(_ value: Int32) { put32(UInt32(bitPattern: value)) }
    mutating func put64(_ value: Int64) { put64(UInt64(bitPattern: value)) }
    mutating func put(_ more: Bytes) { bytes.append(contentsOf: more) }
    mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// A field of fixed width that holds text, cut if need be and always ended by a zero.
    mutating func field(_ text: Bytes, width: Int) {
        let part = text.prefix(width - 1)
        bytes.append(contentsOf: part)
        zeros(width - part.count)
    }

    private mutating func put(_ value: UInt64, count: Int) {
        for index in 0..<count {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
        }
    }
}

extension Array where Element == UInt8 {
    /// A little-endian number at an offset; 0 where the array has ended.
    func load16(_ offset: Int) -> UInt16 { UInt16(truncatingIfNeeded: load(offset, count: 2)) }
    func load32(_ offset: Int) -> UInt32 { UInt32(truncatingIfNeeded: load(offset, count: 4)) }
    func load64(_ offset: Int) -> UInt64 { load(offset, count: 8) }
    func loadInt32(_ offset: Int) -> Int32 { Int32(bitPattern: load32(offset)) }
    func loadInt64(_ offset: Int) -> Int64 { Int64(bitPattern: load64(offset)) }

    private func load(_ offset: Int, count width: Int) -> UInt64 {
        guard offset >= 0, offset <= count, count - offset >= width else { return 0 }
        var value: UInt64 = 0
        for index in 0..<width { value |= UInt64(self[offset + index]) << UInt64(index * 8) }
        return value
    }

    init(_ text: StaticString) {
        self.init(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a number in base sixteen with at least `width` digits.
    mutating func append(hexadecimal value: UInt64, width: Int = 1) {
        var shift = 60
        var isStarted = false
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
            if digit != 0 || shift / 4 < width { isStarted = true }
            if isStarted {
                append(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
            }
            shift -= 4
        }
    }
}
