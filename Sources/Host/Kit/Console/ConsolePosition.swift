import Glibc
import SystemPackage

/// How much of the console's output was printed, and of the input taken: `console.position`, a page
/// that is mapped shared, so that a killed command leaves behind what it had done to the last byte.
///
/// `cursor` is one word on purpose: a position in the output ring. Inside a frame it means that the
/// payload before it was printed; at a frame's start, nothing of the frame. The ring's own `remote`
/// pointer is always a frame's start, at or before the cursor.
public final class ConsolePosition {
    private static let magic: UInt64 = 0x534F_5056_4556_4545
    private enum Word: Int {
        case magic = 0
        case cursor, inputEnded, inputDevice, inputInode, inputOffset
    }
    private let file: MappedFile

    /// Opens the file, or makes it with these values when there is none or it is not whole.
    public init(_ path: FilePath, initialCursor: UInt64) throws(HostError) {
        let isWhole = Files.status(path).map { $0.st_size == 4096 } ?? false
        if !isWhole { try Files.replace(path, with: [UInt8](repeating: 0, count: 4096)) }
        file = try MappedFile(path, writable: true)
        if load(.magic) != ConsolePosition.magic {
            store(initialCursor, .cursor)
            store(ConsolePosition.magic, .magic)
        }
    }

    /// The position in the output ring up to which everything was printed.
    public var cursor: UInt64 {
        get { load(.cursor) }
        set { store(newValue, .cursor) }
    }

    /// End of input was forwarded: later standard input is not read.
    public var inputEnded: Bool {
        get { load(.inputEnded) != 0 }
        set { store(newValue ? 1 : 0, .inputEnded) }
    }

    /// The regular file that standard input was, and how far it was forwarded; so that a resume
    /// goes on from there.
    public func noteInput(device: UInt64, inode: UInt64, offset: UInt64) {
        store(offset, .inputOffset)
        store(device, .inputDevice)
        store(inode, .inputInode)
    }

    /// How far this file was forwarded before; nil when it is not the file of before.
    public func inputOffset(device: UInt64, inode: UInt64) -> UInt64? {
        load(.inputInode) == inode && load(.inputDevice) == device && inode != 0
            ? load(.inputOffset) : nil
    }

    private func load(_ word: Word) -> UInt64 { file.load(word.rawValue * 8) }
    private func store(_ value: UInt64, _ word: Word) { file.store(value, at: word.rawValue * 8) }
}
