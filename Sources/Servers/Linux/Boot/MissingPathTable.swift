import ABI

/// Counts what guests looked for and did not find (`MissingPaths`). Forgets what it has no room for.
final class MissingPathTable {
    /// Where the table is in the server's memory: above the console's rings.
    private static let address: UInt64 = 0x22_0000_0000
    private let data: UnsafeMutableRawPointer

    /// Throws when the store has no room for the table.
    init() throws(Errno) {
        let slot = try Native.slot(
            Native.call(
                .ringCreate, UInt64(RootSlot.system.value), MissingPaths.ring, MissingPaths.pages))
        _ = try SharedRing.mapPMO(slot, at: MissingPathTable.address)
        let start = MissingPathTable.address + Ring.dataOffset
        guard let data = UnsafeMutableRawPointer(bitPattern: UInt(start)) else { throw .EFAULT }
        self.data = data
        // The frames may be those of another ring that is gone.
        let words = MissingPaths.slots * MissingPaths.slotBytes / 8
        data.assumingMemoryBound(to: UInt64.self).update(repeating: 0, count: words)
    }

    /// One more look-up of an absolute path.
    func count(_ path: Bytes) {
        let length = min(path.count, MissingPaths.pathBytes)
        let hash = MissingPathTable.hash(path)
        var index = Int(truncatingIfNeeded: hash % UInt64(MissingPaths.slots))
        for _ in 0..<MissingPaths.probes {
            let slot = data + index * MissingPaths.slotBytes
            let found = slot.load(as: UInt64.self)
            if found == hash {
                let count = slot.load(fromByteOffset: MissingPaths.countOffset, as: UInt32.self)
                let next = count == .max ? count : count + 1
                slot.storeBytes(of: next, toByteOffset: MissingPaths.countOffset, as: UInt32.self)
                return
            }
            if found == 0 {
                for place in 0..<length {
                    slot.storeBytes(
                        of: path[place], toByteOffset: MissingPaths.pathOffset + place,
                        as: UInt8.self)
                }
                slot.storeBytes(
                    of: UInt32(length), toByteOffset: MissingPaths.lengthOffset, as: UInt32.self)
                slot.storeBytes(of: 1, toByteOffset: MissingPaths.countOffset, as: UInt32.self)
                slot.storeBytes(of: hash, as: UInt64.self)
                return
            }
            index = (index + 1) % MissingPaths.slots
        }
    }

    /// FNV-1a, never 0.
    private static func hash(_ path: Bytes) -> UInt64 {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in path { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return value == 0 ? 1 : value
    }
}
