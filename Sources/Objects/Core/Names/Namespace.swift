import PersistentMemory

/// What a name in a namespace means.
public struct NameEntry: Persistable, Sendable {
    var low: UInt64
    var high: UInt64
    /// 0 an object, 1 a namespace; and in the upper 16 bits the index of the table entry, so that
    /// the word counts as a pointer that uses the entry.
    var kind: UInt64

    init(_ id: ObjectID, isNamespace: Bool, index: Int = 0) {
        (low, high, kind) = (id.low, id.high, UInt64(index) << 48 | (isNamespace ? 1 : 0))
    }

    public var id: ObjectID { ObjectID(high: high, low: low) }
    public var isNamespace: Bool { kind & 0xFF == 1 }
    public typealias Viewed = Self
    public static let persistentLayout = TypeLayout(plain: NameEntry.self)
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        throw HeapCodingError.notCodable(type: "NameEntry", path: "a namespace")
    }
    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        throw HeapCodingError.notCodable(type: "NameEntry", path: "a namespace")
    }
}

/// A namespace is an object whose root is a map from names to entries. Each entry's object is in its
/// table too, so that what leads where is seen without knowing of names.
typealias Namespace = PMap<PString, NameEntry>
