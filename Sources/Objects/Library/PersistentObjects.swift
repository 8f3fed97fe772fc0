@_exported import ObjectCore
@_exported import PersistentMemory

/// Makes a structure or enumeration fit for objects: checks that every field may live in persistent
/// memory, and writes the type's layout and fingerprint and, for a structure, its `Editor`.
///
/// - Parameter name: the stable name under which objects know the type.
@attached(
    extension, conformances: PersistentObject, Persistable, BitwiseCopyable,
    names: named(persistentLayout), named(Editor), named(Offsets))
public macro Persistent(_ name: String = "") =
    #externalMacro(module: "PersistentMacros", type: "PersistentMacro")
