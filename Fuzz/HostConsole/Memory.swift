/// Plain memory in place of the host's mapped file (Sources/Host/Kit/Support/MappedFile.swift).
public final class MappedFile {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    public init(byteCount: Int) {
        base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
        self.byteCount = byteCount
        clear()
    }

    public func clear() {
        base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    public func load(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset & 7 == 0 && offset + 8 <= byteCount)
        return base.load(fromByteOffset: offset, as: UInt64.self)
    }

    public func store(_ value: UInt64, at offset: Int) {
        precondition(offset >= 0 && offset & 7 == 0 && offset + 8 <= byteCount)
        base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}

/// The printed position, which lives longer than a reader.
public final class ConsolePosition {
    public var cursor: UInt64
    public init(cursor: UInt64) { self.cursor = cursor }
}

func errnoText(_ number: Int32) -> String { "error \(number)" }
