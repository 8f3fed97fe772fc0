/// Writes a boot bundle: a cpio archive in "newc" form (cpio(5)).
struct ArchiveWriter {
    private(set) var bytes: [UInt8] = []
    private var nextInode = 1

    mutating func add(_ name: String, mode: Int, contents: [UInt8]) {
        header(name, mode: mode, size: contents.count)
        bytes += contents
        pad()
    }

    /// The archive with its trailer.
    mutating func finish() -> [UInt8] {
        header("TRAILER!!!", mode: 0, size: 0)
        return bytes
    }

    private mutating func header(_ name: String, mode: Int, size: Int) {
        let fields = [nextInode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.utf8.count + 1, 0]
        nextInode += 1
        bytes += Array("070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16, uppercase: true)
            bytes += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        bytes += Array(name.utf8) + [0]
        pad()
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}
