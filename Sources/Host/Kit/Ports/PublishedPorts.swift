import ABI
import CHostKit
import Glibc
import Logging

/// Published ports: the host's sockets, joined with the connection rings of the store.
///
/// The machine may come and go meanwhile: what it published before its last commit leaves once, what
/// it had not read in that version it finds in the input ring again. A connection ends with this
/// object, in a reset.
///
/// Invariants: `connections` holds every number that the inside may still speak of and that is not
/// over; a connection is in `speakers` or `readers` once exactly when its flag says so.
public final class PublishedPorts {
    private struct Listener {
        var socket: Int32
        var guestPort: UInt16
        var isReadable = true
    }
    /// Tags of listeners are odd, those of connections multiples of 8.
    private static func tag(_ index: Int) -> UInt64 { UInt64(index) << 1 | 1 }

    /// Readable when there is something to do.
    public let descriptor: Int32
    private let log: Logger
    private let maximumConnections: Int
    private var listeners: [Listener] = []
    private var file: MappedFile?
    private var name = ""
    private var rings: ConnectionRingPair?
    private(set) var connections: [UInt64: HostConnection] = [:]
    /// Connections with something to say inside, and those that may have bytes to read.
    private var speakers: [HostConnection] = []
    private var readers: [HostConnection] = []
    private var hasMoved = false

    /// Takes the host's ports; nil when there are none to take. Throws `portUnusable`.
    public init?(_ mappings: [PortMapping], log: Logger) throws(HostError) {
        if mappings.isEmpty { return nil }
        self.log = log
        maximumConnections = PublishedPorts.descriptorLimit()
        descriptor = hostkit_epoll()
        for mapping in mappings {
            let socket = hostkit_listen(mapping.address, mapping.hostPort)
            guard socket >= 0 else {
                throw .portUnusable(
                    port: mapping.host, reason: PublishedPorts.reason(-socket, mapping))
            }
            hostkit_epoll_add(descriptor, socket, PublishedPorts.tag(listeners.count))
            listeners.append(Listener(socket: socket, guestPort: mapping.guestPort))
            if mapping.hostPort == 0 {
                var chosen = mapping
                chosen.hostPort = hostkit_local_port(socket)
                log.notice("port \(mapping.guestPort) is published as \(chosen.host)")
            }
        }
    }

    private static func reason(_ number: Int32, _ mapping: PortMapping) -> String {
        switch number {
        case EADDRINUSE: "another machine or program has it; name another port with -p"
        case EINVAL: "'\(mapping.address)' is not a numeric address"
        default: errnoText(number)
        }
    }

