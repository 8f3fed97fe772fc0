import PersistentMemory

/// A string that an object holds: UTF-8 bytes that never change. Up to 15 lie in the value itself,
/// more in a cell of the same object.
///
/// Layout, 16 bytes: short: 15 bytes, then 0x80 + count; long: offset of the bytes in the object,
/// then their count. It must not be copied into another object: make one there.
public struct PString: Persistable, Sendable, Hashable {
    var first: UInt64
    var second: UInt64

    public static let persistentLayout = TypeLayout(plain: PString.self)

    /// The empty string.
    public init() { (first, second) = (0, 0x80 << 56) }

    /// A string of at most 15 bytes; nil for longer ones.
    public init?(short text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 15 else { return nil }
        var words: (UInt64, UInt64) = (0, UInt64(0x80 | bytes.count) << 56)
        withUnsafeMutableBytes(of: &words) { target in
            UnsafeMutableRawBufferPointer(rebasing: target[..<bytes.count]).copyBytes(from: bytes)
        }
        (first, second) = words
    }

    init(offset: UInt64, count: Int) { (first, second) = (offset, UInt64(count)) }

    var isShort: Bool { second >> 63 == 1 }
    /// Count of UTF-8 bytes.
    public var count: Int { isShort ? Int(second >> 56 & 0x7F) : Int(clamping: second) }
}

extension PString {
    public typealias Viewed = Self
    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        throw HeapCodingError.notCodable(type: "PString", path: "an object's string")
    }
    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        throw HeapCodingError.notCodable(type: "PString", path: "an object's string")
    }
}

extension ObjectReading where Self: ~Copyable {
    /// The text of a string that lies in the same object as `holder`.
    public func text(_ string: PString, in holder: Ref<some Any>) throws -> String {
        String(decoding: try bytes(string, in: holder), as: UTF8.self)
    }

    /// The text of the string at a place.
    public func text(_ place: Ref<PString>) throws -> String { try text(self[place], in: place) }

    func bytes(_ string: PString, in holder: Ref<some Any>) throws -> [UInt8] {
        let count = string.count
        if string.isShort {
            guard count <= 15 else {
                throw ObjectError.damaged(
                    id: space.identifiers[holder.slot] ?? .none,
                    "a short string claims \(count) bytes")
            }
            return withUnsafeBytes(of: string) { Array($0[..<count]) }
        }
        try space.checkRange(holder.slot, string.first, count)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            if let target = buffer.baseAddress {
                copy(space.start(holder.slot) + string.first, count, into: target)
            }
            filled = count
        }
    }
}

extension ObjectTransaction {
    /// A string to be stored in the object that `holder` lies in.
    public func string(_ text: String, in holder: Ref<some Any>) throws -> PString {
        if let short = PString(short: text) { return short }
        let bytes = Array(text.utf8)
        let address = try allocate(bytes.count, in: holder.slot)
        bytes.withUnsafeBytes { lane.store($0, at: address) }
        return PString(offset: address & ObjectLayout.slotMask, count: bytes.count)
    }

    /// Gives the bytes of a long string back.
    public func free(_ string: PString, in holder: Ref<some Any>) throws {
        if !string.isShort { try free(space.start(holder.slot) + string.first, string.count) }
    }
}
