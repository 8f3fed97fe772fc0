import CHostKit
import Glibc
import SystemPackage

/// The socket behind the machine's second serial port: a byte from either side says that a ring
/// pointer moved.
struct Doorbell: ~Copyable {
    private let directory: FileDescriptor
    /// Negative until the machine has made the socket.
    private(set) var socket: Int32 = -1

    init(_ store: StoreDirectory) throws(HostError) {
        directory = try Files.open(store.path, .readOnly, options: .directory)
    }

    /// Tries to connect, once; a new connection rings at once, for whatever was written before.
    mutating func connect() {
        guard socket < 0 else { return }
        socket = hostkit_connect(directory.rawValue, StoreDirectory.doorbellName)
        if socket >= 0 { ring() }
    }

    /// Tells the guest. A full socket holds unread rings already.
    func ring() {
        guard socket >= 0 else { return }
        var byte: UInt8 = 1
        _ = send(socket, &byte, 1, Int32(MSG_NOSIGNAL))
    }

    /// Takes the rings that arrived. A connection that ended is dropped.
    mutating func drain() {
        guard socket >= 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) {
            close(socket)
            socket = -1
        }
    }

    deinit {
        if socket >= 0 { close(socket) }
        try? directory.close()
    }
}
