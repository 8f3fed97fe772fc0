import ABI

/// The far end of a connection from outside of the machine: what a program sends to it goes into the
/// ring as far as the window and the ring allow, and waits in `received` until then.
///
/// Invariants: `peer` is the socket that a program accepted or will accept, until that is closed;
/// the end is in `ConnectionRings.ends`, and used once by it, until it is over.
final class OutsideEnd: ConnectionSocket {
    /// States in which there is still something to tell the outside.
    private enum Farewell { case none, end, close, abort, said }

    let number: UInt64
    private let rings: ConnectionRings
    private var client = InternetAddress()
    private var reached = InternetAddress()
    /// Bytes that may still be sent to the outside.
    private var credit = ConnectionFrame.window
    /// Bytes that came, and of those how many were granted again. Both wrap.
    private var arrived: UInt32 = 0
    private var regranted: UInt32 = 0
    private var farewell = Farewell.none
    private var isOver = false
    var isWaiting = false

    init(
        _ server: Server, _ rings: ConnectionRings, _ number: UInt64, from client: InternetAddress,
        to reached: InternetAddress
    ) {
        self.number = number
        self.rings = rings
        self.client = client
        self.reached = reached
        super.init(
            server: server, owner: SenderCredentials(process: 0), .internet, .stream,
            protocolNumber: 6, flags: 0)
        options.receiveBuffer = 131_072
    }

    override var isOutside: Bool { true }
    override var source: InternetAddress? { client }
    override var target: InternetAddress? { reached }

    // MARK: From the program

    /// The program has sent, or will send no more.
    override func changed(_ events: UInt32) {
        if isEnded, farewell == .none { farewell = .end }
        speak()
    }

    override func peerHasRead() { speak() }

    override func peerClosed(hasUnread: Bool) {
        farewell = hasUnread ? .abort : .close
        speak()
    }

    /// The listener went before anyone accepted.
    override func reset(_ error: Errno) {
        super.reset(error)
        farewell = .abort
        speak()
    }

    /// Ends both sides: the outside broke the rules.
    func abort() {
        let other = peer
        peer = nil
        other?.reset(.ECONNRESET)
        farewell = .abort
        speak()
    }

    /// Says what there is to say, as far as there is room.
    func speak() {
        if isOver { return }
        if farewell == .abort {
            guard rings.hasRoom else { return rings.wait(self) }
            rings.write(.abort, number)
            return over(nil)
        }
        guard grant(), sendData() else { return rings.wait(self) }
        guard received.isEmpty, farewell == .end || farewell == .close else { return }
        guard rings.hasRoom else { return rings.wait(self) }
        if farewell == .close {
            rings.write(.close, number)
            over(nil)
        } else {
            rings.write(.end, number)
            farewell = .said
        }
    }

    /// Grants what the program has read, when it is worth a frame. False: no room.
    private func grant() -> Bool {
        guard let peer else { return true }
        let read = arrived &- regranted &- UInt32(peer.received.byteCount)
        if read < ConnectionFrame.window / 2 { return true }
        guard rings.hasRoom else { return false }
        rings.writeWindow(number, read)
        regranted = regranted &+ read
        return true
    }

    /// False: no room.
    private func sendData() -> Bool {
        var hasSent = false
        defer { if hasSent, let peer { peer.peerHasRead() } }
        while credit > 0, let segment = received.first {
            let part = min(segment.count, Int(credit), rings.dataRoom)
            if part == 0 { return false }
            rings.write(.data, number, segment.base + segment.start, count: part)
            received.consume(part)
            credit -= UInt32(part)
            hasSent = true
        }
        return true
    }

    // MARK: From outside

    /// The outside has taken bytes.
    func granted(_ count: UInt32) {
        credit = min(credit &+ min(count, ConnectionFrame.window), ConnectionFrame.window)
        speak()
    }

    /// Bytes have come. False when they are more than was granted.
    func received(_ count: Int, copy: (UnsafeMutableRawPointer, Int, Int) -> Void) -> Bool {
        guard UInt32(count) <= ConnectionFrame.window &- (arrived &- regranted) else {
            return false
        }
        arrived = arrived &+ UInt32(count)
        guard let peer, count > 0 else { return true }
        peer.received.append(count, SenderCredentials(process: 0), copy: copy)
        peer.changed(PollEvents.readable)
        return true
    }

    func endReceived() {
        guard let peer else { return }
        peer.isEnded = true
        peer.changed(PollEvents.readable | PollEvents.readHangup)
    }

    /// The connection is over; the program, if it still has its end, gets an error.
    func over(_ error: Errno?) {
        if isOver { return }
        isOver = true
        rings.remove(self)
        if let error, let other = peer {
            peer = nil
            other.reset(error)
        }
        drop()
    }
}
