import ABI
import Store

/// A place in the table of capabilities: table object (without its class bit) and entry. Stable
/// over restores.
struct CapabilityRef: Equatable {
    var value: UInt32
    static let none = CapabilityRef(value: ~0)
    var isNone: Bool { value == ~0 }
    init(value: UInt32) { self.value = value }
    init(table: UInt32, entry: Int) {
        value = (table & ~RecordClass.largeBit) << 5 | UInt32(entry)
    }
    var table: UInt32 { value >> 5 | RecordClass.largeBit }
    var entry: Int { Int(value & 31) }
}

/// A reference to an object with rights. Parent links persist; the list of all capabilities to one
/// object is rebuilt.
///
/// Invariants: `rights` are a subset of the parent's at the time of derivation; `depth` = parent's
/// + 1, at most 32; each non-empty capability is in its object's list exactly once and counts as
/// one reference.
struct Capability {
    var object = ObjectID.none
    var badge: UInt64 = 0
    var parent = CapabilityRef.none
    var rights = Rights()
    var depth: UInt8 = 0
    /// Volatile: neighbours among the capabilities to the same object.
    var next = CapabilityRef.none
    var previous = CapabilityRef.none
    /// Volatile: found to be below the one that is being revoked.
    var isMarked = false

    static let perTable = 32
    static let maximumDepth: UInt8 = 32
    var isEmpty: Bool { object.isNone }
}
