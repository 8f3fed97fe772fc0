import ABI
import CPrimitives

/// The NVM region as the kernel sees it: words, frames, and the two verbs that make them durable.
///
/// Every store into persistent memory goes through this protocol, so that the simulated machine can
/// lose what was not flushed. Offsets are bytes from the start of the region. A word store is
/// atomic against a power cut (8 bytes aligned); anything longer may tear between words, in any
/// order, until it was flushed and fenced.
public protocol PersistentMemory {
    /// Size of the region in 4 KiB frames.
    var frameCount: UInt32 { get }
    /// Loads the word at an 8-byte aligned offset.
    func load(_ offset: UInt64) -> UInt64
    /// Stores a word at an 8-byte aligned offset.
    func store(_ value: UInt64, at offset: UInt64)
    /// Copies bytes out of the region.
    func read(_ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer)
    /// Copies bytes into the region.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64)
    /// Copies a whole frame.
    func copyFrame(from source: FrameNumber, to destination: FrameNumber)
    /// Copies 4,096 bytes of ordinary memory, 8-byte aligned, into a whole frame.
    func writeFrame(_ frame: FrameNumber, from source: UnsafeRawPointer)
    /// Copies a whole frame into ordinary memory, 8-byte aligned.
    func readFrame(_ frame: FrameNumber, into destination: UnsafeMutableRawPointer)
    /// Fills a whole frame with zeros.
    func zeroFrame(_ frame: FrameNumber)
    /// Fills a whole frame with words that depend on their offsets.
    func fillFrame(_ frame: FrameNumber, with word: (UInt64) -> UInt64)
    /// Copies bytes within the region, any alignment; the ranges do not overlap and lie in one
    /// frame each.
    func copy(from source: UInt64, to destination: UInt64, length: UInt64)
    /// Zeros bytes, any alignment.
    func zero(_ offset: UInt64, length: UInt64)
    /// Starts writing back the cache lines that overlap the range. Does nothing in a coherent-cache
    /// domain.
    func flush(_ offset: UInt64, length: UInt64)
    /// Returns when all that was flushed before is durable; orders later stores behind it.
    func fence()
    /// Whether nothing in a range could be lost by a power cut now. For assertions about the order
    /// of persist steps: real memory cannot tell, and says yes.
    func isDurable(_ offset: UInt64, length: UInt64) -> Bool
}

extension PersistentMemory {
    @inlinable public func isDurable(_ offset: UInt64, length: UInt64) -> Bool { true }

    /// Whether a whole frame is durable.
    @inlinable public func isDurable(_ frame: FrameNumber) -> Bool {
        isDurable(frame.offset, length: pageSize)
    }

    public func writeFrame(_ frame: FrameNumber, from source: UnsafeRawPointer) {
        write(UnsafeRawBufferPointer(start: source, count: Int(pageSize)), at: frame.offset)
    }

    public func readFrame(_ frame: FrameNumber, into destination: UnsafeMutableRawPointer) {
        read(
            frame.offset,
            into: UnsafeMutableRawBufferPointer(start: destination, count: Int(pageSize)))
    }

    /// Word by word through a buffer; a machine with plain memory has a faster way.
    public func copy(from source: UInt64, to destination: UInt64, length: UInt64) {
        var done: UInt64 = 0
        var word: UInt64 = 0
        while done < length {
            let piece = min(8, length - done)
            withUnsafeMutableBytes(of: &word) { bytes in
                let part = UnsafeMutableRawBufferPointer(rebasing: bytes[0..<Int(piece)])
                read(source + done, into: part)
                write(UnsafeRawBufferPointer(part), at: destination + done)
            }
            done += piece
        }
    }

    public func fillFrame(_ frame: FrameNumber, with word: (UInt64) -> UInt64) {
        var offset = frame.offset
        for _ in 0..<(pageSize / 8) {
            store(word(offset), at: offset)
            offset += 8
        }
    }

    /// Fills a frame with links to nothing: an inner node without children.
    func fillLinks(_ frame: FrameNumber, _ check: WordCheck) {
        fillFrame(frame) { check.seal32(0, at: $0) }
    }

    public func zero(_ offset: UInt64, length: UInt64) {
        let word: UInt64 = 0
        var done: UInt64 = 0
        while done < length {
            let piece = min(8, length - done)
            withUnsafeBytes(of: word) { bytes in
                write(UnsafeRawBufferPointer(rebasing: bytes[0..<Int(piece)]), at: offset + done)
            }
            done += piece
        }
    }

    /// CRC32C over words of the region, starting from `seed`.
    @inlinable public func checksum(_ offset: UInt64, words: Int, seed: UInt32) -> UInt32 {
        var crc = seed
        var at = offset
        for _ in 0..<words {
            crc = evertree_crc32c_u64(crc, load(at))
            at &+= 8
        }
        return crc
    }
}
