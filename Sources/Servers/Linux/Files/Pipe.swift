import ABI

/// The buffer between the ends of a pipe (pipe(7)). A fifo's inode carries one.
final class Pipe: InodeAttachment {
    static let defaultCapacity = 65536
    /// Writes up to this size are not mixed with others (PIPE_BUF).
    static let atomicBytes = 4096

    let queue = WaitQueue()
    var readers = 0
    var writers = 0
    /// How often each end was opened: a fifo's open waits for the other end to grow.
    var readerOpens: UInt64 = 0
    var writerOpens: UInt64 = 0
    private var buffer: UnsafeMutableRawPointer
    private(set) var capacity = Pipe.defaultCapacity
    private var start = 0
    private(set) var count = 0

    override init() {
        buffer = UnsafeMutableRawPointer.allocate(byteCount: Pipe.defaultCapacity, alignment: 16)
        super.init()
    }

    deinit { buffer.deallocate() }

    var room: Int { capacity - count }

    /// Moves bytes to the guest; nil when its memory is bad.
    func take(_ wanted: Int, to memory: MemoryReference) -> Int? {
        var done = 0
        while done < wanted, count > 0 {
            let part = min(wanted - done, count, capacity - start)
            let moved = Int(
                truncatingIfNeeded: Native.copy(
                    to: memory.advanced(by: UInt64(done)), from: MemoryReference(buffer + start),
                    length: UInt64(part)))
            start = (start + moved) % capacity
            count -= moved
            done += moved
            if moved < part { return done > 0 ? done : nil }
        }
        if count == 0 { start = 0 }
        return done
    }

    /// Moves bytes from the guest, as many as there is room for; nil when its memory is bad.
    func put(_ offered: Int, from memory: MemoryReference) -> Int? {
        var done = 0
        while done < offered, count < capacity {
            let end = (start + count) % capacity
            let part = min(offered - done, capacity - count, capacity - end)
            let moved = Int(
                truncatingIfNeeded: Native.copy(
                    to: MemoryReference(buffer + end), from: memory.advanced(by: UInt64(done)),
                    length: UInt64(part)))
            count += moved
            done += moved
            if moved < part { return done > 0 ? done : nil }
        }
        return done
    }

    // MARK: splice(2)

    /// A copy of the first bytes.
    func peek(_ wanted: Int) -> Bytes {
        let total = min(wanted, count)
        let first = min(total, capacity - start)
        return Bytes(UnsafeRawBufferPointer(start: buffer + start, count: first))
            + Bytes(UnsafeRawBufferPointer(start: buffer, count: total - first))
    }

    /// Forgets the first bytes.
    func skip(_ taken: Int) {
        assert(taken <= count, "more taken from a pipe than there is")
        start = (start + taken) % capacity
        count -= taken
    }

    /// Appends as much as there is room for.
    func put(_ bytes: Bytes) -> Int {
        let total = min(bytes.count, room)
        for index in 0..<total {
            buffer.storeBytes(
                of: bytes[index], toByteOffset: (start + count + index) % capacity, as: UInt8.self)
        }
        count += total
        return total
    }

    /// Bytes that were taken and not used. The pipe grows when others have filled it meanwhile.
    func putBack(_ bytes: Bytes) {
        let rest = peek(count)
        let size = max(capacity, bytes.count + rest.count)
        buffer.deallocate()
        buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        capacity = size
        start = 0
        count = 0
        _ = put(bytes)
        _ = put(rest)
    }

    /// F_SETPIPE_SZ.
    func resize(to wish: UInt64) throws(Errno) -> Int {
        guard wish <= 1 << 20 else { throw .EPERM }
        var size = Pipe.atomicBytes
        while size < Int(wish) { size *= 2 }
        if size < count { throw .EBUSY }
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        let first = min(count, capacity - start)
        fresh.copyMemory(from: buffer + start, byteCount: first)
        (fresh + first).copyMemory(from: buffer, byteCount: count - first)
        buffer.deallocate()
        buffer = fresh
        start = 0
        capacity = size
        return size
    }
}

/// One end of a pipe, or both for a fifo that was opened to read and write.
final class PipeFile: OpenFile {
    let pipe: Pipe

    init(server: Server, inode: Inode, path: Bytes, flags: UInt32, pipe: Pipe) {
        self.pipe = pipe
        super.init(server: server, inode: inode, path: path, flags: flags)
        if isReadable {
            pipe.readers += 1
            pipe.readerOpens = pipe.readerOpens &+ 1
        }
        if isWritable {
            pipe.writers += 1
            pipe.writerOpens = pipe.writerOpens &+ 1
        }
        pipe.queue.wakeAll()
    }

    override func close() {
        if isReadable { pipe.readers -= 1 }
        if isWritable { pipe.writers -= 1 }
        if pipe.readers == 0, pipe.writers == 0 { inode?.attachment = nil }
        pipe.queue.wakeAll()
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        if transfer.count == 0 { return 0 }
        while pipe.count == 0 {
            if pipe.writers == 0 { return 0 }
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: pipe.queue)
        }
        guard let moved = pipe.take(Int(transfer.count), to: transfer.memory) else { throw .EFAULT }
        pipe.queue.wakeAll(PollEvents.writable)
        return UInt64(moved)
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        let total = Int(transfer.count)
        var done = 0
        while done < total {
            if pipe.readers == 0 { return try broken(done, thread) }
            let left = total - done
            let isTooTight =
                left <= Pipe.atomicBytes && total <= Pipe.atomicBytes && pipe.room < left
            if pipe.room == 0 || isTooTight {
                if isNonBlocking {
                    if done > 0 { return UInt64(done) }
                    throw .EAGAIN
                }
                if done > 0, thread.isInterrupted { return UInt64(done) }
                try thread.wait(on: pipe.queue)
                continue
            }
            guard let moved = pipe.put(left, from: transfer.memory.advanced(by: UInt64(done)))
            else {
                if done > 0 { return UInt64(done) }
                throw .EFAULT
            }
            done += moved
            pipe.queue.wakeAll(PollEvents.readable)
        }
        return UInt64(done)
    }

    func broken(_ done: Int, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if done > 0 { return UInt64(done) }
        let details = SignalInfo.Details.sender(process: thread.process.id, user: 0, value: 0)
        try? thread.send(SignalInfo(signal: .pipe, code: 0, details: details))
        throw .EPIPE
    }

    override var readiness: UInt32 {
        var events: UInt32 = 0
        if isReadable {
            if pipe.count > 0 { events |= PollEvents.input | PollEvents.readNormal }
            if pipe.writers == 0 { events |= PollEvents.hangup }
        }
        if isWritable {
            if pipe.room >= Pipe.atomicBytes {
                events |= PollEvents.output | PollEvents.writeNormal
            }
            if pipe.readers == 0 { events |= PollEvents.error }
        }
        return events
    }

    override var queues: [WaitQueue] { [pipe.queue] }

    override func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        guard request == TerminalRequest.bytesReadable else { throw .ENOTTY }
        try thread.memory.store32(UInt32(truncatingIfNeeded: pipe.count), to: argument)
        return 0
    }
}
