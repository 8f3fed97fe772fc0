/// Finds the tables (ACPI 6.4 section 5.2) and takes from them what `Platform` holds. Every read is
/// bounded by its table, every table by its checksum: damaged tables give errors, not traps.
public struct PlatformParser<Reader: PhysicalReader> {
    let reader: Reader
    /// More entries than any root table has; a damaged length must not keep the parser busy for
    /// ever.
    private static var maximumTables: UInt64 { 256 }
    /// More bytes than any table that is read here has.
    private static var maximumLength: UInt64 { 1 << 20 }

    public init(reader: Reader) { self.reader = reader }

    /// Parses the tables that the root pointer at `rootPointer` leads to.
    public func parse(rootPointer: UInt64) throws(PlatformError) -> Platform {
        var platform = Platform()
        let (root, entryBytes) = try rootTable(rootPointer)
        let count = min((root.length - 36) / entryBytes, Self.maximumTables)
        for index in 0..<count {
            guard let address = root.number(at: 36 + index * entryBytes, bytes: entryBytes),
                let signature = reader.number(at: address, bytes: 4),
                let table = table(at: address)
            else { continue }
            switch signature {
            case 0x4349_5041: readInterruptControllers(table, into: &platform)  // "APIC"
            case 0x5449_464E: readPersistentMemory(table, into: &platform)  // "NFIT"
            case 0x5043_4146: readFixedDescription(table, into: &platform)  // "FACP"
            default: break
            }
        }
        guard platform.processorCount > 0, platform.ioAPIC != 0 else {
            throw .noInterruptControllers
        }
        guard platform.timerPort != 0 else { throw .noTimer }
        guard platform.persistentBytes > 0 else { throw .noPersistentMemory }
        return platform
    }

    /// RSDP (5.2.5.3): the XSDT of revision 2, else the RSDT.
    private func rootTable(_ address: UInt64) throws(PlatformError) -> (
        table: Table<Reader>, entryBytes: UInt64
    ) {
        guard address != 0, reader.number(at: address, bytes: 8) == 0x2052_5450_2044_5352,  // "RSD PTR "
            reader.sum(at: address, length: 20) == 0, let revision = reader.byte(at: address &+ 15)
        else { throw .noRootPointer }
        if revision >= 2, reader.sum(at: address, length: 36) == 0,
            let extended = reader.number(at: address &+ 24, bytes: 8), extended != 0,
            let table = table(at: extended)
        {
            return (table, 8)
        }
        guard let old = reader.number(at: address &+ 16, bytes: 4), let table = table(at: old)
        else { throw .badRootTable }
        return (table, 4)
    }

    /// A table whose header is whole and whose bytes sum to zero.
    private func table(at address: UInt64) -> Table<Reader>? {
        guard let length = reader.number(at: address &+ 4, bytes: 4), length >= 36,
            length <= Self.maximumLength,
            reader.sum(at: address, length: length) == 0
        else { return nil }
        return Table(reader: reader, address: address, length: length)
    }

    /// FADT (5.2.9): the power-management timer's port and width.
    private func readFixedDescription(_ table: Table<Reader>, into platform: inout Platform) {
        guard let port = table.number(at: 76, bytes: 4), let flags = table.number(at: 112, bytes: 4)
        else { return }
        platform.timerPort = UInt16(truncatingIfNeeded: port)
        platform.timerIs32Bit = flags >> 8 & 1 == 1
    }

    /// NFIT (5.2.25.2): the first range of byte-addressable persistent memory.
    private func readPersistentMemory(_ table: Table<Reader>, into platform: inout Platform) {
        forEachStructure(of: table, from: 40, wideHeader: true) { kind, offset in
            // GUID 66F0D379-B4F3-4074-AC43-0D3318B78CDB in its mixed byte order.
            guard kind == 0, platform.persistentBytes == 0,
                table.number(at: offset + 16, bytes: 8) == 0x4074_B4F3_66F0_D379,
                table.number(at: offset + 24, bytes: 8) == 0xDB8C_B718_330D_43AC,
                let base = table.number(at: offset + 32, bytes: 8),
                let length = table.number(at: offset + 40, bytes: 8)
            else { return }
            platform.persistentBase = base
            platform.persistentBytes = length
        }
    }

    /// Walks the structures that follow a table's header. Each starts with its type and length: two
    /// bytes each (`wideHeader`) or one byte each.
    func forEachStructure(
        of table: Table<Reader>, from start: UInt64, wideHeader: Bool,
        _ body: (_ kind: UInt64, _ offset: UInt64) -> Void
    ) {
        let width: UInt64 = wideHeader ? 2 : 1
        var offset = start
        while let kind = table.number(at: offset, bytes: width),
            let length = table.number(at: offset + width, bytes: width), length >= 2 * width
        {
            body(kind, offset)
            offset += length
        }
    }
}
