import HeapCore

/// Makes a structure or enumeration fit for the persistent heap.
///
/// Checks that every field may live in persistent memory, and writes the type's layout (name,
/// fingerprint, places of references) and, for a structure, its `Editor`: the view with setters
/// that a transaction hands out.
///
/// On a final class: the class can be used by the native-object tier (`PersistentClass`) as well as
/// in volatile memory. Its stored properties get setters that log when the object lies in a heap.
///
/// - Parameter name: the stable name under which heaps know the type; its own name if none is
///   given. Give one to rename the type in the program, or to describe an older layout for a
///   migration.
@attached(
    extension, conformances: PersistentObject, Persistable, BitwiseCopyable, PersistentClass,
    names: named(persistentLayout), named(persistentClassLayout), named(persistentName),
    named(Editor), named(Offsets),
    named(PersistentOffsets))
@attached(memberAttribute)
public macro Persistent(_ name: String = "") =
    #externalMacro(module: "PersistentMacros", type: "PersistentMacro")

/// A stored property of a persistent class: its setter is logged when the object lies in a heap.
/// Added by `@Persistent`.
@attached(accessor, names: named(init), named(get), named(set))
@attached(peer, names: prefixed(_))
public macro PersistentField() =
    #externalMacro(module: "PersistentMacros", type: "PersistentFieldMacro")
