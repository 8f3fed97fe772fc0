/// Reads physical memory for the table parser. Nil where nothing readable is.
public protocol PhysicalReader {
    func byte(at address: UInt64) -> UInt8?
}

extension PhysicalReader {
    /// A little-endian number of `count` bytes (at most 8).
    func number(at address: UInt64, bytes count: UInt64) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<count {
            guard let byte = byte(at: address &+ index) else { return nil }
            value |= UInt64(byte) << (8 * index)
        }
        return value
    }

    /// The sum of a range of bytes, modulo 256: 0 for an intact table.
    func sum(at address: UInt64, length: UInt64) -> UInt8? {
        var sum: UInt8 = 0
        for index in 0..<length {
            guard let byte = byte(at: address &+ index) else { return nil }
            sum &+= byte
        }
        return sum
    }
}

/// A table with an intact checksum. Reads outside its length are nil.
struct Table<Reader: PhysicalReader> {
    let reader: Reader
    let address: UInt64
    let length: UInt64

    func number(at offset: UInt64, bytes count: UInt64) -> UInt64? {
        guard count <= length, offset <= length - count else { return nil }
        return reader.number(at: address &+ offset, bytes: count)
    }
}
