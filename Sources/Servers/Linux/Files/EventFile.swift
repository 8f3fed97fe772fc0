import ABI

/// eventfd(2): a counter.
final class EventFile: OpenFile {
    private var counter: UInt64
    private let isSemaphore: Bool
    private let queue = WaitQueue()

    init(server: Server, inode: Inode, flags: UInt32, value: UInt32, isSemaphore: Bool) {
        counter = UInt64(value)
        self.isSemaphore = isSemaphore
        super.init(server: server, inode: inode, path: Bytes("anon_inode:[eventfd]"), flags: flags)
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.count < 8 { throw .EINVAL }
        while counter == 0 {
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: queue)
        }
        let taken = isSemaphore ? 1 : counter
        try GuestMemory(space: transfer.memory.slot).store64(taken, to: transfer.memory.address)
        counter -= taken
        queue.wakeAll(PollEvents.writable)
        return 8
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.count < 8 { throw .EINVAL }
        let value = try GuestMemory(space: transfer.memory.slot).load64(transfer.memory.address)
        if value == UInt64.max { throw .EINVAL }
        while counter > UInt64.max - 1 - value {
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: queue)
        }
        counter += value
        queue.wakeAll(PollEvents.readable)
        return 8
    }

    override var readiness: UInt32 {
        (counter > 0 ? PollEvents.input : 0) | (counter < UInt64.max - 1 ? PollEvents.output : 0)
    }
    override var queues: [WaitQueue] { [queue] }
}

/// timerfd_create(2).
final class TimerFile: OpenFile {
    private let queue = WaitQueue()
    private var expiries: UInt64 = 0
    private(set) var timer: ServerTimer?
    let isWallClock: Bool

    init(server: Server, inode: Inode, flags: UInt32, isWallClock: Bool) {
        self.isWallClock = isWallClock
        super.init(server: server, inode: inode, path: Bytes("anon_inode:[timerfd]"), flags: flags)
        // The cycle of file and timer ends when the file is closed.
        timer = ServerTimer { count in
            self.expiries = self.expiries &+ count
            self.queue.wakeAll()
        }
    }

    func arm(deadline: UInt64?, interval: UInt64) {
        expiries = 0
        guard let timer else { return }
        if let deadline {
            server.timers.arm(timer, deadline: deadline, interval: interval)
        } else {
            timer.cancel()
        }
    }

    override func close() {
        timer?.cancel()
        timer = nil
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.count < 8 { throw .EINVAL }
        while expiries == 0 {
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: queue)
        }
        try GuestMemory(space: transfer.memory.slot).store64(expiries, to: transfer.memory.address)
        expiries = 0
        return 8
    }

    override var readiness: UInt32 { expiries > 0 ? PollEvents.input : 0 }
    override var queues: [WaitQueue] { [queue] }
}
