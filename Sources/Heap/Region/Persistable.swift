import Synchronization

/// A type that may be part of a persistent value: a plain number, a reference, another persistent
/// structure or enumeration, an optional of these, or one of the containers.
///
/// Conform through `@Persistent`, never by hand: being bitwise copyable is not enough (an
/// `UnsafeRawPointer` is, and means nothing after a restart).
public protocol Persistable: BitwiseCopyable {
    static var persistentLayout: TypeLayout { get }
    /// The value is one reference, or an optional one: what it refers to can be checked when it is
    /// stored.
    static var isReference: Bool { get }

    /// What a view shows for such a value: `String` for a string, a collection for a container.
    associatedtype Viewed = Self
    func viewed(by reader: HeapReader) -> Viewed

    /// Writes the value, and what it refers to, to an encoder.
    func exported(to encoder: any Encoder, by export: HeapExport) throws
    /// Fills a place with what a decoder reads; may make objects in the place's transaction.
    static func imported(from decoder: any Decoder, to place: FieldAccess) throws
}

extension Persistable {
    @inlinable public static var isReference: Bool { false }
}

/// A structure that can be an object of its own. Conformance is written by `@Persistent`.
public protocol PersistentObject: Persistable {
    /// The writable view, which only a transaction gives out.
    associatedtype Editor: PersistentEditor
}

/// A writable view of one object.
public protocol PersistentEditor {
    init(_ access: FieldAccess)
}

/// Layouts of generic types: a generic type cannot keep one in a static property.
public enum LayoutCache {
    private static let layouts = Mutex<[ObjectIdentifier: TypeLayout]>([:])

    public static func layout(of type: Any.Type, make: () -> TypeLayout) -> TypeLayout {
        let key = ObjectIdentifier(type)
        if let known = layouts.withLock({ $0[key] }) { return known }
        let made = make()
        return layouts.withLock { table in
            if let known = table[key] { return known }
            table[key] = made
            return made
        }
    }
}

/// The sum the compiler does for a structure's next field. Called by the macro's code.
@inlinable @inline(__always)
public func persistentFieldOffset(after end: Int, alignment: Int) -> Int {
    (end &+ alignment &- 1) & ~(alignment &- 1)
}

/// A place in an object, and the transaction that may write there.
public struct FieldAccess {
    @usableFromInline let lane: LogLane
    @usableFromInline let offset: UInt64
    @usableFromInline let serial: UInt64

    @inlinable public init(_ lane: LogLane, offset: UInt64) {
        self.lane = lane
        self.offset = offset
        serial = lane.state.pointee.serial
    }

    @inlinable init(lane: LogLane, offset: UInt64, serial: UInt64) {
        self.lane = lane
        self.offset = offset
        self.serial = serial
    }

    /// The part of this place that starts `bytes` further.
    @inlinable public func part(_ bytes: Int) -> FieldAccess {
        FieldAccess(lane: lane, offset: offset &+ UInt64(truncatingIfNeeded: bytes), serial: serial)
    }

    @inlinable public func get<T: BitwiseCopyable>(_ bytes: Int, as type: T.Type = T.self) -> T {
        check()
        return lane.load(offset &+ UInt64(truncatingIfNeeded: bytes))
    }

    @inlinable public func set<T: BitwiseCopyable>(_ bytes: Int, _ value: T) {
        check()
        lane.store(value, at: offset &+ UInt64(truncatingIfNeeded: bytes))
    }

    @inlinable @inline(__always)
    func check() {
        precondition(
            lane.state.pointee.serial == serial, "a view was used after its transaction ended")
    }

    /// Where the place is: for containers, which follow references from it.
    @inlinable public var location: (lane: LogLane, offset: UInt64) {
        check()
        return (lane, offset)
    }
}

// MARK: Plain types

extension Int: Persistable { public static let persistentLayout = TypeLayout(plain: Int.self) }
extension Int8: Persistable { public static let persistentLayout = TypeLayout(plain: Int8.self) }
extension Int16: Persistable { public static let persistentLayout = TypeLayout(plain: Int16.self) }
extension Int32: Persistable { public static let persistentLayout = TypeLayout(plain: Int32.self) }
extension Int64: Persistable { public static let persistentLayout = TypeLayout(plain: Int64.self) }
extension UInt: Persistable { public static let persistentLayout = TypeLayout(plain: UInt.self) }
extension UInt8: Persistable { public static let persistentLayout = TypeLayout(plain: UInt8.self) }
extension UInt16: Persistable {
    public static let persistentLayout = TypeLayout(plain: UInt16.self)
}
extension UInt32: Persistable {
    public static let persistentLayout = TypeLayout(plain: UInt32.self)
}
extension UInt64: Persistable {
    public static let persistentLayout = TypeLayout(plain: UInt64.self)
}
extension Float: Persistable { public static let persistentLayout = TypeLayout(plain: Float.self) }
extension Double: Persistable {
    public static let persistentLayout = TypeLayout(plain: Double.self)
}
extension Bool: Persistable { public static let persistentLayout = TypeLayout(plain: Bool.self) }

extension Optional: Persistable where Wrapped: Persistable {
    @inlinable public static var isReference: Bool { Wrapped.isReference }
    public typealias Viewed = Wrapped.Viewed?
    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let wrapped = Wrapped.persistentLayout
            return TypeLayout(
                name: wrapped.name + "?", size: MemoryLayout<Self>.size,
                stride: MemoryLayout<Self>.stride,
                alignment: MemoryLayout<Self>.alignment, fields: wrapped.fields,
                references: wrapped.references)
        }
    }
}

extension PRef: Persistable {
    @inlinable public static var isReference: Bool { true }
    public typealias Viewed = PView<Pointee>
    /// The target's layout is not part of it: types may refer to each other in circles.
    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            TypeLayout(
                name: "PRef<\(Pointee.self)>", size: 8, stride: 8, alignment: 8, fields: [],
                references: [0])
        }
    }
}
