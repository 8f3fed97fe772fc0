/// Bytes of a path, a name or a small file. Not text: Linux paths have no encoding.
public typealias Bytes = [UInt8]

/// Guest or server memory that file contents are copied from or to: a native slot (PMO or VM space)
/// and an offset or address in it. Only the server looks inside.
public struct MemoryReference: Sendable {
    public var slot: UInt32
    public var address: UInt64
    public init(slot: UInt32, address: UInt64) {
        self.slot = slot
        self.address = address
    }
}

/// The bytes of one regular file. The server's subclass keeps them in a PMO; tests use
/// `ByteArrayContents`.
///
/// All of these clamp: reading past the end gives fewer bytes, writing past the end leaves zeros
/// between.
open class FileContents {
    public init() {}
    /// Size in bytes.
    open var size: UInt64 { 0 }
    /// Up to `count` bytes from `offset`; fewer at the end.
    open func readBytes(offset: UInt64, count: Int) throws(Errno) -> Bytes { throw .EIO }
    /// Writes all of `bytes`, growing the file.
    open func writeBytes(_ bytes: Bytes, offset: UInt64) throws(Errno) { throw .EIO }
    /// Cuts or extends with zeros.
    open func truncate(to size: UInt64) throws(Errno) { throw .EIO }
    /// Appends to this file what `source` holds in a range (cpio unpacking of big files without a
    /// detour).
    open func append(from source: FileContents, offset: UInt64, count: UInt64) throws(Errno) {
        throw .EIO
    }
    /// read(2) and write(2) straight between the file and the guest's memory. Return the bytes
    /// copied; EFAULT when not a single byte could be.
    open func read(offset: UInt64, count: UInt64, to memory: MemoryReference) throws(Errno)
        -> UInt64
    { throw .EIO }
    open func write(offset: UInt64, count: UInt64, from memory: MemoryReference) throws(Errno)
        -> UInt64
    { throw .EIO }
    /// The memory to map for mmap(2), with room for at least `bytes` bytes.
    func mappable(bytes: UInt64) throws(Errno) -> MemoryObject { throw .ENODEV }
    /// Makes the part of a range that lies in the file read as zeros, and gives its memory back.
    open func zero(from start: UInt64, to end: UInt64) throws(Errno) { throw .EOPNOTSUPP }
    /// Takes out whole pages that end before the file does; what is behind moves up.
    open func collapse(from start: UInt64, to end: UInt64) throws(Errno) { throw .EOPNOTSUPP }
    /// Puts in whole pages of zeros; what is behind moves down.
    open func insert(at start: UInt64, count: UInt64) throws(Errno) { throw .EOPNOTSUPP }
    /// The last name and the last open file are gone.
    open func release() {}
}
