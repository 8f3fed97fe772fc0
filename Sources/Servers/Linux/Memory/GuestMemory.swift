/// A guest's memory as the server sees it: addresses are allegations, and every access may fail
/// with EFAULT.
struct GuestMemory {
    /// Slot of the VM space.
    let space: UInt32

    func reference(_ address: UInt64) -> MemoryReference {
        MemoryReference(slot: space, address: address)
    }

    /// Exactly `count` bytes.
    func read(_ address: UInt64, count: Int) throws(Errno) -> Bytes {
        let bytes = readSome(address, count: count)
        if bytes.count < count { throw .EFAULT }
        return bytes
    }

    /// Up to `count` bytes: what can be read from `address` on.
    func readSome(_ address: UInt64, count: Int) -> Bytes {
        if count <= 0 { return [] }
        return Bytes(unsafeUninitializedCapacity: count) { buffer, done in
            guard let base = buffer.baseAddress else { return }
            let moved = Native.copy(
                to: MemoryReference(base), from: reference(address), length: UInt64(count))
            done = Int(truncatingIfNeeded: moved)
        }
    }

    /// Copies all of `bytes`, or fails.
    func write(_ bytes: Bytes, to address: UInt64) throws(Errno) {
        if writeSome(bytes, to: address) < bytes.count { throw .EFAULT }
    }

    /// Copies from the start as much as can be.
    func writeSome(_ bytes: Bytes, to address: UInt64) -> Int {
        if bytes.isEmpty { return 0 }
        let moved = bytes.withUnsafeBytes { buffer -> UInt64 in
            guard let base = buffer.baseAddress else { return 0 }
            return Native.copy(
                to: reference(address), from: MemoryReference(base), length: UInt64(buffer.count))
        }
        return Int(truncatingIfNeeded: moved)
    }

    func load32(_ address: UInt64) throws(Errno) -> UInt32 {
        var value: UInt32 = 0
        let moved = withUnsafeMutablePointer(to: &value) {
            Native.copy(to: MemoryReference($0), from: reference(address), length: 4)
        }
        if moved < 4 { throw .EFAULT }
        return value
    }

    func load64(_ address: UInt64) throws(Errno) -> UInt64 {
        var value: UInt64 = 0
        let moved = withUnsafeMutablePointer(to: &value) {
            Native.copy(to: MemoryReference($0), from: reference(address), length: 8)
        }
        if moved < 8 { throw .EFAULT }
        return value
    }

    func store32(_ value: UInt32, to address: UInt64) throws(Errno) {
        var copy = value
        let moved = withUnsafeMutablePointer(to: &copy) {
            Native.copy(to: reference(address), from: MemoryReference($0), length: 4)
        }
        if moved < 4 { throw .EFAULT }
    }

    func store64(_ value: UInt64, to address: UInt64) throws(Errno) {
        var copy = value
        let moved = withUnsafeMutablePointer(to: &copy) {
            Native.copy(to: reference(address), from: MemoryReference($0), length: 8)
        }
        if moved < 8 { throw .EFAULT }
    }

    /// A zero-ended string without its zero. `tooLong` when no zero comes within `limit` bytes.
    func readString(_ address: UInt64, limit: Int, tooLong: Errno) throws(Errno) -> Bytes {
        var text = Bytes()
        var next = address
        while text.count < limit {
            // Up to the end of the page, because the next page may not be there.
            let room = min(256 - Int(truncatingIfNeeded: next % 256), limit - text.count)
            let part = readSome(next, count: room)
            if let end = part.firstIndex(of: 0) {
                text.append(contentsOf: part[..<end])
                return text
            }
            if part.count < room { throw .EFAULT }
            text.append(contentsOf: part)
            next = next &+ UInt64(part.count)
        }
        throw tooLong
    }

    /// A path (at most 4,095 bytes; path_resolution(7)).
    func readPath(_ address: UInt64) throws(Errno) -> Bytes {
        try readString(address, limit: 4096, tooLong: .ENAMETOOLONG)
    }
}
