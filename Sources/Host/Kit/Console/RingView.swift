import ABI
import SystemPackage

/// The outside's view of a ring in the mapped store (`ABI.Ring`).
///
/// Invariants checked here, since the other side is a guest: the capacity is a power of two that
/// fits the area; the pointers are multiples of 8 and no more than a capacity apart.
public struct RingView {
    let file: MappedFile
    /// Byte offset of the header in the file.
    let base: Int
    /// Bytes of data.
    public let capacity: UInt64

    /// Nil when there is no ring at this place (yet), or one that does not fit it.
    public init?(_ file: MappedFile, offset: UInt64, byteCount: UInt64) {
        guard offset + byteCount <= UInt64(file.byteCount), byteCount > Ring.dataOffset else {
            return nil
        }
        self.file = file
        base = Int(offset)
        guard file.load(base + Int(Ring.magicOffset)) == Ring.magic else { return nil }
        capacity = file.load(base + Int(Ring.capacityOffset))
        guard capacity >= 4096, capacity & (capacity - 1) == 0,
            capacity <= byteCount - Ring.dataOffset
        else {
            return nil
        }
    }

    /// The inside's pointer as of the last committed version.
    public var published: UInt64 { file.load(base + Int(Ring.publishedOffset)) }

    /// The outside's pointer: what it has read of an output ring, or written of an input ring.
    public var remote: UInt64 {
        get { file.load(base + Int(Ring.remoteOffset)) }
        nonmutating set { file.store(newValue, at: base + Int(Ring.remoteOffset)) }
    }

    /// The word at a position that is a multiple of 8; it never wraps.
    public func word(_ position: UInt64) -> UInt64 {
        file.load(base + Int(Ring.dataOffset) + Int(position & (capacity - 1)))
    }

    /// Copies bytes out, around the end of the data area.
    public func copyOut(_ position: UInt64, _ length: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            let target = UnsafeMutableRawBufferPointer(buffer)
            forEachPart(position, length) { part, done in
                UnsafeMutableRawBufferPointer(rebasing: target[done..<(done + part.count)])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(part))
            }
            count = length
        }
    }

    /// Copies bytes in, around the end of the data area.
    public func copyIn(_ bytes: [UInt8], at position: UInt64) {
        bytes.withUnsafeBytes { source in
            forEachPart(position, bytes.count) { part, done in
                part.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[done..<(done + part.count)]))
            }
        }
    }

    private func forEachPart(
        _ position: UInt64, _ length: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Void
    ) {
        var done = 0
        while done < length {
            let at = Int((position &+ UInt64(done)) & (capacity - 1))
            let count = min(length - done, Int(capacity) - at)
            let start = file.base + base + Int(Ring.dataOffset) + at
            body(UnsafeMutableRawBufferPointer(start: start, count: count), done)
            done += count
        }
    }
}

/// A frame's header as found in a ring.
public struct FrameHeader: Equatable {
    public var kind: UInt8
    public var length: UInt32
    /// Bytes that the whole frame takes.
    public var span: UInt64 { ConsoleFrame.paddedLength(length) }

    /// Reads the header at `position`. Nil when the frame is impossible or does not end by `limit`.
    init?(_ ring: RingView, at position: UInt64, limit: UInt64) {
        guard position & 7 == 0, limit >= position, limit - position >= 8,
            limit - position <= ring.capacity
        else {
            return nil
        }
        let word = ring.word(position)
        kind = ConsoleFrame.kind(word)
        length = ConsoleFrame.length(word)
        guard length <= ConsoleFrame.maximumPayload, span <= limit - position else { return nil }
    }
}
