import CObjectSpace
import CPersistentMemory
import ObjectCore
import PersistentMemory

/// Objects on memory that forgets: each slot has one chunk. What files exist is durable at once, as
/// a synchronised directory is; what is in them is not.
public final class SimulatedStore: ObjectStore {
    public static let chunk: UInt64 = 32 << 10
    public let memory: SimulatedMemory
    package let region: PersistentRegion
    package var members: Members? { nil }
    package var controlBytes: UInt64 { Self.chunk }
    package var directorySlots: UInt64 { 16 }
    package var namespaceBytes: UInt64 { Self.chunk }
    package var keepsSlots: Bool { true }
    /// Which objects exist, and where.
    public var files: [ObjectID: Int] = [:]
    private static let bytes = ObjectLayout.slots << ObjectLayout.slotShift
    private let place: UnsafeMutableRawPointer

    public init(objects: Int, journals: Bool) {
        guard let place = os_reserve(Self.bytes * 2, ObjectLayout.slotBytes) else {
            fatalError("no address space")
        }
        for slot in 0...objects {
            let at = place + slot << Int(ObjectLayout.slotShift)
            guard os_map_memory(at, Self.chunk) == 0 else { fatalError("no memory") }
        }
        self.place = place
        memory = SimulatedMemory(
            chunks: objects + 1, of: Int(Self.chunk), stride: Int(ObjectLayout.slotBytes), at: place)
        memory.journals = journals
        region = memory.region()
    }

    package func create(_ id: ObjectID, capacity: UInt64) throws(ObjectError) { files[id] = 0 }
    package func capacity(of id: ObjectID) throws(ObjectError) -> UInt64? {
        files[id] == nil ? nil : Self.chunk
    }
    package func map(_ id: ObjectID, at slot: Int, capacity: UInt64, writable: Bool)
        throws(ObjectError)
    { files[id] = slot }
    package func mapNothing(_ slot: Int, capacity: UInt64) throws(ObjectError) {}
    package func makeReadOnly(_ id: ObjectID) throws(ObjectError) {}
    package func isReadOnly(_ id: ObjectID) throws(ObjectError) -> Bool { false }
    package func unmap(_ slot: Int, capacity: UInt64) {}
    package func remove(_ id: ObjectID) throws(ObjectError) { files[id] = nil }
    package func identifiers() throws(ObjectError) -> [ObjectID] { files.keys.sorted() }
    package func reserve(_ slot: Int, upTo bytes: UInt64) throws(ObjectError) {}
    package func touch(_ slot: Int) {}
    package func close() {}
    deinit { pm_release(place, Int(Self.bytes * 2)) }
}
