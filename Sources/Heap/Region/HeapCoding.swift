/// Why a graph could not be written out or read in.
public enum HeapCodingError: Error, Equatable, CustomStringConvertible {
    /// An object refers to one that it is reached through.
    case cycle(type: String, path: String, first: String)
    case tooDeep(path: String, limit: Int)
    /// A type without a form: an enumeration with payloads that is not `Codable`.
    case notCodable(type: String, path: String)
    /// `PImport` was decoded outside of `Transaction.decode`.
    case notInTransaction

    public var description: String {
        switch self {
        case .cycle(let type, let path, let first):
            "\(path) refers to the \(type) that it is part of, at \(first): a cycle has no such form"
        case .tooDeep(let path, let limit):
            "\(path) lies more than \(limit) references deep: keep long lists in a PArray"
        case .notCodable(let type, let path):
            "\(type) at \(path) has no form of its own: declare it Codable"
        case .notInTransaction: "an import works inside Transaction.decode only"
        }
    }
}

/// The objects on the way from the start of an export to where it is.
public final class HeapExport {
    /// Decoders refuse deeper nesting.
    public static let depthLimit = 400
    package let reader: HeapReader
    private var way: [(object: UInt64, path: String)] = []

    package init(_ reader: HeapReader) { self.reader = reader }

    package static func text(_ path: [any CodingKey]) -> String {
        path.reduce("the root") { text, key in
            key.intValue.map { "\(text)[\($0)]" } ?? "\(text).\(key.stringValue)"
        }
    }

    /// Runs `body` for an object, unless it is on the way already.
    func visit(_ object: UInt64, type: String, _ path: [any CodingKey], _ body: () throws -> Void)
        throws
    {
        let text = Self.text(path)
        if let first = way.first(where: { $0.object == object }) {
            throw HeapCodingError.cycle(type: type, path: text, first: first.path)
        }
        guard way.count < Self.depthLimit else {
            throw HeapCodingError.tooDeep(path: text, limit: Self.depthLimit)
        }
        way.append((object, text))
        defer { way.removeLast() }
        try body()
    }
}

/// The transaction that an import fills.
package final class HeapImport: @unchecked Sendable {
    @TaskLocal package static var current: HeapImport?
    let lane: LogLane
    private let allocate: (TypeLayout) throws -> UInt64

    /// - Parameter allocate: a zeroed object of a type, in the transaction.
    package init(_ lane: LogLane, allocate: @escaping (TypeLayout) throws -> UInt64) {
        self.lane = lane
        self.allocate = allocate
    }

    /// Makes an object and fills it.
    package func object<T: PersistentObject>(_ type: T.Type, from decoder: any Decoder) throws
        -> UInt64
    {
        let offset = try allocate(T.persistentLayout)
        try T.imported(from: decoder, to: FieldAccess(lane, offset: offset))
        return offset
    }
}

/// A value as an encoder takes it.
package struct Exported<Value: Persistable>: Encodable {
    let value: Value
    let export: HeapExport
    package init(_ value: Value, _ export: HeapExport) {
        self.value = value
        self.export = export
    }
    package func encode(to encoder: any Encoder) throws {
        try value.exported(to: encoder, by: export)
    }
}

/// A field's name as a key.
package struct FieldKey: CodingKey {
    package let stringValue: String
    package var intValue: Int? { nil }
    package init(stringValue: String) { self.stringValue = stringValue }
    package init?(intValue: Int) { nil }
}

/// What an import and an export need of a field. Its functions capture a type and numbers only.
public struct FieldCoding: @unchecked Sendable {
    let name: String
    let offset: Int
    let write:
        (UnsafeRawPointer, inout KeyedEncodingContainer<FieldKey>, HeapExport) throws ->
            Void
    let read: (KeyedDecodingContainer<FieldKey>, FieldAccess) throws -> Void

    init<Field: Persistable>(_ name: String, _ type: Field.Type, at offset: Int) {
        self.name = name
        self.offset = offset
        write = { value, container, export in
            let field = (value + offset).assumingMemoryBound(to: Field.self).pointee
            try container.encode(Exported(field, export), forKey: FieldKey(stringValue: name))
        }
        read = { container, place in
            let decoder = try container.superDecoder(forKey: FieldKey(stringValue: name))
            try Field.imported(from: decoder, to: place.part(offset))
        }
    }
}

