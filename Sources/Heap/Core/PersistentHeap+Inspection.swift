import PersistentMemory

/// What a heap file says of itself.
public struct HeapFileDescription: Sendable {
    public let version: UInt32
    /// Identifier of the heap, 32 hexadecimal digits.
    public let identifier: String
    public let committedBytes: UInt64
    public let arenaBytes: UInt64
    public let openCount: UInt64
}

/// One object, as its type's description in the heap explains it.
public struct ObjectDescription: Sendable {
    public struct Field: Sendable {
        public let name: String
        public let type: String
        public let value: String
    }
    public let offset: UInt64
    public let type: String
    public let bytes: Int
    public let fields: [Field]
}

extension PersistentHeap {
    public var fileDescription: HeapFileDescription {
        let header = header.withLock { $0 }
        let digits = [header.identifier.0, header.identifier.1].map { word -> String in
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return HeapFileDescription(
            version: header.version, identifier: digits.joined(),
            committedBytes: header.committedBytes,
            arenaBytes: 1 << header.arenaShift, openCount: header.openCount)
    }

    /// Calls `body` for everything reachable, nearest to the roots first.
    public func forEachReachableObject(_ body: (ObjectDescription) throws -> Void) throws {
        var seen: Set<UInt64> = []
        var work = (0..<HeapFormat.anchorWords).map {
            region.load(geometry.anchor + UInt64($0 * 8))
        }
        var index = 0
        while index < work.count {
            let offset = work[index]
            index += 1
            guard let object = object(at: offset), seen.insert(offset).inserted else { continue }
            try body(
                ObjectDescription(
                    offset: offset, type: typeName(object.span.type), bytes: object.bytes,
                    fields: fields(offset, object.span.type)))
            let isNative = state.pointee.types[object.span.type].isNative
            for slot in referenceSlots(of: offset) {
                work.append(
                    isNative
                        ? self.offset(ofAddress: region.load(slot))
                        : self.offset(ofReference: region.load(slot)))
            }
        }
    }

    /// Fields of one value, read from the text "name: type @offset, ..." in the type's record.
    private func fields(_ offset: UInt64, _ type: Int) -> [ObjectDescription.Field] {
        let record = registry.withLock { $0.records[type] }
        guard let record, !record.isArray, !record.text.isEmpty else { return [] }
        var start = record.text.startIndex
        var found: [ObjectDescription.Field] = []
        while let at = record.text[start...].firstIndex(of: "@") {
            let end = record.text[at...].firstIndex(of: ",") ?? record.text.endIndex
            let place = Int(record.text[record.text.index(after: at)..<end]) ?? 0
            let parts = record.text[start..<at].split(separator: ":", maxSplits: 1)
            let typeName = parts.last.map { String($0.drop { $0 == " " }.dropLast()) } ?? ""
            let name = parts.first.map { String($0.drop { $0 == " " || $0 == "," }) } ?? ""
            found.append(
                ObjectDescription.Field(
                    name: name, type: typeName,
                    value: valueText(offset + UInt64(place), typeName, in: offset, type)))
            start = end
        }
        return found
    }

    private func valueText(_ offset: UInt64, _ type: String, in object: UInt64, _ number: Int)
        -> String
    {
        func load<T: BitwiseCopyable>(_ type: T.Type) -> T {
            (base + Int(offset)).loadUnaligned(as: T.self)
        }
        switch type {
        case "Int", "Int64": return "\(load(Int64.self))"
        case "UInt", "UInt64": return "\(load(UInt64.self))"
        case "Int32": return "\(load(Int32.self))"
        case "UInt32": return "\(load(UInt32.self))"
        case "UInt8", "Int8": return "\(load(UInt8.self))"
        case "Bool": return load(UInt8.self) == 0 ? "false" : "true"
        case "Double": return "\(load(Double.self))"
        case "PString":
            let string = load(PString.self)
            let isWhole = string.isShort || string.first + UInt64(string.count) <= committedBytes
            return isWhole ? "\"\(string.string(in: self))\"" : "(damaged)"
        default:
            if type.hasPrefix("PRef<") {
                let word = self.offset(ofReference: load(UInt64.self))
                return word == 0 ? "nil" : "0x" + String(word, radix: 16)
            }
            if type.hasPrefix("PArray<") || type.hasPrefix("PDictionary<")
                || type.hasPrefix("PSortedDictionary<")
            {
                let count = (base + Int(offset) + 8).loadUnaligned(as: Int64.self)
                return "\(count) elements at 0x" + String(load(UInt64.self), radix: 16)
            }
            if state.pointee.types[number].isNative, let slots = state.pointee.types[number].slots {
                let place = UInt32(truncatingIfNeeded: offset - object)
                if (0..<state.pointee.types[number].slotCount).contains(where: {
                    slots[$0] == place
                }) {
                    let target = self.offset(ofAddress: load(UInt64.self))
                    return target == 0 ? "nil" : "0x" + String(target, radix: 16)
                }
            }
            return "(\(type))"
        }
    }
}
