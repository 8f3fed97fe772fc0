import ABI

/// The console: frames out to the CLI and in from it (`ConsoleFrame`). What is written here leaves
/// the system only when the version that wrote it is committed; the kernel sees to that by the
/// ring's pointers.
final class Console {
    /// Where the rings are in the server's memory: above its heap.
    static let outputAddress: UInt64 = 0x20_0000_0000
    static let inputAddress: UInt64 = 0x21_0000_0000
    /// Input that no program has read yet stays in the ring beyond this.
    static let inputLimit = 65536

    private let output: SharedRing
    private let input: SharedRing
    let terminal = Terminal()
    /// Woken when the outside has read output.
    let roomQueue = WaitQueue()
    let inputQueue = WaitQueue()
    /// Standard input that is not a terminal.
    private(set) var stream: Bytes = []
    private(set) var isStreamEnded = false
    private var hasExited = false
    private var doorbell: ServiceThread?

    init() throws(Errno) {
        output = try SharedRing(slot: RootSlot.outputRing, address: Console.outputAddress)
        input = try SharedRing(slot: RootSlot.inputRing, address: Console.inputAddress)
    }

    func start(server: Server, isTerminal: Bool) throws(Errno) {
        let service = try ServiceThread(lock: server.lock, notification: RootSlot.doorbell) {
            self.roomQueue.wakeAll()
            self.readInput(server, isTerminal: isTerminal)
            server.connectionRings?.look()
            return Native.forever
        }
        try service.start()
        doorbell = service
    }

    // MARK: Output

    var canWrite: Bool { output.room >= 4096 }

    /// Writes one frame of at most `maximumPayload` bytes if there is room for it or for a part;
    /// the bytes taken. nil: the memory is bad.
    func write(_ kind: ConsoleFrame.Output, from memory: MemoryReference, count: UInt64) -> UInt64?
    {
        let room = output.room
        if room < 64 { return 0 }
        let wanted = min(count, UInt64(ConsoleFrame.maximumPayload), room - 32)
        let start = output.local
        let moved = output.fill(from: memory, count: wanted, at: start &+ 8)
        if moved == 0 { return nil }
        output.storeWord(
            ConsoleFrame.word(kind: kind.rawValue, length: UInt32(truncatingIfNeeded: moved)),
            at: start)
        output.local = start &+ ConsoleFrame.paddedLength(UInt32(truncatingIfNeeded: moved))
        return moved
    }

    /// Writes the server's own bytes as far as there is room.
    func write(_ kind: ConsoleFrame.Output, _ bytes: Bytes) -> Int {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else { return 0 }
            return Int(write(kind, from: MemoryReference(base), count: UInt64(buffer.count)) ?? 0)
        }
    }

    /// A line of Evertree's own. Lost when the ring is full: nothing may wait for it.
    func diagnostic(_ text: StaticString) { _ = write(.diagnostic, Bytes(text)) }
    func diagnostic(_ text: Bytes) { _ = write(.diagnostic, text) }

    /// The first program has ended. Its output was written before; `write` always leaves
    /// the 16 bytes that this frame takes.
    func exit(status: UInt32) {
        if hasExited { return }
        hasExited = true
        var writer = ByteWriter(capacity: 8)
        writer.put32(status)
        let start = output.local
        _ = writer.bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map {
                output.fill(from: MemoryReference($0), count: 4, at: start &+ 8)
            }
        }
        output.storeWord(
            ConsoleFrame.word(kind: ConsoleFrame.Output.exit.rawValue, length: 4), at: start)
        output.local = start &+ ConsoleFrame.paddedLength(4)
    }

    // MARK: Input

    /// Takes frames out of the input ring while there is room for what they bring.
    func readInput(_ server: Server, isTerminal: Bool) {
        while input.available >= 8 {
            let start = input.local
            let word = input.loadWord(at: start)
            let length = min(ConsoleFrame.length(word), ConsoleFrame.maximumPayload)
            let total = ConsoleFrame.paddedLength(length)
            if input.available < total || stream.count > Console.inputLimit { return }
            if isTerminal, terminal.isFull { return }
            let payload = input.bytes(at: start &+ 8, count: UInt64(length))
            input.local = start &+ total
            accept(
                ConsoleFrame.Input(rawValue: ConsoleFrame.kind(word)), payload, server, isTerminal)
        }
    }

    private func accept(
        _ kind: ConsoleFrame.Input?, _ payload: Bytes, _ server: Server, _ isTerminal: Bool
    ) {
        switch kind {
        case .standardInput:
            if isTerminal {
                for byte in payload { terminal.type(byte, server) }
            } else {
                stream.append(contentsOf: payload)
            }
        case .endOfInput:
            if isTerminal { terminal.hangUp() } else { isStreamEnded = true }
        case .windowSize:
            terminal.resize(rows: payload.load16(0), columns: payload.load16(2), server)
        case .signal:
            if let signal = Signal(checking: payload.loadInt32(0)) {
                deliver(signal, server)
            }
        case nil: diagnostic("a console frame of unknown kind was skipped")
        }
        inputQueue.wakeAll()
    }

    /// A request to end (SIGTERM) is the first process's, as a container's is: what it started is
    /// its own to end. Other signals are the keyboard's and go to the foreground.
    private func deliver(_ signal: Signal, _ server: Server) {
        if signal == .terminate, let first = server.firstProcess {
            first.raise(signal)
            return
        }
        let group = terminal.foregroundGroup
        if !server.members(ofGroup: group).isEmpty {
            server.raise(signal, group: group)
        } else if let first = server.firstProcess {
            server.raise(signal, group: first.groupID)
        }
    }

    /// Up to `count` bytes of streamed input to the guest; nil: its memory is bad.
    func readStream(to memory: MemoryReference, count: UInt64, _ server: Server) -> Int? {
        let part = Bytes(
            stream.prefix(Int(truncatingIfNeeded: min(count, UInt64(Console.inputLimit)))))
        let moved = GuestMemory(space: memory.slot).writeSome(part, to: memory.address)
        if moved == 0, !part.isEmpty { return nil }
        stream.removeFirst(moved)
        readInput(server, isTerminal: false)
        return moved
    }
}
