import CPersistentMemory
import PersistentMemory

/// What the allocator and the collector know of one type, under its number in this heap.
@usableFromInline struct TypeState {
    /// 0: unused number.
    var stride: UInt32 = 0
    /// Class of single objects; 255 for types that take whole pages.
    @usableFromInline var sizeClass: UInt8 = 255
    /// Cells hold as many values as fit, not one.
    var isArray = false
    /// A class of the native tier: 16 bytes of object header, and references that are addresses.
    var isNative = false
    @usableFromInline var size: UInt32 = 0
    @usableFromInline var slots: UnsafeMutablePointer<UInt32>?
    @usableFromInline var slotCount = 0
}

/// A type's description in the heap. Built-in type 2; variable length.
///
/// ```
/// +0  next record (reference)     +8  type number | flags << 32   +16 fingerprint
/// +24 size | stride << 32         +32 slot count | name bytes << 32
/// +40 text bytes                  +48 CRC32C of all but this word and `next`
/// +56 slots (4 bytes each), then name, then the description of the fields; padded to 8
/// ```
struct TypeRecord {
    static let typeNumber = 2
    static let headerBytes = 56
    static let isArrayFlag: UInt64 = 1
    static let isNativeFlag: UInt64 = 2
    /// A migration left no object of this layout.
    static let isRetiredFlag: UInt64 = 4

    var number: Int
    var flags: UInt64
    var fingerprint: UInt64
    var size: Int
    var stride: Int
    var slots: [UInt32]
    var name: String
    var text: String

    init(number: Int, layout: TypeLayout, isArray: Bool, isNative: Bool = false) {
        self.number = number
        flags = (isArray ? Self.isArrayFlag : 0) | (isNative ? Self.isNativeFlag : 0)
        fingerprint = layout.fingerprint
        size = layout.size
        stride = layout.stride
        slots = layout.references.map(UInt32.init(truncatingIfNeeded:))
        name = layout.name
        text = Self.describe(layout)
    }

    static func describe(_ layout: TypeLayout) -> String {
        layout.fields.map { "\($0.name): \($0.type) @\($0.offset)" }.joined(separator: ", ")
    }

    var isArray: Bool { flags & Self.isArrayFlag != 0 }
    var isNative: Bool { flags & Self.isNativeFlag != 0 }
    var isRetired: Bool { flags & Self.isRetiredFlag != 0 }

    /// All words but `next`, the checksum in its place.
    func encoded() -> [UInt64] {
        var bytes: [UInt8] = []
        for slot in slots { withUnsafeBytes(of: slot.littleEndian) { bytes += $0 } }
        bytes += Array(name.utf8) + Array(text.utf8)
        while bytes.count % 8 != 0 { bytes.append(0) }
        var words: [UInt64] = [
            UInt64(number) | flags << 32, fingerprint, UInt64(size) | UInt64(stride) << 32,
            UInt64(slots.count) | UInt64(name.utf8.count) << 32, UInt64(text.utf8.count),
        ]
        let body = stride8(bytes)
        words.append((words + body).reduce(0x5459_5045) { pm_crc32c($0, $1) })
        return words + body
    }

    private func stride8(_ bytes: [UInt8]) -> [UInt64] {
        Swift.stride(from: 0, to: bytes.count, by: 8).map { at -> UInt64 in
            var word: UInt64 = 0
            for index in 0..<8 { word |= UInt64(bytes[at + index]) << UInt64(index * 8) }
            return word
        }
    }

    /// Reads a record; throws if its checksum or its lengths are wrong.
    init(region: PersistentRegion, at offset: UInt64, limit: UInt64) throws(HeapError) {
        try self.init(at: offset, limit: limit) { region.load($0) }
    }

