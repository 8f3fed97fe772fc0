import ABI
import CHostKit
import Glibc
import Store
import SystemPackage

/// The NVM region as a mapped file: what the store's own code works on from the host, while no
/// machine runs.
///
/// The page cache is coherent with every mapping of the file, so a process that dies loses nothing
/// and `flush` has nothing to do; `synchronize` makes the file durable against a failure of the
/// host.
public struct MappedMemory: PersistentMemory {
    public let file: MappedFile

    public init(_ file: MappedFile) { self.file = file }

    public var frameCount: UInt32 {
        UInt32(clamping: UInt64(file.byteCount) / pageSize)
    }

    public func load(_ offset: UInt64) -> UInt64 { file.load(Int(offset)) }

    public func store(_ value: UInt64, at offset: UInt64) { file.store(value, at: Int(offset)) }

    public func read(_ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        guard let target = buffer.baseAddress else { return }
        memcpy(target, range(offset, buffer.count), buffer.count)
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let source = bytes.baseAddress else { return }
        memcpy(range(offset, bytes.count), source, bytes.count)
    }

    public func copyFrame(from source: FrameNumber, to destination: FrameNumber) {
        let size = Int(pageSize)
        memcpy(range(destination.offset, size), range(source.offset, size), size)
    }

    public func zeroFrame(_ frame: FrameNumber) {
        memset(range(frame.offset, Int(pageSize)), 0, Int(pageSize))
    }

    public func flush(_ offset: UInt64, length: UInt64) {}

    public func fence() {}

    /// Waits until the file is on disk (msync(2)).
    public func synchronize() throws(HostError) {
        if msync(file.base, file.byteCount, MS_SYNC) != 0 {
            throw Files.error("msync", file.path, Errno(rawValue: errno))
        }
    }

    /// The address of a range, which must lie inside the file.
    private func range(_ offset: UInt64, _ length: Int) -> UnsafeMutableRawPointer {
        precondition(
            offset <= UInt64(file.byteCount) && UInt64(length) <= UInt64(file.byteCount) - offset)
        return file.base + Int(offset)
    }
}
