import PersistentMemory

/// A string in a persistent heap: UTF-8 bytes that never change. Up to 15 bytes lie in the value
/// itself, longer ones in a cell of their own.
///
/// Layout, 16 bytes: short: 15 bytes, then 0x80 + count; long: reference to the bytes, then their
/// count.
public struct PString: Persistable, Sendable {
    @usableFromInline var first: UInt64
    @usableFromInline var second: UInt64

    public static let persistentLayout = TypeLayout(
        plain: PString.self, references: [TypeLayout.conservative])

    /// The empty string.
    @inlinable public init() {
        first = 0
        second = 0x80 << 56
    }

    /// A string of at most 15 bytes, without a transaction; nil for longer ones.
    @inlinable public init?(short bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= 15 else { return nil }
        var words: (UInt64, UInt64) = (0, UInt64(0x80 | bytes.count) << 56)
        withUnsafeMutableBytes(of: &words) { target in
            UnsafeMutableRawBufferPointer(rebasing: target[..<bytes.count]).copyMemory(from: bytes)
        }
        (first, second) = words
    }

    @inlinable init(reference: UInt64, count: Int) {
        first = reference
        second = UInt64(count)
    }

    @inlinable var isShort: Bool { second >> 63 == 1 }

    /// Count of UTF-8 bytes.
    @inlinable public var count: Int { isShort ? Int(second >> 56 & 0x7F) : Int(second) }

    /// The bytes, for the time of the call.
    @inlinable
    public func withBytes<R, Reader: HeapReading & ~Copyable>(
        in reader: borrowing Reader, _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
        if isShort {
            if count > 15 {
                reader.stop(damagedAt: first, "a short string claims \(count) bytes")
            }
            return try withUnsafeBytes(of: self) {
                try body(UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
        }
        if !reader.holds(first, count) {
            reader.stop(damagedAt: first, "a string of \(count) bytes leaves the heap")
        }
        let bytes = UnsafeRawBufferPointer(start: reader.heapBase + Int(first), count: count)
        return try body(bytes)
    }

    /// A copy as an ordinary string.
    public func string<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) -> String {
        withBytes(in: reader) { String(decoding: $0, as: UTF8.self) }
    }

    /// A hash of bytes that is the same in every process.
    @inlinable public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(bytes.count) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at &+ 8 <= bytes.count {
            hash = PersistentHash.mix(
                hash ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at &+= 8
        }
        var rest: UInt64 = 0
        while at < bytes.count {
            rest = rest << 8 | UInt64(bytes[at])
            at &+= 1
        }
        return PersistentHash.mix(hash ^ rest)
    }

    @inlinable static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        a.count == b.count && a.elementsEqual(b)
    }
}

/// Mixing for hash tables that live in a file: without a per-process seed.
public enum PersistentHash {
    @inlinable @inline(__always)
    public static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}

extension Transaction {
    /// A string in the heap. Keep it in a field; what nothing refers to is collected.
    public func string(_ text: String) throws -> PString {
        var text = text
        return try text.withUTF8 { try string(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// A string of given bytes.
    public func string(bytes: UnsafeRawBufferPointer) throws -> PString {
        if let short = PString(short: bytes) { return short }
        return PString(reference: try newBytes(bytes), count: bytes.count)
    }

    /// Gives the bytes of a long string back. Nothing may use the string any more.
    public func free(_ string: PString) {
        if !string.isShort, string.first != 0 { freeCell(string.first) }
    }
}
