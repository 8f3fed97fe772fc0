/// A published port, `[ADDRESS:]HOST:GUEST[/tcp]`: who connects to the host's port reaches the
/// guest's.
public struct PortMapping: Equatable, Sendable, CustomStringConvertible {
    /// Numeric; an IPv6 address stands in brackets in the text.
    public var address: String
    /// 0: any that is free.
    public var hostPort: UInt16
    public var guestPort: UInt16

    public init?(_ text: String) {
        var rest = Substring(text)
        if rest.hasSuffix("/tcp") { rest = rest.dropLast(4) }
        guard let guest = rest.lastIndex(of: ":"),
            let guestPort = UInt16(rest[rest.index(after: guest)...]), guestPort > 0
        else { return nil }
        rest = rest[..<guest]
        var address: Substring = "127.0.0.1"
        if let host = rest.lastIndex(of: ":") {
            address = rest[..<host]
            rest = rest[rest.index(after: host)...]
            if address.hasPrefix("[") && address.hasSuffix("]") {
                address = address.dropFirst().dropLast()
            } else if address.contains(":") {
                return nil
            }
        }
        guard let hostPort = UInt16(rest), !address.isEmpty else { return nil }
        self.address = String(address)
        self.hostPort = hostPort
        self.guestPort = guestPort
    }

    /// The host's side.
    public var host: String {
        (address.contains(":") ? "[\(address)]" : address) + ":\(hostPort)"
    }
    public var description: String { "\(host):\(guestPort)" }
}
