import PersistentMemory

/// Where a space's objects are: files of a directory, or test memory that forgets. Slot 0 of the
/// region is the control area (`ControlLayout`), objects are mapped into the others.
package protocol ObjectStore: AnyObject {
    var region: PersistentRegion { get }
    /// Who has the space open; nil where nobody else can.
    var members: Members? { get }
    var controlBytes: UInt64 { get }
    /// Entries of a new directory.
    var directorySlots: UInt64 { get }
    /// How long a namespace may become.
    var namespaceBytes: UInt64 { get }
    /// An object stays in the slot it was first mapped into: the directory is not cleared.
    var keepsSlots: Bool { get }
    /// Makes an object of zeros. Its existence is durable on return.
    func create(_ id: ObjectID, capacity: UInt64) throws(ObjectError)
    /// How long an object is; nil if there is none.
    func capacity(of id: ObjectID) throws(ObjectError) -> UInt64?
    func map(_ id: ObjectID, at slot: Int, capacity: UInt64, writable: Bool) throws(ObjectError)
    /// Memory that is no object's takes the place of one that is gone.
    func mapNothing(_ slot: Int, capacity: UInt64) throws(ObjectError)
    func makeReadOnly(_ id: ObjectID) throws(ObjectError)
    func isReadOnly(_ id: ObjectID) throws(ObjectError) -> Bool
    func unmap(_ slot: Int, capacity: UInt64)
    func remove(_ id: ObjectID) throws(ObjectError)
    func identifiers() throws(ObjectError) -> [ObjectID]
    /// Takes real space for the first `bytes` of an object, so that a full disk is an error here.
    func reserve(_ slot: Int, upTo bytes: UInt64) throws(ObjectError)
    /// Stores were made to a slot that no flush names: the next settling writes it.
    func touch(_ slot: Int)
    func close()
}
