import PersistentMemory

/// An object that was read in (`Transaction.decode`).
public struct PImport<T: PersistentObject>: Decodable {
    public let reference: PRef<T>

    public init(from decoder: any Decoder) throws {
        guard let running = HeapImport.current else { throw HeapCodingError.notInTransaction }
        guard let reference = PRef<T>(word: try running.object(T.self, from: decoder)) else {
            throw HeapCodingError.notInTransaction
        }
        self.reference = reference
    }
}

extension Transaction {
    /// Makes an object, and all that it refers to, from what a decoder reads.
    ///
    /// ```swift
    /// let list = try tx.decode(List.self) { try JSONDecoder().decode($0, from: data) }
    /// ```
    ///
    /// Throws what the decoder throws; names and forms of fields are those that encoding a view
    /// writes. An optional field that is missing is nil.
    public func decode<T: PersistentObject>(
        _ type: T.Type, with decode: (PImport<T>.Type) throws -> PImport<T>
    ) throws -> PRef<T> {
        let (lane, owner) = (lane, heap.takeUnretainedValue())
        let running = HeapImport(lane) { layout in
            let number = try owner.number(of: layout)
            let offset = try owner.allocateSlowly(type: number, bytes: layout.size, in: lane)
            (owner.base + Int(offset)).initializeMemory(
                as: UInt8.self, repeating: 0, count: owner.usableBytes(offset))
            return offset
        }
        return try HeapImport.$current.withValue(running) { try decode(PImport<T>.self) }.reference
    }
}

extension PString {
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        try string(in: export.reader).encode(to: encoder)
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        place.set(0, try place.makeString(String(from: decoder)))
    }
}

extension PArray {
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        var container = encoder.unkeyedContainer()
        for index in 0..<count {
            try container.encode(Exported(element(at: index, in: export.reader), export))
        }
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        var container = try decoder.unkeyedContainer()
        let editor = PArrayEditor<Element>(place)
        place.set(0, Self())
        if let count = container.count { try editor.reserve(count) }
        while !container.isAtEnd {
            let next = try container.superDecoder()
            try editor.append(zeroed(Element.self))
            let slot = editor.slot(editor.count - 1)
            try Element.imported(from: next, to: place.moved(to: slot))
        }
    }
}

extension FieldAccess {
    /// Another place of the same transaction.
    func moved(to offset: UInt64) -> FieldAccess { FieldAccess(location.lane, offset: offset) }
}

// MARK: Dictionaries

/// Keys that are strings, or have a description they can be made from again, become names; of other
/// keys a dictionary becomes a list of keys and values in turn.
private enum KeyCoding<Key: Persistable> {
    static func name(_ key: Key, _ reader: HeapReader) -> String? {
        if let string = key as? PString { return string.string(in: reader) }
        return (key as? any LosslessStringConvertible).map { "\($0)" }
    }

    static var hasNames: Bool {
        Key.self == PString.self || Key.self is any LosslessStringConvertible.Type
    }

    static func key(_ name: String, _ place: FieldAccess, _ path: [any CodingKey]) throws -> Key {
        if Key.self == PString.self, let key = try place.makeString(name) as? Key { return key }
        let type = Key.self as? any LosslessStringConvertible.Type
        if let key = type?.init(name) as? Key { return key }
        throw DecodingError.dataCorrupted(
            DecodingError.Context(
                codingPath: path, debugDescription: "\"\(name)\" is no \(Key.self)"))
    }

    static func write<Value: Persistable>(
        _ pairs: some Sequence<(Key, Value)>, to encoder: any Encoder, _ export: HeapExport
    ) throws {
        guard hasNames else {
            var container = encoder.unkeyedContainer()
            for (key, value) in pairs {
                try container.encode(Exported(key, export))
                try container.encode(Exported(value, export))
            }
            return
        }
        var container = encoder.container(keyedBy: FieldKey.self)
        for (key, value) in pairs {
            guard let name = name(key, export.reader) else { continue }
            try container.encode(Exported(value, export), forKey: FieldKey(stringValue: name))
        }
    }

    /// Hands out each key with a decoder of its value.
    static func read(
        from decoder: any Decoder, at place: FieldAccess,
        _ body: (Key, any Decoder) throws -> Void
    ) throws {
        if hasNames {
            let container = try decoder.container(keyedBy: FieldKey.self)
            for name in container.allKeys {
                let key = try key(name.stringValue, place, decoder.codingPath)
                try body(key, try container.superDecoder(forKey: name))
            }
            return
        }
        var container = try decoder.unkeyedContainer()
        let scratch = try place.heap.allocateSlowly(
            type: BuiltInType.bytes, bytes: MemoryLayout<Key>.size, in: place.location.lane)
        while !container.isAtEnd {
            place.moved(to: scratch).set(0, zeroed(Key.self))
            try Key.imported(from: container.superDecoder(), to: place.moved(to: scratch))
            try body(place.moved(to: scratch).get(0), try container.superDecoder())
        }
        place.heap.freeLater(scratch)
    }
}

extension PDictionary {
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        let reader = export.reader
        let pairs = sequence(state: 0) { (slot: inout Int) -> (Key, Value)? in
            let at = filledSlot(from: slot, in: reader)
            guard at < endSlot else { return nil }
            slot = at + 1
            let pair = pair(at: PDictionaryIndex(slot: at), in: reader)
            return (pair.key, pair.value)
        }
        try KeyCoding<Key>.write(pairs, to: encoder, export)
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        let editor = PDictionaryEditor<Key, Value>(place)
        place.set(0, Self())
        try KeyCoding<Key>.read(from: decoder, at: place) { key, decoder in
            try editor.updateValue(zeroed(Value.self), forKey: key)
            let reader = LaneReader(lane: place.location.lane)
            let slot = editor.value.find(key.persistentHash(in: reader), in: reader) {
                $0.isEqual(to: key, in: reader)
            }
            try Value.imported(
                from: decoder, to: place.moved(to: slot + UInt64(Slot.valueOffset)))
        }
    }
}

extension PSortedDictionary {
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        let pairs = (0..<count).lazy.map { rank in
            let (leaf, index) = leaf(atRank: rank, in: export.reader)
            let pair = pair(at: Self.place(leaf, index, level: 0), in: export.reader)
            return (pair.key, pair.value)
        }
        try KeyCoding<Key>.write(pairs, to: encoder, export)
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        let editor = PSortedDictionaryEditor<Key, Value>(place)
        place.set(0, Self())
        try KeyCoding<Key>.read(from: decoder, at: place) { key, decoder in
            let shown = key.viewed(by: place.reader)
            guard let bound = shown as? Key.Bound ?? key as? Key.Bound else {
                throw HeapCodingError.notCodable(
                    type: "\(Key.self)", path: HeapExport.text(decoder.codingPath))
            }
            try editor.updateValue(zeroed(Value.self), forKey: bound)
            let pair = editor.value.find(bound, in: LaneReader(lane: place.location.lane))
            try Value.imported(
                from: decoder, to: place.moved(to: pair + UInt64(Pair.valueOffset)))
        }
    }
}
