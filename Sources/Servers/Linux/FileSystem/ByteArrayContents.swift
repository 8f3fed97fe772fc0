/// File contents in an array: for tests and host tools. Holds at most `limit` bytes.
public final class ByteArrayContents: FileContents {
    public private(set) var bytes: Bytes
    private let limit: UInt64

    public init(_ bytes: Bytes = [], limit: UInt64 = 1 << 28) {
        self.bytes = bytes
        self.limit = limit
        super.init()
    }

    public override var size: UInt64 { UInt64(bytes.count) }

    public override func readBytes(offset: UInt64, count: Int) throws(Errno) -> Bytes {
        guard offset < size, count > 0 else { return [] }
        let length = min(UInt64(count), size - offset)
        return Bytes(bytes[Int(offset)..<Int(offset + length)])
    }

    public override func writeBytes(_ new: Bytes, offset: UInt64) throws(Errno) {
        guard !new.isEmpty else { return }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(new.count))
        guard !overflow, end <= limit else { throw .EFBIG }
        if end > size { try truncate(to: end) }
        bytes.replaceSubrange(Int(offset)..<Int(end), with: new)
    }

    public override func truncate(to newSize: UInt64) throws(Errno) {
        guard newSize <= limit else { throw .EFBIG }
        if newSize < size {
            bytes.removeLast(Int(size - newSize))
        } else {
            bytes.append(contentsOf: repeatElement(0, count: Int(newSize - size)))
        }
    }

    public override func append(from source: FileContents, offset: UInt64, count: UInt64)
        throws(Errno)
    {
        guard count <= limit else { throw .EFBIG }
        try writeBytes(try source.readBytes(offset: offset, count: Int(count)), offset: size)
    }

    public override func release() { bytes = [] }
}
