/// What a socket was sent and nobody has read: bytes of a stream, or whole messages.
///
/// Invariants: `byteCount` is the sum of `end - start` over all segments; a segment of a stream is
/// never empty. A queue without segments holds no memory beyond its array.
struct ReceiveQueue {
    /// Bytes of one sender that came in one piece or could be joined.
    final class Segment {
        let base: UnsafeMutableRawPointer
        let capacity: Int
        var start = 0
        var end = 0
        /// `struct sockaddr` of a datagram's sender.
        var source: Bytes = []
        var credentials = SenderCredentials()
        /// Descriptors under way (SCM_RIGHTS), each `use`d once.
        var files: [OpenFile] = []

        init(capacity: Int) {
            self.capacity = max(capacity, 1)
            base = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
        }

        deinit { base.deallocate() }
        var count: Int { end - start }
    }

    /// Smallest segment of a stream: room for small writes to be joined.
    static let smallest = 1024
    static let largest = 65536

    private var segments = Queue<Segment>()
    private var last: Segment?
    private(set) var byteCount = 0

    var isEmpty: Bool { segments.isEmpty }
    /// Messages, of a socket that keeps them apart.
    var messageCount: Int { segments.count }
    var first: Segment? { segments.first }
    subscript(index: Int) -> Segment? { segments[index] }

    /// Adds a whole message.
    mutating func append(_ segment: Segment) {
        segments.append(segment)
        last = segment
        byteCount += segment.count
    }

    /// Adds up to `limit` bytes of a stream; nil when not one could be read from the sender.
    mutating func append(
        _ cursor: inout PieceCursor, limit: Int, _ credentials: SenderCredentials,
        files: [OpenFile]
    ) -> Int? {
        var done = 0
        var files = files
        while done < limit, cursor.left > 0 {
            let wanted = min(limit - done, cursor.left)
            let segment = room(credentials, isFresh: !files.isEmpty, wanted)
            let part = min(wanted, segment.capacity - segment.end)
            let moved = cursor.take(part, to: segment.base + segment.end)
            if moved == 0 { return done > 0 ? done : nil }
            segment.end += moved
            segment.files += files
            files = []
            if segment !== last {
                segments.append(segment)
                last = segment
            }
            byteCount += moved
            done += moved
            if moved < part { return done }
        }
        return done
    }

    /// Adds `count` bytes of a stream: `copy` brings some of them (target, offset, count).
    mutating func append(
        _ count: Int, _ credentials: SenderCredentials,
        copy: (UnsafeMutableRawPointer, Int, Int) -> Void
    ) {
        var done = 0
        while done < count {
            let segment = room(credentials, isFresh: false, count - done)
            let part = min(count - done, segment.capacity - segment.end)
            copy(segment.base + segment.end, done, part)
            segment.end += part
            if segment !== last {
                segments.append(segment)
                last = segment
            }
            byteCount += part
            done += part
        }
    }

    /// The last segment, if more can be joined to it, or a new one.
    private func room(_ credentials: SenderCredentials, isFresh: Bool, _ wanted: Int) -> Segment {
        if let last, !isFresh, last.credentials == credentials, last.end < last.capacity {
            return last
        }
        let size = min(max(wanted, ReceiveQueue.smallest), ReceiveQueue.largest)
        let segment = Segment(capacity: size)
        segment.credentials = credentials
        return segment
    }

    /// `count` bytes of the first segment are consumed.
    mutating func consume(_ count: Int) {
        guard let segment = segments.first else { return }
        segment.start += count
        byteCount -= count
        if segment.count == 0 { dropFirst() }
    }

    /// Takes the first message.
    @discardableResult
    mutating func dropFirst() -> Segment? {
        guard let segment = segments.popFirst() else { return nil }
        byteCount -= segment.count
        if segments.isEmpty { last = nil }
        return segment
    }
}
