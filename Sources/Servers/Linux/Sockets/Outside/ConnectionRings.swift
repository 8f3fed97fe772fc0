import ABI

/// The inside of the connection rings (`ConnectionFrame`): clients of published ports.
///
/// Everything is taken out of the input ring at once; what a program has not read waits in its
/// socket, at most a window of it. Positions in the rings are part of each version, so a restored
/// machine reads again what it had not read in that version, and what it wrote since was never
/// published.
///
/// Invariants: `ends` is sorted by number and holds what is not over yet; an end is in `waiting` once
/// exactly when its `isWaiting` is set.
final class ConnectionRings {
    /// Where the rings are in the server's memory: above the table of missing paths.
    private static let outputAddress: UInt64 = 0x23_0000_0000
    private static let inputAddress: UInt64 = 0x24_0000_0000
    /// Room for any frame without data.
    static let smallFrame: UInt64 = 64

    private let server: Server
    private let output: SharedRing
    private let input: SharedRing
    private(set) var ends: [OutsideEnd] = []
    /// Ends with something to say that wait for room in the ring.
    private var waiting = Queue<OutsideEnd>()
    private(set) var isDamaged = false

    /// Throws when the store has no room for the rings.
    init(_ server: Server) throws(Errno) {
        self.server = server
        output = try ConnectionRings.make(
            ConnectionFrame.outputRing, at: ConnectionRings.outputAddress)
        input = try ConnectionRings.make(
            ConnectionFrame.inputRing, at: ConnectionRings.inputAddress)
    }

    private static func make(_ number: UInt64, at address: UInt64) throws(Errno) -> SharedRing {
        let system = UInt64(RootSlot.system.value)
        let made = Native.call(.ringCreate, system, number, ConnectionFrame.pages)
        return try SharedRing(slot: try Native.slot(made), address: address)
    }

    /// The outside has read or written.
    func look() {
        readInput()
        for _ in 0..<waiting.count {
            guard hasRoom, let end = waiting.popFirst() else { return }
            end.isWaiting = false
            end.speak()
        }
        // An answer may have waited for that room.
        readInput()
    }

    // MARK: Output

    var hasRoom: Bool { output.room >= ConnectionRings.smallFrame }
    /// Bytes of data that one frame may take now.
    var dataRoom: Int {
        let room = output.room
        if room < ConnectionRings.smallFrame { return 0 }
        return min(ConnectionFrame.maximumData, Int(room - 32))
    }

    /// Has an end speak once there is room.
    func wait(_ end: OutsideEnd) {
        if end.isWaiting { return }
        end.isWaiting = true
        waiting.append(end)
    }

    /// Writes a frame, for which there is room.
    func write(
        _ kind: ConnectionFrame.Output, _ number: UInt64, _ data: UnsafeRawPointer? = nil,
        count: Int = 0
    ) {
        let start = output.local
        let length = UInt32(8 + count)
        output.storeWord(ConsoleFrame.word(kind: kind.rawValue, length: length), at: start)
        output.storeWord(number, at: start &+ 8)
        if let data { output.put(data, count: count, at: start &+ 16) }
        output.local = start &+ ConsoleFrame.paddedLength(length)
    }

    func writeWindow(_ number: UInt64, _ count: UInt32) {
        withUnsafeBytes(of: count) { write(.window, number, $0.baseAddress, count: 4) }
    }

    // MARK: Input

    private func readInput() {
        // A frame may have to be answered with one.
        while !isDamaged, hasRoom, input.available >= 8 {
            let start = input.local
            let word = input.loadWord(at: start)
            let length = ConsoleFrame.length(word)
            let span = ConsoleFrame.paddedLength(length)
            guard length <= ConsoleFrame.maximumPayload, input.available >= span,
                let kind = ConnectionFrame.Input(rawValue: ConsoleFrame.kind(word)),
                kind == .reset || length >= 8
            else { return damaged() }
            take(kind, at: start, Int(length))
            input.local = start &+ span
        }
    }

    /// Nothing can be believed that comes behind a bad frame.
    private func damaged() {
        isDamaged = true
        server.console.diagnostic("the ring of connections is damaged: all were reset")
        resetAll()
    }

    private func take(_ kind: ConnectionFrame.Input, at start: UInt64, _ length: Int) {
        if kind == .reset {
            let count = resetAll()
            if count > 0 { report(count) }
            return
        }
        let number = input.loadWord(at: start &+ 8)
        if kind == .open {
            guard number == start, length == Int(ConnectionFrame.openLength) else {
                return damaged()
            }
            return open(number)
        }
        guard let end = find(number) else { return }
        switch kind {
        case .data: takeData(end, at: start &+ 16, length - 8)
        case .end: end.endReceived()
        case .abort: end.over(.ECONNRESET)
        case .window:
            end.granted(UInt32(truncatingIfNeeded: input.loadWord(at: start &+ 16)))
        case .open, .reset: break
        }
    }

    private func takeData(_ end: OutsideEnd, at position: UInt64, _ count: Int) {
        let isTaken = end.received(count) { target, done, part in
            input.take(target, count: part, at: position &+ UInt64(done))
        }
        // More than was granted.
        if !isTaken { end.abort() }
    }

    /// A client wants to reach a port: as on a host, it is connected before accept(2).
    private func open(_ number: UInt64) {
        let ports = input.loadWord(at: number &+ 16)
        let port = UInt16(truncatingIfNeeded: ports)
        var client = InternetAddress(
            high: input.loadWord(at: number &+ 24), low: input.loadWord(at: number &+ 32),
            port: UInt16(truncatingIfNeeded: ports >> 16))
        // A program that knows no IPv6 must be told something.
        if client.isLoopback { client = .four(0x7F00_0001, port: client.port) }
        let streams = server.sockets.streams
        for target in [.four(0x7F00_0001, port: port), InternetAddress(low: 1, port: port)] {
            guard ends.count < ConnectionFrame.maximumConnections,
                let listener = streams.listener(target) as? ConnectionSocket
            else { continue }
            let end = OutsideEnd(server, self, number, from: client, to: target)
            end.use()
            if listener.admit(end, SenderCredentials(process: 0)) {
                ends.append(end)
                return
            }
            end.drop()
        }
        write(.abort, number)
    }

    /// The first index whose number is not below `number`.
    private func index(_ number: UInt64) -> Int {
        var low = 0
        var high = ends.count
        while low < high {
            let middle = (low + high) / 2
            if ends[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func find(_ number: UInt64) -> OutsideEnd? {
        let index = index(number)
        return index < ends.count && ends[index].number == number ? ends[index] : nil
    }

    func remove(_ end: OutsideEnd) {
        let index = index(end.number)
        if index < ends.count, ends[index] === end { ends.remove(at: index) }
    }

    /// Ends all connections without telling the outside; how many.
    @discardableResult
    private func resetAll() -> Int {
        let old = ends
        ends = []
        for end in old { end.over(.ECONNRESET) }
        return old.count
    }

    private func report(_ count: Int) {
        var text = Bytes()
        text.append(decimal: UInt64(count))
        text.append(
            count == 1
                ? " connection was reset: the command that held it is gone"
                : " connections were reset: the command that held them is gone")
        server.console.diagnostic(text)
    }
}
