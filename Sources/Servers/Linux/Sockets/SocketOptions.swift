/// What setsockopt(2) keeps (socket(7), tcp(7), ip(7), ipv6(7)).
struct SocketOptions {
    /// Bytes, as Linux doubles and reports them.
    var sendBuffer = 212_992, receiveBuffer = 212_992
    var reusesAddress = false, reusesPort = false
    /// Seconds; nil: off. 0 makes close(2) reset the connection.
    var linger: UInt32?
    var passesCredentials = false
    var isSixOnly = false
    /// SO_RCVLOWAT.
    var lowWater = 1
    /// Nanoseconds; 0: forever.
    var receiveTimeout: UInt64 = 0, sendTimeout: UInt64 = 0
    /// Options that loopback has no use for but shows again, by level and name.
    var kept: [(level: Int32, name: Int32, value: Int32)] = []

    /// The value that was set; nil: never.
    func keptValue(_ level: Int32, _ name: Int32) -> Int32? {
        kept.first { $0.level == level && $0.name == name }?.value
    }

    mutating func keep(_ level: Int32, _ name: Int32, _ value: Int32) {
        if let index = kept.firstIndex(where: { $0.level == level && $0.name == name }) {
            kept[index].value = value
        } else {
            kept.append((level, name, value))
        }
    }
}
