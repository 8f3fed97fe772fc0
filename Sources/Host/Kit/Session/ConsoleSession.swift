import ABI
import CHostKit
import Glibc
import Logging

/// Joins the host's streams with a machine's console rings until the program or the machine ends.
///
/// One thread, one poll(2). Nothing here blocks on a stream: output waits for POLLOUT while
/// signals, input and the machine's end are still seen.
public struct ConsoleSession: ~Copyable {
    /// Why the session is over.
    public enum Outcome: Equatable, Sendable {
        case exited(status: Int32)
        /// Everything that the machine published was delivered.
        case machineEnded
        /// Nobody reads the output any more.
        case outputClosed
        /// The user asked twice, or the terminal went away.
        case interrupted
    }

    private let log: Logger
    private let streams: ConsoleStreams
    private var reader: OutputReader
    private var input: InputForwarder
    private var doorbell: Doorbell
    private let serial: SerialTail
    /// Readable at the machine's end; negative when there is no machine: what was published is
    /// delivered, and that is all.
    private let machineEnd: Int32
    private var stopRequests = 0
    /// The stream that the next bytes wait for.
    private var blocked: Int32 = -1
    private var outputClosed = false
    private let flush: HostFlush?
    private let ports: PublishedPorts?

    /// `machineEnd` stays the caller's.
    public init(
        _ directory: StoreDirectory, _ rings: ConsoleRings, streams: ConsoleStreams,
        machineEnd: Int32, ports: PublishedPorts? = nil, log: Logger
    ) throws(HostError) {
        let position = try ConsolePosition(
            directory.consolePosition, initialCursor: rings.output.remote)
        let reader = try OutputReader(ring: rings.output, position: position, path: directory.name)
        let doorbell = try Doorbell(directory)
        let serial = try SerialTail(directory.serialLog)
        let flush = try HostFlush(directory, rings.file)
        self.init(
            log: log, streams: streams, machineEnd: machineEnd, reader: reader,
            input: InputForwarder(
                descriptor: machineEnd < 0 ? -1 : streams.input,
                writer: InputWriter(ring: rings.input),
                position: position),
            doorbell: doorbell, serial: serial, flush: flush, ports: ports)
    }

    private init(
        log: Logger, streams: ConsoleStreams, machineEnd: Int32, reader: OutputReader,
        input: InputForwarder,
        doorbell: consuming Doorbell, serial: consuming SerialTail, flush: consuming HostFlush?,
        ports: PublishedPorts?
    ) {
        self.log = log
        self.streams = streams
        self.machineEnd = machineEnd
        self.reader = reader
        self.input = input
        self.doorbell = doorbell
        self.serial = serial
        self.flush = flush
        self.ports = ports
    }

    /// Runs until one of the outcomes.
    public mutating func run(_ signals: borrowing SignalSource) throws(HostError) -> Outcome {
        var ended = machineEnd < 0
        if !ended { input.windowSize(of: streams.output) }
        while true {
            try flush?.serve()
            if let ports, try ports.serve() { doorbell.ring() }
            if let status = try deliver() { return .exited(status: status) }
            ConsoleStreams.writeText(serial.read(), to: streams.error)
            if outputClosed { return .outputClosed }
            if ended && blocked < 0 { return .machineEnded }
            if input.flush() { doorbell.ring() }
            if wait(signals, machineEnded: &ended) { return .interrupted }
        }
    }

    /// Writes out what was published, as far as the streams take it. Returns the program's exit
    /// status when that is next.
    private mutating func deliver() throws(HostError) -> Int32? {
        blocked = -1
        var consumed = false
        defer { if consumed { doorbell.ring() } }
        while let event = try reader.next(limit: 65536) {
            switch event {
            case .exit(let status): return status
            case .wentBack(let count):
                log.warning(
                    "the store went back to an older version than was printed: about \(count) bytes appear again"
                )
            case .bytes(.diagnostic, let bytes):
                log.notice("\(String(decoding: bytes, as: UTF8.self))")
                reader.consume(bytes.count)
                consumed = true
            case .bytes(let stream, let bytes):
                guard
                    let count = put(
                        bytes, to: stream == .standardError ? streams.error : streams.output)
                else {
                    return nil
                }
                reader.consume(count)
                consumed = true
            }
        }
        return nil
    }

    /// Writes some bytes if the stream takes them now; nil when it does not.
    private mutating func put(_ bytes: [UInt8], to descriptor: Int32) -> Int? {
        if bytes.isEmpty { return 0 }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let limit = min(bytes.count, ConsoleStreams.chunk(descriptor))
        if poll(&entry, 1, 0) > 0 {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, limit) }
            if count > 0 { return count }
            if count < 0 && errno != EAGAIN && errno != EINTR {
                if errno != EPIPE { log.error("output cannot be written: \(errnoText(errno))") }
                outputClosed = true
                return nil
            }
        }
        blocked = descriptor
        return nil
    }

    /// Waits for something to happen and takes it in. True when the user wants the machine gone.
    private mutating func wait(_ signals: borrowing SignalSource, machineEnded: inout Bool) -> Bool
    {
        if !machineEnded { doorbell.connect() }
        func entry(_ descriptor: Int32, _ events: Int32 = POLLIN) -> pollfd {
            pollfd(fd: descriptor, events: Int16(events), revents: 0)
        }
        var entries = [
            entry(signals.descriptor), entry(machineEnded ? -1 : machineEnd),
            entry(doorbell.socket),
            entry(serial.watch), entry(input.pollDescriptor), entry(blocked, POLLOUT),
            entry(ports?.descriptor ?? -1),
        ]
        // Before the doorbell is connected, and as a net below it, look at the ring without being
        // told.
        let isEager =
            (doorbell.socket < 0 || ports?.isReady == false) && !machineEnded || flush != nil
        let patience: Int32 = isEager ? 10 : 250
        guard poll(&entries, nfds_t(entries.count), patience) >= 0 || errno == EINTR else {
            return true
        }
        if entries[1].revents != 0 { machineEnded = true }
        if entries[2].revents != 0 { doorbell.drain() }
        if entries[4].revents != 0 && input.take() { doorbell.ring() }
        while let signal = signals.next() {
            if handle(signal) { return true }
        }
        return false
    }

    /// The first request to stop goes to the program; the second is for the machine.
    private mutating func handle(_ signal: Int32) -> Bool {
        switch signal {
        case SIGWINCH: input.windowSize(of: streams.output)
        case SIGHUP: return true
        default:
            stopRequests += 1
            if stopRequests > 1 || machineEnd < 0 { return true }
            input.send(signal: signal)
            log.notice("told the program (signal \(signal)); once more cuts the power")
        }
        return false
    }
}