/// A value whose bytes are zero: what an import fills. Not looked at before.
package func zeroed<T: BitwiseCopyable>(_ type: T.Type) -> T {
    withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { buffer in
        UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
        return buffer[0]
    }
}

// MARK: Values

extension Persistable {
    /// `Codable` types write themselves, structures their fields, enumerations their raw value.
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        if let plain = self as? any Encodable { return try plain.encode(to: encoder) }
        if let raw = self as? any RawRepresentable, let value = raw.rawValue as? any Encodable {
            return try value.encode(to: encoder)
        }
        let fields = Self.persistentLayout.codings
        guard !fields.isEmpty else {
            throw HeapCodingError.notCodable(
                type: Self.persistentLayout.name, path: HeapExport.text(encoder.codingPath))
        }
        var container = encoder.container(keyedBy: FieldKey.self)
        try withUnsafeBytes(of: self) { bytes in
            guard let base = bytes.baseAddress else { return }
            for field in fields { try field.write(base, &container, export) }
        }
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        if let plain = Self.self as? any Decodable.Type {
            guard let value = try plain.init(from: decoder) as? Self else { return }
            return place.set(0, value)
        }
        if let raw = Self.self as? any RawRepresentable.Type {
            if let value = try decode(raw, from: decoder) as? Self { place.set(0, value) }
            return
        }
        let fields = persistentLayout.codings
        guard !fields.isEmpty else {
            throw HeapCodingError.notCodable(
                type: persistentLayout.name, path: HeapExport.text(decoder.codingPath))
        }
        let container = try decoder.container(keyedBy: FieldKey.self)
        for field in fields { try field.read(container, place) }
    }

    private static func decode<Raw: RawRepresentable>(_ type: Raw.Type, from decoder: any Decoder)
        throws -> Raw
    {
        guard let decodable = Raw.RawValue.self as? any Decodable.Type else {
            throw HeapCodingError.notCodable(
                type: persistentLayout.name, path: HeapExport.text(decoder.codingPath))
        }
        let value = try decodable.init(from: decoder)
        guard let rawValue = value as? Raw.RawValue, let result = Raw(rawValue: rawValue) else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: decoder.codingPath,
                    debugDescription: "\(value) is no \(persistentLayout.name)"))
        }
        return result
    }
}

extension Optional where Wrapped: Persistable {
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        if let value = self { return try value.exported(to: encoder, by: export) }
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }

    /// A field that is missing is nil.
    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        if try decoder.singleValueContainer().decodeNil() { return place.set(0, Self.none) }
        // The payload lies where the optional lies; this sets what is behind it.
        place.set(0, Self.some(zeroed(Wrapped.self)))
        try Wrapped.imported(from: decoder, to: place)
    }
}

extension PRef {
    /// Writes the object out. One that is referred to twice is written twice.
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        guard let type = Pointee.self as? any PersistentObject.Type else {
            throw HeapCodingError.notCodable(
                type: "\(Self.self)", path: HeapExport.text(encoder.codingPath))
        }
        try export.visit(word, type: "\(Pointee.self)", encoder.codingPath) {
            try Self.write(type, at: word, to: encoder, export)
        }
    }

    private static func write<T: PersistentObject>(
        _ type: T.Type, at word: UInt64, to encoder: any Encoder, _ export: HeapExport
    ) throws {
        let value: T = export.reader.load(word)
        try value.exported(to: encoder, by: export)
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        guard let running = HeapImport.current else { throw HeapCodingError.notInTransaction }
        guard let type = Pointee.self as? any PersistentObject.Type else {
            throw HeapCodingError.notCodable(
                type: "\(Self.self)", path: HeapExport.text(decoder.codingPath))
        }
        place.set(0, try running.object(type, from: decoder))
    }
}

/// A view is written out with all that it refers to: `JSONEncoder().encode(heap.view(root))`.
extension PView: Encodable where Pointee: PersistentObject {
    public func encode(to encoder: any Encoder) throws {
        try reference.exported(to: encoder, by: HeapExport(reader))
    }
}
