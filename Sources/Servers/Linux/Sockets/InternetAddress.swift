/// An address and port of IPv4 or IPv6. IPv4 is kept as IPv6 has it (::ffff:a.b.c.d).
struct InternetAddress: Equatable {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var port: UInt16 = 0

    static let mappedPrefix: UInt64 = 0xFFFF_0000_0000

    init(high: UInt64 = 0, low: UInt64 = 0, port: UInt16 = 0) {
        self.high = high
        self.low = low
        self.port = port
    }

    static func four(_ address: UInt32, port: UInt16) -> InternetAddress {
        InternetAddress(low: mappedPrefix | UInt64(address), port: port)
    }

    var isFour: Bool { high == 0 && low >> 32 == InternetAddress.mappedPrefix >> 32 }
    var isAny: Bool { high == 0 && (low == 0 || low == InternetAddress.mappedPrefix) }
    /// 127.0.0.0/8 or ::1: all that this machine has.
    var isLoopback: Bool {
        isFour ? low >> 24 & 0xFF == 127 : high == 0 && low == 1
    }
    func isSameHost(as other: InternetAddress) -> Bool { high == other.high && low == other.low }

    /// From a `struct sockaddr_in` or `sockaddr_in6`. EINVAL when it is too short, EAFNOSUPPORT
    /// for another family.
    static func parse(_ bytes: Bytes, _ domain: SocketDomain) throws(Errno) -> InternetAddress {
        guard bytes.count >= 2 else { throw .EINVAL }
        let family = bytes.load16(0)
        if domain == .internet {
            guard bytes.count >= 16 else { throw .EINVAL }
            guard family == SocketDomain.internet.rawValue else { throw .EAFNOSUPPORT }
            return four(bytes.load32(4).byteSwapped, port: bytes.load16(2).byteSwapped)
        }
        guard bytes.count >= 24 else { throw .EINVAL }
        guard family == SocketDomain.internet6.rawValue else { throw .EAFNOSUPPORT }
        return InternetAddress(
            high: bytes.load64(8).byteSwapped, low: bytes.load64(16).byteSwapped,
            port: bytes.load16(2).byteSwapped)
    }

    /// As a socket of a family shows it.
    func encoded(_ domain: SocketDomain) -> Bytes {
        var writer = ByteWriter(capacity: 28)
        writer.put16(domain.rawValue)
        writer.put16(port.byteSwapped)
        if domain == .internet {
            writer.put32(UInt32(truncatingIfNeeded: isFour ? low : 0).byteSwapped)
            writer.zeros(8)
        } else {
            writer.put32(UInt32(0))
            writer.put64(high.byteSwapped)
            writer.put64(low.byteSwapped)
            writer.put32(UInt32(0))
        }
        return writer.bytes
    }

    /// Where a connection or message to this address goes. ENETUNREACH outside of the machine.
    func destination(_ domain: SocketDomain) throws(Errno) -> InternetAddress {
        if isAny {
            return isFour || domain == .internet
                ? .four(0x7F00_0001, port: port) : InternetAddress(low: 1, port: port)
        }
        guard isLoopback else { throw .ENETUNREACH }
        return self
    }
}

/// A socket with a port, until the port is given up: what `PortTable` asks of it.
class InternetSocketName {
    let socket: Socket
    var address: InternetAddress
    var isListening = false

    init(_ socket: Socket, _ address: InternetAddress) {
        self.socket = socket
        self.address = address
    }

    /// Whether it takes what is sent to an address.
    func takes(_ target: InternetAddress) -> Bool {
        if address.isSameHost(as: target) { return true }
        guard address.isAny else { return false }
        if socket.domain == .internet { return target.isFour }
        return !target.isFour || !socket.options.isSixOnly
    }

    func overlaps(_ other: InternetSocketName) -> Bool {
        takes(other.address) || other.takes(address)
            || (address.isAny && other.address.isAny && reachesFour && other.reachesFour)
    }
    private var reachesFour: Bool {
        socket.domain == .internet || !socket.options.isSixOnly
    }
}

/// Who is bound to which port, of TCP or of UDP.
///
/// Invariants: each name is in the list of its port once; `connections` counts accepted sockets
/// that share their listener's port.
final class PortTable {
    struct Port {
        var names: [InternetSocketName] = []
        var connections = 0
    }
    /// Ports that are given to who asks for 0 (ip_local_port_range of ip(7)).
    static let automatic: ClosedRange<UInt16> = 32768...60999

    private var ports = [[Port]?](repeating: nil, count: 256)
    private var next = PortTable.automatic.lowerBound

    func port(_ number: UInt16) -> Port {
        ports[Int(number >> 8)]?[Int(number & 0xFF)] ?? Port()
    }

    func change(_ number: UInt16, _ body: (inout Port) -> Void) {
        var page = ports[Int(number >> 8)] ?? [Port](repeating: Port(), count: 256)
        ports[Int(number >> 8)] = nil
        body(&page[Int(number & 0xFF)])
        ports[Int(number >> 8)] = page
    }

    /// EADDRINUSE unless both sides allow it (SO_REUSEADDR, SO_REUSEPORT of socket(7)).
    func add(_ name: InternetSocketName, isStream: Bool) throws(Errno) {
        if name.address.port == 0 {
            name.address.port = try freePort(from: &next)
        } else {
            let port = port(name.address.port)
            let options = name.socket.options
            if port.connections > 0, !options.reusesAddress { throw .EADDRINUSE }
            for other in port.names where other.overlaps(name) {
                let theirs = other.socket.options
                let bothReuse =
                    options.reusesAddress && theirs.reusesAddress
                    && !(isStream && other.isListening)
                if !bothReuse, !(options.reusesPort && theirs.reusesPort) { throw .EADDRINUSE }
            }
        }
        change(name.address.port) { $0.names.append(name) }
    }

    private func freePort(from next: inout UInt16) throws(Errno) -> UInt16 {
        for _ in PortTable.automatic {
            let number = next
            next =
                number == PortTable.automatic.upperBound
                ? PortTable.automatic.lowerBound : number + 1
            let port = port(number)
            if port.names.isEmpty, port.connections == 0 { return number }
        }
        throw .EADDRINUSE
    }

    func remove(_ name: InternetSocketName) {
        change(name.address.port) { port in port.names.removeAll { $0 === name } }
    }

    /// The listener of an address: one bound to it before one bound to all. Those that share a
    /// port (SO_REUSEPORT) take turns.
    func listener(_ target: InternetAddress) -> Socket? {
        let names = port(target.port).names.filter { $0.isListening && $0.takes(target) }
        guard let found = names.first(where: { $0.address.isSameHost(as: target) }) ?? names.first
        else { return nil }
        if found.socket.options.reusesPort {
            change(target.port) { port in
                port.names.removeAll { $0 === found }
                port.names.append(found)
            }
        }
        return found.socket
    }
}
