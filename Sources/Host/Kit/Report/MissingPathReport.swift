import ABI
import Store

/// What guests looked for and did not find: `evertree missing`. Read while a machine runs, too: each
/// slot is taken as it is at that instant.
public struct MissingPathReport {
    public struct Entry: Equatable {
        public var count: UInt32
        /// As the guest's bytes, what is no visible ASCII as `\\xNN`.
        public var path: String
    }
    /// Most wanted first, then by path.
    public private(set) var entries: [Entry] = []

    public init(_ directory: StoreDirectory) throws(HostError) {
        _ = try Manifest.load(directory)
        let memory = MappedMemory(try MappedFile(directory.nvm, writable: false))
        let place: (first: FrameNumber, frameCount: UInt64)?
        do {
            let store = try Store(reading: memory)
            defer { store.close() }
            place = RingNumber(MissingPaths.ring).flatMap { store.ring($0) }
        } catch { throw .storeDamaged(path: directory.name, reason: "\(error.reason)") }
        guard let place, place.frameCount == MissingPaths.pages else { return }
        for slot in 0..<MissingPaths.slots {
            let start =
                place.first.offset + Ring.dataOffset + UInt64(slot * MissingPaths.slotBytes)
            if let entry = MissingPathReport.entry(memory, start) { entries.append(entry) }
        }
        entries.sort { ($1.count, $0.path) < ($0.count, $1.path) }
    }

    /// Nothing here is trusted: the guest may have written anything.
    private static func entry(_ memory: MappedMemory, _ start: UInt64) -> Entry? {
        var slot = [UInt8](repeating: 0, count: MissingPaths.slotBytes)
        slot.withUnsafeMutableBytes { memory.read(start, into: $0) }
        func number(_ place: Int) -> UInt32 {
            (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(slot[place + $1]) }
        }
        let count = number(MissingPaths.countOffset)
        let length = Int(number(MissingPaths.lengthOffset))
        guard slot[0..<8].contains(where: { $0 != 0 }), count > 0, length > 0,
            length <= MissingPaths.pathBytes
        else { return nil }
        let end = MissingPaths.pathOffset + length
        return Entry(count: count, path: printable(slot[MissingPaths.pathOffset..<end]))
    }

    private static func printable(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.map { byte in
            if (0x20..<0x7F).contains(byte), byte != UInt8(ascii: "\\") {
                return String(UnicodeScalar(byte))
            }
            let digits = String(byte, radix: 16)
            return "\\x" + (digits.count < 2 ? "0" : "") + digits
        }.joined()
    }
}
