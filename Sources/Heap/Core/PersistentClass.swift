import PersistentMemory

/// A class whose instances can live in a persistent heap, and in volatile memory as well. Written
/// by `@Persistent` on a final class.
///
/// **Second tier.** Native objects depend on how this version of Swift lays out objects and counts
/// references; a heap that holds some checks that each time it is opened, and refuses a toolchain
/// on which it does not hold. Prefer `@Persistent` structures unless existing code needs classes.
public protocol PersistentClass: AnyObject, SendableMetatype {
    /// The stable name under which heaps know the class.
    static var persistentName: String { get }
    static var persistentClassLayout: ClassLayout { get }
}

/// How the instances of a class lie: 16 bytes of object header, then the fields in order.
public final class ClassLayout: Sendable {
    @usableFromInline let layout: TypeLayout
    /// Names of the stored properties, as the runtime knows them.
    let storedNames: [String]
    /// Classes that fields refer to.
    let targets: [any PersistentClass.Type]
    /// Why no heap can hold the class, if none can.
    let problem: String?

    /// One field while a layout is put together.
    public struct Part {
        let field: FieldLayout
        let storedName: String
        let target: (any PersistentClass.Type)?
        let problem: String?

        /// A number, a structure or an enumeration: any persistent value without references of its
        /// own.
        public init<T: Persistable>(_ name: String, _ type: T.Type, at offset: Int, stored: String)
        {
            let layout = T.persistentLayout
            self.init(
                name, layout.name, layout.size, offset, layout.fingerprint, stored, nil,
                layout.references.isEmpty
                    ? nil : "field \(name) holds a PRef, a PString or a container")
        }

        public init<C: PersistentClass>(
            _ name: String, _ type: C?.Type, at offset: Int, stored: String
        ) {
            self.init(name, C.persistentName + "?", 8, offset, 0, stored, C.self)
        }

        public init<C: PersistentClass>(
            _ name: String, _ type: C.Type, at offset: Int, stored: String
        ) {
            self.init(name, C.persistentName, 8, offset, 0, stored, C.self)
        }

        /// Takes what the others refuse, to say what to do.
        @available(
            *, unavailable,
            message:
                "a field of a persistent class is a number, a @Persistent struct or enum, or a @Persistent class"
        )
        public init<T>(_ name: String, _ type: T.Type, at offset: Int, stored: String) {
            self.init(name, "", 0, offset, 0, stored, nil)
        }

        private init(
            _ name: String, _ type: String, _ size: Int, _ offset: Int, _ fingerprint: UInt64,
            _ stored: String,
            _ target: (any PersistentClass.Type)?, _ problem: String? = nil
        ) {
            field = FieldLayout(
                name: name, type: type, offset: offset, size: size, typeFingerprint: fingerprint)
            storedName = stored
            self.target = target
            self.problem = problem
        }
    }

    public init(name: String, size: Int, _ parts: [Part]) {
        layout = TypeLayout(
            native: name, size: size, fields: parts.map(\.field),
            references: parts.compactMap { $0.target == nil ? nil : $0.field.offset })
        storedNames = parts.map(\.storedName)
        targets = parts.compactMap(\.target)
        problem = parts.lazy.compactMap(\.problem).first
    }
}
