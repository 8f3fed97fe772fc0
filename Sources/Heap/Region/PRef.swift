/// A reference to a persistent value: 8 bytes that mean the same wherever the heap is mapped.
///
/// 16 bits that name the heap and 48 bits of offset. A heap draws its tag when it is made; heaps of
/// older versions have the tag 0. A reference of another heap is refused: where it is followed the
/// program stops with a message, where it is stored the transaction throws.
///
/// Offset 0 is no object, so `PRef<T>?` takes 8 bytes too, and zeroed memory reads as nil.
///
/// A reference can be read through a heap or a transaction (`heap[reference]`), and written through
/// only inside one (`tx.edit(reference)`).
public struct PRef<Pointee>: BitwiseCopyable, Hashable, @unchecked Sendable {
    /// Never dereferenced: the type is chosen for its spare null value.
    @usableFromInline let bits: UnsafeRawPointer

    @inlinable public init?(word: UInt64) {
        guard let bits = UnsafeRawPointer(bitPattern: UInt(word)) else { return nil }
        self.bits = bits
    }

    @inlinable init(bits: UnsafeRawPointer) { self.bits = bits }

    /// The stored word: tag << 48 | offset.
    @inlinable @inline(__always) public var word: UInt64 { UInt64(UInt(bitPattern: bits)) }
    @inlinable @inline(__always) public var offset: UInt64 { word & LaneFormat.offsetMask }
    @inlinable public var heapTag: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }
}

extension PRef: CustomStringConvertible {
    public var description: String { "PRef<\(Pointee.self)>(0x\(String(word, radix: 16)))" }
}
