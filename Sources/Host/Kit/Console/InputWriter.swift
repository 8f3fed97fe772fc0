import ABI

/// Writes frames into the input ring. The inside reads them and, at each commit, says how far it
/// has read for good; only that space is used again, so a restore finds everything that it had read
/// since.
public struct InputWriter {
    let ring: RingView

    public init(ring: RingView) { self.ring = ring }

    /// Bytes that may be written now.
    public var freeBytes: UInt64 {
        let used = ring.remote &- ring.published
        return used <= ring.capacity ? ring.capacity - used : 0
    }

    /// Payload bytes that one more frame may hold now.
    public var room: Int {
        let free = freeBytes
        return free < 16 ? 0 : Int(min(UInt64(ConsoleFrame.maximumPayload), free - 8) / 8 * 8)
    }

    /// Writes one frame. Returns false, writing nothing, when there is no room for all of it.
    public func write(_ kind: ConsoleFrame.Input, _ payload: [UInt8]) -> Bool {
        write(kind: kind.rawValue, payload)
    }

    /// The same for a ring with other kinds of frame.
    func write(kind: UInt8, _ payload: [UInt8]) -> Bool {
        guard payload.count <= Int(ConsoleFrame.maximumPayload) else { return false }
        let length = UInt32(payload.count)
        let span = ConsoleFrame.paddedLength(length)
        guard span <= freeBytes else { return false }
        let start = ring.remote
        var bytes = withUnsafeBytes(of: ConsoleFrame.word(kind: kind, length: length)) {
            Array($0)
        }
        bytes += payload
        ring.copyIn(bytes, at: start)
        ring.remote = start &+ span
        return true
    }
}
