import ABI

/// Reads the frames of the output ring and remembers, byte by byte, what was delivered.
///
/// Nothing before `published` can be rolled back by a crash, so what is read here may be printed.
/// The cursor moves after the bytes were written: a command killed in between repeats at most one
/// write.
public struct OutputReader {
    /// Bytes to be written, or something that happened.
    public enum Event: Equatable {
        case bytes(ConsoleFrame.Output, [UInt8])
        case exit(status: Int32)
        /// The store came back older than what was printed: output from `published` on appears
        /// again.
        case wentBack(bytes: Int)
    }

    let ring: RingView
    let position: ConsolePosition
    /// Start of the frame that the cursor is in.
    private var frameStart: UInt64
    private let path: String

    public init(ring: RingView, position: ConsolePosition, path: String) throws(HostError) {
        self.ring = ring
        self.position = position
        self.path = path
        frameStart = ring.remote
        try locateCursor()
    }

    /// Walks from the ring's `remote` pointer to the frame that holds the cursor.
    private mutating func locateCursor() throws(HostError) {
        let published = ring.published
        // A position file older than the ring: what lies before `remote` may be overwritten, so it
        // is lost to us.
        if position.cursor < frameStart { position.cursor = frameStart }
        if frameStart > published { return }  // went back: `next` says so
        while frameStart < position.cursor {
            guard let header = FrameHeader(ring, at: frameStart, limit: published) else {
                if position.cursor > published { return }
                throw damaged("the printed position \(position.cursor) is not inside a frame")
            }
            if frameStart + header.span > position.cursor { break }
            frameStart += header.span
        }
        ring.remote = frameStart
    }

    /// The next thing to deliver: at most `limit` bytes of one stream. Nil when everything
    /// published was delivered.
    public mutating func next(limit: Int = 65536) throws(HostError) -> Event? {
        let published = ring.published
        if position.cursor > published { return goBack(to: published) }
        guard let header = try header(at: frameStart, published) else { return nil }
        switch ConsoleFrame.Output(rawValue: header.kind) {
        case .exit: return .exit(status: exitStatus(header))
        case .some(let stream): return .bytes(stream, gather(stream, published, limit))
        case nil:
            throw damaged("a frame at \(frameStart) has the unknown kind \(header.kind)")
        }
    }

    /// Marks bytes that `next` returned as delivered.
    public mutating func consume(_ count: Int) {
        var left = UInt64(count)
        let published = ring.published
        while let header = FrameHeader(ring, at: frameStart, limit: published) {
            // The guest may have changed the frame since `next` looked at it.
            let rest = UInt64(header.length) - min(printed, UInt64(header.length))
            if left < rest {
                if left > 0 { position.cursor = frameStart + 8 + printed + left }
                return
            }
            left -= rest
            frameStart += header.span
            position.cursor = frameStart
            ring.remote = frameStart
            if left == 0 { return }
        }
    }

    /// Whether the frames not yet delivered end with the program's exit. Delivers nothing.
    public func pendingExit() -> Int32? {
        let published = ring.published
        var at = frameStart
        while let header = FrameHeader(ring, at: at, limit: published) {
            if ConsoleFrame.Output(rawValue: header.kind) == .exit {
                return exitStatus(header, at: at)
            }
            at += header.span
        }
        return nil
    }

    /// Payload bytes of the current frame that were delivered.
    private var printed: UInt64 {
        position.cursor > frameStart + 8 ? position.cursor - frameStart - 8 : 0
    }

    private func header(at start: UInt64, _ published: UInt64) throws(HostError) -> FrameHeader? {
        if start == published { return nil }
        guard let header = FrameHeader(ring, at: start, limit: published) else {
            throw damaged(
                "the frame at \(start) is not whole (published \(published), capacity \(ring.capacity))"
            )
        }
        guard printed <= UInt64(header.length) else {
            throw damaged("the cursor is behind the frame at \(start)")
        }
        return header
    }

    /// The payloads of the frames of one stream that follow each other.
    private func gather(_ stream: ConsoleFrame.Output, _ published: UInt64, _ limit: Int) -> [UInt8]
    {
        var bytes: [UInt8] = []
        var at = frameStart
        var skip = printed
        while bytes.count < limit, let header = FrameHeader(ring, at: at, limit: published),
            header.kind == stream.rawValue, skip <= UInt64(header.length)
        {
            let count = min(Int(UInt64(header.length) - skip), limit - bytes.count)
            bytes += ring.copyOut(at + 8 + skip, count)
            at += header.span
            skip = 0
        }
        return bytes
    }

    private func exitStatus(_ header: FrameHeader, at start: UInt64? = nil) -> Int32 {
        let bytes = ring.copyOut((start ?? frameStart) + 8, Int(min(header.length, 4)))
        return Int32(bytes.first ?? 0)
    }

    private mutating func goBack(to published: UInt64) -> Event {
        let lost = position.cursor - published
        frameStart = published
        position.cursor = published
        ring.remote = published
        return .wentBack(bytes: Int(clamping: lost))
    }

    private func damaged(_ reason: String) -> HostError {
        .consoleDamaged(path: path, reason: reason)
    }
}
