import ABI
import Store

/// Threads and capabilities that belong together (a process, for the kernel).
struct CapGroup {
    var id: ObjectID
    var name: InlineArray<4, UInt64> = InlineArray(repeating: 0)
    var badge: UInt64 = 0
    var threadCount = 0
    /// Tables of 32 capabilities each, by number.
    var tables: UnsafeMutablePointer<CapabilityTablePointer?>
    var tableCount = 0
    /// No slot below this table is free.
    var firstWithRoom = 0

    static let maximumTables = 2048
}

/// Part of a cap group: 32 slots.
struct CapabilityTable {
    var id: ObjectID
    var group: ObjectID
    var number: Int
    var used = 0
    var entries: InlineArray<32, Capability> = InlineArray(repeating: Capability())
}

typealias CapGroupPointer = UnsafeMutablePointer<CapGroup>
typealias CapabilityTablePointer = UnsafeMutablePointer<CapabilityTable>
