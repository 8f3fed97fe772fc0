import ABI

/// The files of /proc/net (proc(5)).
enum NetworkItem: CaseIterable {
    case devices, addresses6, streams, streams6, datagrams, datagrams6, unix

    var name: StaticString {
        switch self {
        case .devices: "dev"
        case .addresses6: "if_inet6"
        case .streams: "tcp"
        case .streams6: "tcp6"
        case .datagrams: "udp"
        case .datagrams6: "udp6"
        case .unix: "unix"
        }
    }
}

/// One such file: its text is made at each read.
final class NetworkFile: GeneratedNode {
    private let item: NetworkItem
    private let information: ProcessInformation

    init(_ item: NetworkItem, _ information: ProcessInformation) {
        self.item = item
        self.information = information
        super.init()
    }

    override func text(_ caller: Caller) throws(Errno) -> Bytes { information.network(item) }
}

extension SocketTable {
    func text(_ item: NetworkItem) -> Bytes {
        switch item {
        case .devices: deviceText
        case .addresses6: .text("00000000000000000000000000000001 01 80 10 80       lo\n")
        case .streams: internetText(.internet, .stream)
        case .streams6: internetText(.internet6, .stream)
        case .datagrams: internetText(.internet, .datagram)
        case .datagrams6: internetText(.internet6, .datagram)
        case .unix: unixText
        }
    }

    /// Packets are not counted: there are none.
    private var deviceText: Bytes {
        var text = Bytes.text("Inter-|   Receive                                                |")
        text.append(
            "  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|")
        text.append("bytes    packets errs drop fifo colls carrier compressed\n    lo:")
        for _ in 0..<16 { text.append(" 0") }
        text.append("\n")
        return text
    }

    private func internetText(_ domain: SocketDomain, _ kind: SocketKind) -> Bytes {
        var text = Bytes.text("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when ")
        text.append("retrnsmt   uid  timeout inode\n")
        var index: UInt64 = 0
        for socket in all
        where socket.domain == domain && socket.kind == kind && !socket.isOutside {
            text.append(decimal: index, width: 4)
            text.append(": ")
            append(socket.localName, domain, to: &text)
            text.append(" ")
            append((try? socket.peerName()) ?? [], domain, to: &text)
            text.append(" ")
            appendDigits(state(socket), 2, to: &text)
            text.append(" 00000000:")
            appendDigits(UInt64(socket.received.byteCount), 8, to: &text)
            text.append(" 00:00000000 00000000 ")
            text.append(decimal: UInt64(socket.inode?.owner ?? 0), width: 5)
            text.append("        0 ")
            text.append(decimal: socket.inode?.number ?? 0)
            text.append(" 1 0000000000000000\n")
            index += 1
        }
        return text
    }

    /// An address as its words are in memory, and the port.
    private func append(_ name: Bytes, _ domain: SocketDomain, to text: inout Bytes) {
        let words = domain == .internet ? [4] : [8, 12, 16, 20]
        for place in words { appendDigits(UInt64(name.load32(place)), 8, to: &text) }
        text.append(":")
        appendDigits(UInt64(name.load16(2).byteSwapped), 4, to: &text)
    }

    /// Hexadecimal with capital letters, as these files have them.
    private func appendDigits(_ value: UInt64, _ width: Int, to text: inout Bytes) {
        var digits = Bytes()
        digits.append(hexadecimal: value, width: width)
        for digit in digits { text.append(digit >= UInt8(ascii: "a") ? digit - 32 : digit) }
    }

    /// ESTABLISHED, CLOSE, CLOSE_WAIT, LISTEN, FIN_WAIT2, SYN_SENT.
    private func state(_ socket: Socket) -> UInt64 {
        guard let stream = socket as? ConnectionSocket else {
            return (try? socket.peerName()) != nil ? 1 : 7
        }
        switch stream.state {
        case .connected: return stream.isEnded ? 8 : (stream.isSendShut ? 5 : 1)
        case .listening: return 10
        case .connecting: return 2
        case .idle, .closed: return 7
        }
    }

    private var unixText: Bytes {
        var text = Bytes.text("Num       RefCount Protocol Flags    Type St Inode Path\n")
        for socket in all where socket.domain == .unix {
            text.append("0000000000000000: ")
            text.append(hexadecimal: UInt64(max(socket.useCount, 0)), width: 8)
            text.append(" 00000000 ")
            text.append(socket.isListening ? "00010000 " : "00000000 ")
            text.append(hexadecimal: UInt64(socket.kind.rawValue), width: 4)
            let isConnected = (try? socket.peerName()) != nil
            text.append(isConnected ? " 03 " : " 01 ")
            text.append(decimal: socket.inode?.number ?? 0, width: 5)
            let name = socket.localName.dropFirst(2)
            if !name.isEmpty { text.append(" ") }
            for byte in name where !(byte == 0 && name.first != 0) {
                text.append(byte == 0 ? UInt8(ascii: "@") : byte)
            }
            text.append("\n")
        }
        return text
    }
}
