/// Makes a structure or enumeration fit for the persistent heap.
///
/// Checks that every field may live in persistent memory, and writes the type's layout (name, fingerprint, places of
/// references) and, for a structure, its `Editor`: the view with setters that a transaction hands out.
///
/// - Parameter name: the stable name under which heaps know the type; its own name if none is given. Give one to
///   rename the type in the program, or to describe an older layout for a migration.
@attached(
    extension, conformances: PersistentObject, Persistable, BitwiseCopyable, names: named(persistentLayout), named(Editor),
    named(Offsets))
public macro Persistent(_ name: String = "") = #externalMacro(module: "PersistentMacros", type: "PersistentMacro")