    /// Reads a record's words by `load`, which is asked for offsets below `limit` only.
    init(at offset: UInt64, limit: UInt64, load: (UInt64) -> UInt64) throws(HeapError) {
        guard offset % 8 == 0, offset < limit, limit - offset >= 56 else {
            throw .damagedRecord(detail: "type list leaves the heap")
        }
        let header = (1...6).map { load(offset + UInt64($0 * 8)) }
        let slotCount = header[3] & 0xFFFF_FFFF
        let nameBytes = header[3] >> 32
        let textBytes = header[4]
        guard slotCount < 1 << 20, nameBytes < 1 << 16, textBytes < 1 << 20 else {
            throw .damagedRecord(
                detail: "type record at 0x\(String(offset, radix: 16)) has impossible lengths")
        }
        let bodyWords = (slotCount * 4 + nameBytes + textBytes + 7) / 8
        guard offset + 56 + bodyWords * 8 <= limit else {
            throw .damagedRecord(
                detail: "type record at 0x\(String(offset, radix: 16)) leaves the heap")
        }
        let body = (0..<bodyWords).map { load(offset + 56 + $0 * 8) }
        guard (header.prefix(5) + body).reduce(0x5459_5045, { pm_crc32c($0, $1) }) == header[5]
        else {
            throw .damagedRecord(detail: "type record at 0x\(String(offset, radix: 16))")
        }
        let bytes = body.flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
        }
        number = Int(header[0] & 0xFFFF_FFFF)
        flags = header[0] >> 32
        fingerprint = header[1]
        size = Int(header[2] & 0xFFFF_FFFF)
        stride = Int(header[2] >> 32)
        slots = (0..<Int(slotCount)).map { slot -> UInt32 in
            var word: UInt32 = 0
            for index in 0..<4 { word |= UInt32(bytes[slot * 4 + index]) << UInt32(index * 8) }
            return word
        }
        let nameStart = Int(slotCount) * 4
        let textStart = nameStart + Int(nameBytes)
        name = String(decoding: bytes[nameStart..<textStart], as: UTF8.self)
        text = String(decoding: bytes[textStart..<(textStart + Int(textBytes))], as: UTF8.self)
    }
}

/// A named root. Built-in type 3: next, object, name bytes (references), name length, type number,
/// CRC32C of the rest.
@usableFromInline struct RootRecord {
    static let typeNumber = 3
    static let bytes = 48
    var next: UInt64
    var object: UInt64
    var nameReference: UInt64
    var nameLength: UInt64
    var type: UInt64

    /// `next` and `object` change; what names the root does not.
    var checksum: UInt64 {
        [nameReference, nameLength, type].reduce(0x524F_4F54) { pm_crc32c($0, $1) }
    }
    var encoded: [UInt64] { [next, object, nameReference, nameLength, type, checksum] }
}

/// Numbers of the types that every heap knows.
enum BuiltInType {
    /// Bytes without references: strings, log blocks.
    static let bytes = 1
    static let first = 4

    static func state(_ number: Int) -> TypeState? {
        var state = TypeState()
        switch number {
        case bytes: state.stride = 1
        case TypeRecord.typeNumber: state.setSlots([0])
        case RootRecord.typeNumber: state.setSlots([0, 8, 16])
        default: return nil
        }
        if number != bytes {
            state.stride = 8
            state.size = UInt32(RootRecord.bytes)
        }
        return state
    }
}

extension TypeState {
    mutating func setSlots(_ offsets: [UInt32]) {
        slotCount = offsets.count
        guard !offsets.isEmpty else { return }
        let copy = UnsafeMutablePointer<UInt32>.allocate(capacity: offsets.count)
        for (index, offset) in offsets.enumerated() { copy[index] = offset }
        slots = copy
    }

    init(_ record: TypeRecord) {
        size = UInt32(truncatingIfNeeded: record.size)
        stride = UInt32(truncatingIfNeeded: max(1, record.stride))
        isArray = record.isArray
        isNative = record.isNative
        if let sizeClass = SizeClass.holding(max(1, record.size)) {
            self.sizeClass = UInt8(sizeClass)
        }
        setSlots(record.slots)
    }
}
