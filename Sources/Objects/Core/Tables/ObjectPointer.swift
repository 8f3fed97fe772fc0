import CPersistentMemory
import PersistentMemory

/// A pointer that an object holds: 8 bytes that mean the same in any process and on any machine.
///
/// The upper 16 bits are an index into the foreign object table of the object that holds the
/// pointer, 0 for that object itself; the lower 48 bits are an offset. The holder follows from the
/// pointer's own address, since objects are mapped at multiples of 1 GiB. So a pointer must not be
/// copied into another object: `ObjectTransaction.pointer(to:from:)` makes one for each holder.
///
/// 0 is no pointer, so an optional one takes 8 bytes too, and zeroed memory reads as nil.
public struct ObjectPointer<Pointee>: BitwiseCopyable, Hashable, @unchecked Sendable {
    /// Never dereferenced: the type is chosen for its spare null value.
    @usableFromInline let bits: UnsafeRawPointer

    @inlinable public init?(word: UInt64) {
        guard let bits = UnsafeRawPointer(bitPattern: UInt(word)) else { return nil }
        self.bits = bits
    }

    @inlinable @inline(__always) public var word: UInt64 { UInt64(UInt(bitPattern: bits)) }
    /// The entry of the holder's table; 0: the holder itself.
    @inlinable public var index: Int { Int(word >> 48) }
    @inlinable public var offset: UInt64 { word & 0x0000_FFFF_FFFF_FFFF }

    /// Where the pointer in a field of a mapped object leads: an addition for the object itself, a
    /// load more for another object. Follows whatever the bits say; `ObjectReader.follow` checks.
    ///
    /// - Returns: nil if the entry names nothing that can be mapped.
    @inlinable @inline(__always)
    public static func resolve(_ field: UnsafePointer<ObjectPointer<Pointee>>)
        -> UnsafePointer<Pointee>?
    {
        let slot = UInt(bitPattern: field) & ~UInt(ObjectLayout.slotMask)
        let word = UInt(field.pointee.word)
        if word >> 48 == 0 { return UnsafePointer(bitPattern: slot &+ word) }
        let place = slot &+ UInt(ObjectLayout.translationDistance) &+ (word >> 48) &* 8
        let target = UnsafePointer<UInt>(bitPattern: place).unsafelyUnwrapped.pointee
        if target == 0 { return resolveSlowly(field) }
        return UnsafePointer(bitPattern: target &+ word & 0x0000_FFFF_FFFF_FFFF)
    }

    @usableFromInline @inline(never)
    static func resolveSlowly(_ field: UnsafePointer<ObjectPointer<Pointee>>) -> UnsafePointer<
        Pointee
    >? {
        let at = UInt(bitPattern: field)
        guard let space = SpaceRegistry.space(at: at) else { return nil }
        let address = UInt64(at - UInt(bitPattern: space.region.base))
        guard let target = try? space.target(of: field.pointee.word, heldAt: address) else {
            return nil
        }
        return UnsafePointer(bitPattern: UInt(bitPattern: space.region.base) + UInt(target))
    }
}

extension ObjectPointer: Persistable {
    public typealias Viewed = Self
    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            TypeLayout(
                name: "ObjectPointer<\(Pointee.self)>", size: 8, stride: 8, alignment: 8, fields: [],
                references: [0])
        }
    }

    public func exported(to encoder: any Encoder, by export: HeapExport) throws {
        throw HeapCodingError.notCodable(type: "ObjectPointer", path: "an object's pointer")
    }

    public static func imported(from decoder: any Decoder, to place: FieldAccess) throws {
        throw HeapCodingError.notCodable(type: "ObjectPointer", path: "an object's pointer")
    }
}

/// A place in a mapped object, as this process sees it while the space is open: slot << 30 | offset.
/// Not for storing: `ObjectPointer` is.
public struct Ref<Pointee>: Hashable, Sendable {
    public let address: UInt64
    @inlinable public init(address: UInt64) { self.address = address }
    @usableFromInline var slot: Int { Int(address >> ObjectLayout.slotShift) }
    @usableFromInline var offset: UInt64 { address & ObjectLayout.slotMask }

    /// A stored property of the value, as a place of its own.
    public func field<Field>(_ path: KeyPath<Pointee, Field>) -> Ref<Field> {
        guard let offset = MemoryLayout<Pointee>.offset(of: path) else {
            preconditionFailure("\(path) is not a stored property")
        }
        return Ref<Field>(address: address + UInt64(offset))
    }
}

/// An object that is open: its ID and its root value.
public struct PObject<Base>: Hashable, Sendable {
    public let id: ObjectID
    public let root: Ref<Base>
}