    /// Raises the limit of open files as far as it goes; how many connections there may be.
    private static func descriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 512
        }
        let wanted = rlim_t(ConnectionFrame.maximumConnections + 128)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = min(wanted, limit.rlim_max)
            _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return min(Int(limit.rlim_cur) - 128, ConnectionFrame.maximumConnections)
    }

    /// The store that the machine will run on.
    public func attach(_ file: MappedFile, _ name: String) {
        self.file = file
        self.name = name
    }

    /// Joins rings directly (tests).
    func join(output: RingView, input: RingView) {
        rings = ConnectionRingPair(output: output, input: input)
        begin()
    }

    /// The machine has rings for connections.
    var isReady: Bool { rings != nil }

    /// The connections of whoever held the rings before are gone, and what was said of them too.
    private func begin() {
        guard let rings else { return }
        rings.output.remote = rings.output.published
        hasMoved = true
        isResetOwed = true
    }
    private var isResetOwed = false

    // MARK: Serving

    /// Moves everything that can be moved now. True: the inside must be told.
    public func serve() throws(HostError) -> Bool {
        takeEvents()
        if rings == nil, let file {
            rings = ConnectionRingPair(file)
            begin()
        }
        guard let rings else { return false }
        defer { hasMoved = false }
        if isResetOwed, write(.reset, number: nil) { isResetOwed = false }
        try takeOutput(rings)
        if isResetOwed { return hasMoved }
        speak(rings)
        read(rings)
        speak(rings)
        accept(rings)
        return hasMoved
    }

    private func takeEvents() {
        var tags = [UInt64](repeating: 0, count: 64)
        var events = [UInt8](repeating: 0, count: 64)
        var count: Int32
        repeat {
            count = hostkit_epoll_take(descriptor, &tags, &events, 64)
            for index in 0..<Int(count) {
                let tag = tags[index]
                if tag & 1 == 1 {
                    listeners[Int(tag >> 1)].isReadable = true
                } else if let connection = connections[tag] ?? closing[tag] {
                    take(events[index], connection)
                }
            }
        } while count == 64
    }

    private func take(_ events: UInt8, _ connection: HostConnection) {
        if events & 1 != 0 {
            connection.isReadable = true
            wantRead(connection)
        }
        if events & 2 != 0 { connection.becameWritable() }
        if events & 4 != 0 { connection.failed() }
        settle(connection)
    }

    /// Takes all that was published, whoever it is for.
    private func takeOutput(_ rings: ConnectionRingPair) throws(HostError) {
        let ring = rings.output
        let published = ring.published
        var position = ring.remote
        while position != published {
            guard let header = FrameHeader(ring, at: position, limit: published) else {
                throw damaged("the frame at \(position) is not whole")
            }
            guard let kind = ConnectionFrame.Output(rawValue: header.kind), header.length >= 8
            else {
                throw damaged("a frame at \(position) has the unknown kind \(header.kind)")
            }
            if let connection = connections[ring.word(position &+ 8)] {
                let bytes = ring.copyOut(position &+ 16, Int(header.length) - 8)
                try take(kind, bytes, connection)
            }
            position &+= header.span
            ring.remote = position
            hasMoved = true
        }
    }

    private func take(
        _ kind: ConnectionFrame.Output, _ bytes: [UInt8], _ connection: HostConnection
    ) throws(HostError) {
        switch kind {
        case .data:
            guard connection.send(bytes) else {
                throw damaged("connection \(connection.number) was sent more than was granted")
            }
        case .end: connection.end(.end)
        case .close:
            connection.hasEnded = true
            connection.end(.close)
            // The inside knows it no more.
            connections[connection.number] = nil
            if !connection.isClosed { closing[connection.number] = connection }
        case .abort:
            connection.close(isOrderly: false)
            connections[connection.number] = nil
        case .window:
            guard bytes.count == 4 else { throw damaged("a window of \(bytes.count) bytes") }
            let count = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            guard count <= ConnectionFrame.window - connection.credit else {
                throw damaged("connection \(connection.number) was granted too much")
            }
            connection.credit += count
            wantRead(connection)
        }
        settle(connection)
    }
    /// Connections that are over for the inside, with bytes that their clients have not taken.
    private var closing: [UInt64: HostConnection] = [:]

    private func damaged(_ reason: String) -> HostError {
        .consoleDamaged(path: name, reason: "ring of connections: \(reason)")
    }

    /// After something changed: queues what is to be said.
    private func settle(_ connection: HostConnection) {
        guard connections[connection.number] != nil else {
            if connection.isClosed { closing[connection.number] = nil }
            return
        }
        if connection.hasToSay, !connection.isSpeaking {
            connection.isSpeaking = true
            speakers.append(connection)
        }
    }

    private func wantRead(_ connection: HostConnection) {
        if connection.isReading || connection.isClosed || connection.hasEnded { return }
        if connection.credit == 0 || !connection.isReadable { return }
        connection.isReading = true
        readers.append(connection)
    }

    private func write(_ kind: ConnectionFrame.Input, number: UInt64?, _ data: [UInt8] = [])
        -> Bool
    {
        guard let rings else { return false }
        let head = number.map { withUnsafeBytes(of: $0) { Array($0) } } ?? []
        guard rings.input.write(kind: kind.rawValue, head + data) else { return false }
        hasMoved = true
        return true
    }

    private func speak(_ rings: ConnectionRingPair) {
        var index = 0
        while index < speakers.count, say(speakers[index]) {
            speakers[index].isSpeaking = false
            index += 1
        }
        speakers.removeFirst(index)
    }

    /// False: no room.
    private func say(_ connection: HostConnection) -> Bool {
        guard connections[connection.number] != nil else { return true }
        if connection.owesAbort {
            guard write(.abort, number: connection.number) else { return false }
            connections[connection.number] = nil
            return true
        }
        if connection.owesGrant {
            let count = withUnsafeBytes(of: connection.delivered) { Array($0) }
            guard write(.window, number: connection.number, count) else { return false }
            connection.saidGrant()
        }
        if connection.owesEnd {
            guard write(.end, number: connection.number) else { return false }
            connection.owesEnd = false
        }
        return true
    }

    /// Reads clients in turn, a frame of each, as far as there is room.
    private func read(_ rings: ConnectionRingPair) {
        var index = 0
        while index < readers.count {
            let connection = readers[index]
            let room = min(rings.input.room - 8, ConnectionFrame.maximumData)
            if room < 1024 { break }
            index += 1
            connection.isReading = false
            guard connections[connection.number] != nil, connection.credit > 0 else { continue }
            if let bytes = connection.receive(limit: min(room, Int(connection.credit))) {
                connection.credit -= UInt32(bytes.count)
                _ = write(.data, number: connection.number, bytes)
                wantRead(connection)
            }
            settle(connection)
        }
        readers.removeFirst(index)
    }

    private func accept(_ rings: ConnectionRingPair) {
        for index in listeners.indices {
            while listeners[index].isReadable, makePlace(),
                rings.input.room >= Int(ConnectionFrame.openLength)
            {
                var address: (UInt64, UInt64) = (0, 0)
                var port: UInt16 = 0
                let socket = withUnsafeMutablePointer(to: &address) {
                    $0.withMemoryRebound(to: UInt64.self, capacity: 2) {
                        hostkit_accept(listeners[index].socket, $0, &port)
                    }
                }
                if socket < 0 {
                    if socket == -EAGAIN { listeners[index].isReadable = false }
                    break
                }
                open(socket, address, port, listeners[index].guestPort, rings)
            }
        }
    }

    /// False: there may be no more connections now. Those whose clients take nothing any more go
    /// first, the oldest before the others.
    private func makePlace() -> Bool {
        if connections.count + closing.count < maximumConnections { return true }
        guard let oldest = closing.keys.min() else { return false }
        closing.removeValue(forKey: oldest)?.close(isOrderly: false)
        return true
    }

    private func open(
        _ socket: Int32, _ address: (UInt64, UInt64), _ port: UInt16, _ guestPort: UInt16,
        _ rings: ConnectionRingPair
    ) {
        let number = rings.input.ring.remote
        let ports = UInt64(guestPort) | UInt64(port) << 16
        let data = [ports, address.0, address.1].flatMap { withUnsafeBytes(of: $0) { Array($0) } }
        let connection = HostConnection(number: number, socket: socket)
        guard write(.open, number: number, data) else { return }
        connections[number] = connection
        hostkit_epoll_add(descriptor, socket, number)
        wantRead(connection)
    }

    // MARK: The end

    /// Ends all connections. After the program's own end clients get what it sent, as from a host,
    /// but for those that have not taken it after five seconds; otherwise they are reset, and the
    /// inside is told for the case that the machine goes on.
    public func finish(isOrderly: Bool) {
        if isOrderly {
            for _ in 0..<500 {
                _ = try? serve()
                let rest = [connections, closing].flatMap(\.values).filter { $0.unsentCount > 0 }
                if rest.isEmpty { break }
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                poll(&entry, 1, 10)
            }
        } else {
            _ = write(.reset, number: nil)
        }
        for connection in [connections, closing].flatMap(\.values) {
            connection.close(isOrderly: isOrderly && connection.unsentCount == 0)
        }
        connections = [:]
        closing = [:]
    }

    deinit {
        for listener in listeners { close(listener.socket) }
        close(descriptor)
    }
}
