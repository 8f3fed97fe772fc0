import ABI

/// Which stream of the console an inode stands for, so that /dev/stdin and its like open it again.
final class StreamEnd: InodeAttachment {
    /// nil: standard input.
    let kind: ConsoleFrame.Output?

    init(kind: ConsoleFrame.Output?) {
        self.kind = kind
        super.init()
    }
}

/// Descriptors 0, 1 and 2 of the first program when they are not a terminal: plain streams.
final class StreamFile: OpenFile {
    private let kind: ConsoleFrame.Output?

    /// `kind` nil: standard input.
    init(server: Server, inode: Inode, kind: ConsoleFrame.Output?, flags: UInt32) {
        self.kind = kind
        var name = Bytes("pipe:[")
        name.append(decimal: inode.number)
        name.append("]")
        super.init(server: server, inode: inode, path: name, flags: flags)
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        guard kind == nil else { throw .EBADF }
        if transfer.count == 0 { return 0 }
        let console = server.console
        while console.stream.isEmpty {
            if console.isStreamEnded { return 0 }
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: console.inputQueue)
        }
        guard let moved = console.readStream(to: transfer.memory, count: transfer.count, server)
        else {
            throw .EFAULT
        }
        return UInt64(moved)
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.offset != nil { throw .ESPIPE }
        guard let kind else { throw .EBADF }
        return try server.console.writeAll(kind, transfer, thread, isNonBlocking: isNonBlocking)
    }

    override var readiness: UInt32 {
        let console = server.console
        if kind != nil { return console.canWrite ? PollEvents.output | PollEvents.writeNormal : 0 }
        var events: UInt32 = console.stream.isEmpty ? 0 : PollEvents.input | PollEvents.readNormal
        if console.isStreamEnded { events |= PollEvents.hangup }
        return events
    }

    override var queues: [WaitQueue] {
        [kind == nil ? server.console.inputQueue : server.console.roomQueue]
    }
}

extension Console {
    /// Looks again now and then: a doorbell may be lost when the outside is killed and attached
    /// again.
    func waitForRoom(_ thread: GuestThread) throws(Errno) {
        _ = try thread.wait(on: [roomQueue], deadline: TimeRecord.deadline(after: 100_000_000))
    }

    /// Writes everything, waiting for room.
    func writeAll(
        _ kind: ConsoleFrame.Output, _ transfer: Transfer, _ thread: GuestThread,
        isNonBlocking: Bool
    ) throws(Errno) -> UInt64 {
        var done: UInt64 = 0
        while done < transfer.count {
            guard
                let moved = write(
                    kind, from: transfer.memory.advanced(by: done), count: transfer.count - done)
            else {
                if done > 0 { return done }
                throw .EFAULT
            }
            done = done &+ moved
            if moved > 0 { continue }
            if isNonBlocking || thread.isInterrupted, done > 0 { return done }
            if isNonBlocking { throw .EAGAIN }
            try waitForRoom(thread)
        }
        return done
    }
}

/// The console as a terminal: /dev/tty, /dev/console, and descriptors 0–2 when they are a terminal.
final class TerminalFile: OpenFile {
    override var terminal: Terminal? { server.console.terminal }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if transfer.count == 0 { return 0 }
        let terminal = server.console.terminal
        while true {
            try terminal.checkBackground(thread, .terminalInput)
            if let line = terminal.take(Int(truncatingIfNeeded: min(transfer.count, 65536))) {
                let memory = GuestMemory(space: transfer.memory.slot)
                if memory.writeSome(line, to: transfer.memory.address) < line.count {
                    throw .EFAULT
                }
                server.console.readInput(server, isTerminal: true)
                return UInt64(line.count)
            }
            if isNonBlocking { throw .EAGAIN }
            try thread.wait(on: server.console.inputQueue)
        }
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        let terminal = server.console.terminal
        if terminal.stopsBackgroundOutput { try terminal.checkBackground(thread, .terminalOutput) }
        if !terminal.translatesNewlines {
            return try server.console.writeAll(
                .standardOutput, transfer, thread, isNonBlocking: isNonBlocking)
        }
        let memory = GuestMemory(space: transfer.memory.slot)
        var done: UInt64 = 0
        while done < transfer.count {
            let part = memory.readSome(
                transfer.memory.address &+ done, count: Int(min(transfer.count - done, 4096)))
            if part.isEmpty { break }
            let taken: UInt64
            do throws(Errno) {
                taken = try writeTranslated(part, thread)
            } catch {
                if done > 0 { return done }
                throw error
            }
            done = done &+ taken
            if taken < UInt64(part.count) { return done }
        }
        if done == 0, transfer.count > 0 { throw .EFAULT }
        return done
    }

    /// Writes what the bytes become; how many of them are out, fewer when a signal came or the file
    /// does not block. A newline whose return alone is out counts as not written.
    private func writeTranslated(_ bytes: Bytes, _ thread: GuestThread) throws(Errno) -> UInt64 {
        var rest = server.console.terminal.translate(bytes)
        while !rest.isEmpty {
            let moved = server.console.write(.standardOutput, rest)
            rest.removeFirst(moved)
            if moved > 0 { continue }
            if isNonBlocking || thread.isInterrupted {
                let newlines = rest.reduce(0) { $0 + ($1 == 10 ? 1 : 0) }
                let added = rest.first == 10 ? newlines - 1 : newlines
                let taken = bytes.count - (rest.count - added)
                if taken > 0 { return UInt64(taken) }
                throw isNonBlocking ? .EAGAIN : .restartWithFlag
            }
            try server.console.waitForRoom(thread)
        }
        return UInt64(bytes.count)
    }

    override var readiness: UInt32 {
        var events: UInt32 =
            server.console.canWrite ? PollEvents.output | PollEvents.writeNormal : 0
        if server.console.terminal.hasInput { events |= PollEvents.input | PollEvents.readNormal }
        return events
    }

    override var queues: [WaitQueue] { [server.console.inputQueue, server.console.roomQueue] }

    override func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        try server.console.terminal.control(request, argument, thread)
    }
}
