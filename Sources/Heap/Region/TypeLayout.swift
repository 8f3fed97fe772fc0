import CPersistentMemory
import Synchronization

/// One field of a persistent type, as it is described in the heap.
public struct FieldLayout: Sendable, Equatable {
    public let name: String
    public let type: String
    public let offset: Int
    public let size: Int
    let typeFingerprint: UInt64

    public init(name: String, type: String, offset: Int, size: Int, typeFingerprint: UInt64) {
        (self.name, self.type, self.offset, self.size) = (name, type, offset, size)
        self.typeFingerprint = typeFingerprint
    }
}

/// How a type lies in memory, and which words of it refer to other objects. Stored in every heap
/// that holds the type, so that a heap can be checked, dumped and collected by a program that does
/// not know it.
///
/// Two builds of a program agree on a type if name and fingerprint agree. The fingerprint covers
/// every field's name, type name and offset, and the size: a field added, removed, retyped or moved
/// changes it.
public final class TypeLayout: Sendable {
    /// The stable name: the type's own name unless the macro was given another.
    public let name: String
    public let size: Int
    public let stride: Int
    public let alignment: Int
    public let fields: [FieldLayout]
    /// Byte offsets of words that hold references; plus `conservative` for words that may hold
    /// other things too (short strings, payloads of enumerations): the collector follows those only
    /// if they look like references.
    public let references: [Int]
    public let fingerprint: UInt64
    /// A small number of this layout in this process: heaps keep their own numbers in arrays under
    /// it.
    public let processNumber: Int
    /// How the fields of a structure are written out and read in; empty for other types.
    let codings: [FieldCoding]

    public static let conservative = 1 << 30

    private static let count = Atomic<Int>(1)

    public init(
        name: String, size: Int, stride: Int, alignment: Int, fields: [FieldLayout],
        references: [Int], codings: [FieldCoding] = []
    ) {
        self.codings = codings
        self.name = name
        self.size = size
        self.stride = stride
        self.alignment = alignment
        self.fields = fields
        self.references = references
        var hash = Fingerprint()
        hash.add(UInt64(size))
        for field in fields {
            hash.add(field.name)
            hash.add(field.type)
            hash.add(UInt64(field.offset))
            hash.add(field.typeFingerprint)
        }
        fingerprint = hash.value
        processNumber = Self.count.wrappingAdd(1, ordering: .relaxed).oldValue
    }

    /// The layout of a type without parts.
    public convenience init<T>(plain type: T.Type, references: [Int] = []) {
        self.init(
            name: String(describing: type), size: MemoryLayout<T>.size,
            stride: MemoryLayout<T>.stride,
            alignment: MemoryLayout<T>.alignment, fields: [], references: references)
    }

    /// The layout of a structure. Called by the macro's code.
    public convenience init<T>(structure type: T.Type, name: String, _ parts: [Part]) {
        self.init(
            name: name, size: MemoryLayout<T>.size, stride: MemoryLayout<T>.stride,
            alignment: MemoryLayout<T>.alignment,
            fields: parts.map {
                FieldLayout(
                    name: $0.name, type: $0.layout.name, offset: $0.offset, size: $0.layout.size,
                    typeFingerprint: $0.layout.fingerprint)
            },
            references: parts.flatMap { part in part.layout.references.map { $0 + part.offset } },
            codings: parts.map(\.coding))
    }

    /// The layout of an enumeration. Called by the macro's code. Where a payload's references lie
    /// is the compiler's affair, so every aligned word may be one.
    public convenience init<T>(enumeration type: T.Type, name: String, cases: String) {
        let size = MemoryLayout<T>.size
        self.init(
            name: name, size: size, stride: MemoryLayout<T>.stride,
            alignment: MemoryLayout<T>.alignment,
            fields: [
                FieldLayout(name: cases, type: "cases", offset: 0, size: size, typeFingerprint: 0)
            ],
            references: Swift.stride(from: 0, to: size - size % 8, by: 8).map {
                $0 + Self.conservative
            })
    }

    /// The layout of a native class: 16 bytes of object header, then the fields.
    public convenience init(
        native name: String, size: Int, fields: [FieldLayout], references: [Int]
    ) {
        self.init(
            name: name, size: size, stride: size, alignment: 16, fields: fields,
            references: references)
    }

    /// One field while a layout is put together.
    public struct Part {
        let name: String
        let layout: TypeLayout
        let offset: Int
        let coding: FieldCoding

        public init<T: Persistable>(_ name: String, _ type: T.Type, at offset: Int) {
            coding = FieldCoding(name, type, at: offset)
            self.name = name
            self.offset = offset
            layout = T.persistentLayout
        }
    }
}

/// FNV-1a, 64 bits: stable across processes and platforms, which `Hasher` is not.
public struct Fingerprint {
    public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325
    public init() {}
    public mutating func add(byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    public mutating func add(_ text: String) {
        for byte in text.utf8 { add(byte: byte) }
        add(byte: 0xFF)
    }
    public mutating func add(_ word: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            add(byte: UInt8(truncatingIfNeeded: word >> shift))
        }
    }
}
