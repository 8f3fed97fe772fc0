import ABI

/// The memory devices of null(4), full(4) and random(4).
final class DeviceFile: OpenFile {
    enum Kind { case null, zero, full, random }
    private let kind: Kind

    /// nil for a device number that no driver here has.
    static func kind(of deviceNumber: UInt64) -> Kind? {
        switch deviceNumber {
        case 0x103: .null
        case 0x105: .zero
        case 0x107: .full
        case 0x108, 0x109: .random
        default: nil
        }
    }

    init(server: Server, inode: Inode, path: Bytes, flags: UInt32, kind: Kind) {
        self.kind = kind
        super.init(server: server, inode: inode, path: path, flags: flags)
    }

    override func read(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if kind == .null { return 0 }
        let memory = GuestMemory(space: transfer.memory.slot)
        var done: UInt64 = 0
        while done < transfer.count {
            let part = Int(min(transfer.count - done, 4096))
            let bytes =
                kind == .random ? server.random.bytes(part) : Bytes(repeating: 0, count: part)
            let moved = memory.writeSome(bytes, to: transfer.memory.address &+ done)
            done = done &+ UInt64(moved)
            if moved < part { break }
        }
        if done == 0, transfer.count > 0 { throw .EFAULT }
        return done
    }

    override func write(_ transfer: Transfer, _ thread: GuestThread) throws(Errno) -> UInt64 {
        if kind == .full { throw .ENOSPC }
        return transfer.count
    }

    override func seek(_ offset: Int64, whence: UInt32) throws(Errno) -> UInt64 { 0 }
    override var isSeekable: Bool { true }
}
