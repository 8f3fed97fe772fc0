import ABI
import Glibc
import Testing

@testable import HostKit

/// The inside of the connection rings: a program that sends back what it gets, a kernel that commits,
/// and power cuts. Its state is what a checkpoint saves.
struct EchoInside {
    /// What a kernel could do wrong, for tests of the tests.
    enum Plant: CaseIterable {
        /// Output is released before the version that wrote it is committed.
        case earlyOutput
        /// A restored program does not get again what it had read since.
        case inputNotGivenAgain
        /// A restored program goes on writing behind what it had written since.
        case outputNotTakenBack
    }
    var plant: Plant?
    struct Connection: Equatable {
        var bytes: [UInt8] = []
        var credit = ConnectionFrame.window
        var taken: UInt32 = 0
        var hasEnded = false
    }
    struct State {
        var read: UInt64 = 0
        var written: UInt64 = 0
        var connections: [UInt64: Connection] = [:]
    }

    private let file: MappedFile
    private let outputBase = 0
    private let inputBase = Int(ConnectionFrame.pages) * 4096
    let output: RingView
    let input: RingView
    var running = State()
    private var committed = State()
    /// The outside broke a rule.
    private(set) var isWrong = false

    init(_ scratch: Scratch) throws {
        let size = 2 * Int(ConnectionFrame.pages) * 4096
        let path = scratch.path.appending("rings")
        try Files.replace(path, with: [UInt8](repeating: 0, count: size))
        file = try MappedFile(path, writable: true)
        for base in [outputBase, inputBase] {
            file.store(Ring.magic, at: base + Int(Ring.magicOffset))
            file.store(
                (ConnectionFrame.pages - 1) * 4096, at: base + Int(Ring.capacityOffset))
        }
        let bytes = ConnectionFrame.pages * 4096
        output = try #require(RingView(file, offset: UInt64(outputBase), byteCount: bytes))
        input = try #require(RingView(file, offset: UInt64(inputBase), byteCount: bytes))
    }

    func place(_ word: UInt64, at position: UInt64) {
        output.copyIn(withUnsafeBytes(of: word) { Array($0) }, at: position & ~7)
    }

    func publish(output position: UInt64) {
        file.store(position, at: outputBase + Int(Ring.publishedOffset))
    }

    mutating func commit() {
        committed = running
        publish(output: committed.written)
        file.store(committed.read, at: inputBase + Int(Ring.publishedOffset))
    }

    mutating func restore() {
        let lost = running
        running = committed
        if plant == .inputNotGivenAgain { running.read = lost.read }
        if plant == .outputNotTakenBack { running.written = lost.written }
    }

    private mutating func write(
        _ kind: ConnectionFrame.Output, _ number: UInt64, _ data: [UInt8] = []
    ) -> Bool {
        let length = UInt32(8 + data.count)
        let span = ConsoleFrame.paddedLength(length)
        guard running.written + span - output.remote <= output.capacity else { return false }
        let words = [ConsoleFrame.word(kind: kind.rawValue, length: length), number]
        let head = words.flatMap { word in withUnsafeBytes(of: word) { Array($0) } }
        output.copyIn(head + data, at: running.written)
        running.written += span
        return true
    }

    /// Takes one frame in, or sends something back.
    mutating func step() {
        if !takeFrame() { echo() }
        if plant == .earlyOutput { publish(output: running.written) }
    }

    private mutating func takeFrame() -> Bool {
        guard let header = FrameHeader(input, at: running.read, limit: input.remote) else {
            return false
        }
        let start = running.read
        running.read += header.span
        let number = input.word(start + 8)
        let data = input.copyOut(start + 16, max(0, Int(header.length) - 8))
        switch ConnectionFrame.Input(rawValue: header.kind) {
        case .reset: running.connections = [:]
        case .open:
            isWrong = isWrong || number != start || running.connections[number] != nil
            running.connections[number] = Connection()
        case .data:
            guard var connection = running.connections[number] else { break }
            connection.bytes += data
            connection.taken += UInt32(data.count)
            isWrong = isWrong || connection.taken > ConnectionFrame.window || connection.hasEnded
            running.connections[number] = connection
        case .end: running.connections[number]?.hasEnded = true
        case .abort: running.connections[number] = nil
        case .window:
            let count = data.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            running.connections[number]?.credit += count
        case nil: isWrong = true
        }
        return true
    }

    private mutating func echo() {
        for (number, connection) in running.connections.sorted(by: { $0.key < $1.key }) {
            var connection = connection
            let count = min(connection.bytes.count, Int(connection.credit), 5000)
            if count > 0 {
                guard write(.data, number, Array(connection.bytes[..<count])) else { return }
                connection.bytes.removeFirst(count)
                connection.credit -= UInt32(count)
                running.connections[number] = connection
            }
            let read = connection.taken - UInt32(connection.bytes.count)
            if read >= ConnectionFrame.window / 2 {
                guard write(.window, number, withUnsafeBytes(of: read) { Array($0) }) else {
                    return
                }
                connection.taken -= read
                running.connections[number] = connection
            }
            if connection.hasEnded, connection.bytes.isEmpty {
                guard write(.close, number) else { return }
                running.connections[number] = nil
            }
        }
    }
}

/// A client that expects back what it sent, and then the end.
struct TestClient {
    private var socket: Int32
    private let bytes: [UInt8]
    private var sent = 0
    private var received = 0
    private var hasEnded = false
    private(set) var isFinished = false
    private(set) var isRight = true

    init(_ port: UInt16, goal: Int, seed: UInt64) {
        socket = TestClient.connect(port)
        var random = Seeded(seed)
        bytes = (0..<goal).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    static func connect(_ port: UInt16) -> Int32 {
        let client = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = port.bigEndian
        withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = Glibc.connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return client
    }

    mutating func step(_ random: inout Seeded) {
        if isFinished { return }
        let now = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        if sent < bytes.count {
            let wanted = min(bytes.count - sent, Int.random(in: 1...20_000, using: &random))
            let count = bytes.withUnsafeBytes {
                send(socket, $0.baseAddress.map { $0 + sent }, wanted, now)
            }
            if count > 0 { sent += count } else { isRight = errno == EAGAIN }
        } else if !hasEnded {
            shutdown(socket, Int32(SHUT_WR))
            hasEnded = true
        }
        var buffer = [UInt8](repeating: 0, count: Int.random(in: 1...20_000, using: &random))
        let count = recv(socket, &buffer, buffer.count, now)
        if count > 0 {
            isRight =
                received + count <= sent
                && buffer[..<count] == bytes[received..<(received + count)]
            received += count
        } else if count == 0 {
            isFinished = true
            isRight = received == bytes.count && hasEnded
            close(socket)
        } else if errno != EAGAIN {
            isRight = false
        }
    }
}
