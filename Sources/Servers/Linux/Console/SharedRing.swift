import ABI
import CLinuxServer

/// A console ring mapped into the server's memory (`Ring`). The inside owns `local`, the outside
/// `remote`.
struct SharedRing {
    private let base: UnsafeMutableRawPointer
    let capacity: UInt64

    /// Maps the ring's PMO at an address of the server's own space.
    init(slot: Slot, address: UInt64) throws(Errno) {
        let pages = try SharedRing.mapPMO(slot, at: address)
        guard let base = UnsafeMutableRawPointer(bitPattern: UInt(address)) else { throw .EFAULT }
        self.base = base
        let magic = evertree_shared_load(SharedRing.word(base, Ring.magicOffset))
        let capacity = evertree_shared_load(SharedRing.word(base, Ring.capacityOffset))
        guard magic == Ring.magic, capacity > 0, capacity & (capacity - 1) == 0,
            capacity <= pages * pageSize - Ring.dataOffset
        else { throw .EINVAL }
        self.capacity = capacity
    }

    /// Maps a whole PMO for reading and writing; returns its pages.
    static func mapPMO(_ slot: Slot, at address: UInt64) throws(Errno) -> UInt64 {
        var information: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let result = withUnsafeMutablePointer(to: &information) {
            Native.call(.objectInfo, UInt64(slot.value), UInt64(UInt(bitPattern: $0)))
        }
        try Native.check(result)
        try Native.map(
            space: RootSlot.vmSpace, address: address, length: information.3 &* pageSize, pmo: slot,
            offset: 0,
            protection: [.read, .write])
        return information.3
    }

    private static func word(_ base: UnsafeMutableRawPointer, _ offset: UInt64)
        -> UnsafeMutablePointer<UInt64>
    {
        (base + Int(offset)).assumingMemoryBound(to: UInt64.self)
    }

    var local: UInt64 {
        get { evertree_shared_load(SharedRing.word(base, Ring.localOffset)) }
        nonmutating set { evertree_shared_store(SharedRing.word(base, Ring.localOffset), newValue) }
    }
    var remote: UInt64 { evertree_shared_load(SharedRing.word(base, Ring.remoteOffset)) }

    /// Bytes that may be written to an output ring. A `remote` that makes no sense counts as a full
    /// ring.
    var room: UInt64 {
        let used = local &- remote
        return used <= capacity ? capacity - used : 0
    }

    /// Bytes that wait in an input ring. A `remote` that makes no sense counts as nothing.
    var available: UInt64 {
        let count = remote &- local
        return count <= capacity ? count : 0
    }

    private func pointer(_ position: UInt64) -> UnsafeMutableRawPointer {
        base + Int(Ring.dataOffset &+ (position & (capacity - 1)))
    }

    func byte(_ position: UInt64) -> UInt8 { pointer(position).load(as: UInt8.self) }

    func storeWord(_ value: UInt64, at position: UInt64) {
        for index in 0..<UInt64(8) {
            pointer(position &+ index).storeBytes(
                of: UInt8(truncatingIfNeeded: value >> (index * 8)), as: UInt8.self)
        }
    }

    func loadWord(at position: UInt64) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(8) { value |= UInt64(byte(position &+ index)) << (index * 8) }
        return value
    }

    /// Copies into the ring from any memory, around its end; the bytes copied.
    func fill(from memory: MemoryReference, count: UInt64, at position: UInt64) -> UInt64 {
        let first = min(count, capacity - (position & (capacity - 1)))
        let moved = Native.copy(to: MemoryReference(pointer(position)), from: memory, length: first)
        if moved < first || first == count { return moved }
        return moved
            &+ Native.copy(
                to: MemoryReference(pointer(position &+ first)), from: memory.advanced(by: first),
                length: count - first)
    }

    /// Copies the server's own memory into the ring, around its end.
    func put(_ source: UnsafeRawPointer, count: Int, at position: UInt64) {
        let first = min(count, Int(capacity - (position & (capacity - 1))))
        pointer(position).copyMemory(from: source, byteCount: first)
        if first < count {
            pointer(position &+ UInt64(first)).copyMemory(
                from: source + first, byteCount: count - first)
        }
    }

    /// Copies out of the ring into the server's own memory, around its end.
    func take(_ target: UnsafeMutableRawPointer, count: Int, at position: UInt64) {
        let first = min(count, Int(capacity - (position & (capacity - 1))))
        target.copyMemory(from: pointer(position), byteCount: first)
        if first < count {
            (target + first).copyMemory(
                from: pointer(position &+ UInt64(first)), byteCount: count - first)
        }
    }

    func bytes(at position: UInt64, count: UInt64) -> Bytes {
        var result = Bytes()
        result.reserveCapacity(Int(count))
        for index in 0..<count { result.append(byte(position &+ index)) }
        return result
    }
}
