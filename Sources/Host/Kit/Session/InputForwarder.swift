import ABI
import CHostKit
import Glibc

/// Brings standard input into the input ring, as fast as the guest takes it.
///
/// A regular file is remembered with how far it was forwarded, so that `resume` with the same file
/// goes on from there.
struct InputForwarder {
    private let writer: InputWriter
    private let position: ConsolePosition
    private var descriptor: Int32
    /// The regular file that standard input is.
    private var file: (device: UInt64, inode: UInt64)?
    private var offset: UInt64 = 0
    /// Frames that found no room yet.
    private var waiting: [(kind: ConsoleFrame.Input, payload: [UInt8])] = []

    init(descriptor: Int32, writer: InputWriter, position: ConsolePosition) {
        self.descriptor = position.inputEnded ? -1 : descriptor
        self.writer = writer
        self.position = position
        openFile()
    }

    private mutating func openFile() {
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0, status.isRegular else { return }
        let (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        file = (device, inode)
        if let known = position.inputOffset(device: device, inode: inode) {
            lseek(descriptor, off_t(known), SEEK_SET)
        }
        offset = UInt64(max(0, lseek(descriptor, 0, SEEK_CUR)))
        position.noteInput(device: device, inode: inode, offset: offset)
    }

    /// What to poll for input: negative when there is nothing to read or no room to put it.
    var pollDescriptor: Int32 { writer.room >= 4096 && waiting.isEmpty ? descriptor : -1 }

    /// Reads once and writes a frame. True when the guest must be told.
    mutating func take() -> Bool {
        var buffer = [UInt8](repeating: 0, count: max(1, writer.room))
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 {
            if errno != EAGAIN && errno != EINTR { descriptor = -1 }
            return false
        }
        if count == 0 {
            descriptor = -1
            guard writer.write(.endOfInput, []) else { return false }
            position.inputEnded = true
            return true
        }
        guard writer.write(.standardInput, Array(buffer[..<count])) else { return false }
        if let file {
            offset += UInt64(count)
            position.noteInput(device: file.device, inode: file.inode, offset: offset)
        }
        return true
    }

    mutating func send(signal: Int32) {
        waiting.append((.signal, withUnsafeBytes(of: UInt32(bitPattern: signal)) { Array($0) }))
    }

    mutating func windowSize(of terminal: Int32) {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        guard hostkit_window_size(terminal, &rows, &columns) == 0 else { return }
        let payload =
            withUnsafeBytes(of: rows) { Array($0) } + withUnsafeBytes(of: columns) { Array($0) }
        waiting.append((.windowSize, payload))
    }

    /// Writes frames that waited. True when the guest must be told.
    mutating func flush() -> Bool {
        var wrote = false
        while let first = waiting.first, writer.write(first.kind, first.payload) {
            waiting.removeFirst()
            wrote = true
        }
        return wrote
    }
}
