// MADT (ACPI 6.4 section 5.2.12): processors, I/O APICs, and where the old interrupt lines lead.

extension PlatformParser {
    func readInterruptControllers(_ table: Table<Reader>, into platform: inout Platform) {
        if let address = table.number(at: 36, bytes: 4) { platform.localAPIC = address }
        forEachStructure(of: table, from: 44, wideHeader: false) { kind, offset in
            switch kind {
            case 0: addProcessor(table, offset, into: &platform)
            case 1: addIOAPIC(table, offset, into: &platform)
            case 2: addOverride(table, offset, into: &platform)
            case 5:
                if let address = table.number(at: offset + 4, bytes: 8) {
                    platform.localAPIC = address
                }
            default: break
            }
        }
    }

    private func addProcessor(
        _ table: Table<Reader>, _ offset: UInt64, into platform: inout Platform
    ) {
        guard let identity = table.number(at: offset + 3, bytes: 1),
            let flags = table.number(at: offset + 4, bytes: 4),
            flags & 1 == 1, platform.processorCount < Platform.maximumCores
        else { return }
        platform.processors[platform.processorCount] = UInt32(identity)
        platform.processorCount += 1
    }

    private func addIOAPIC(_ table: Table<Reader>, _ offset: UInt64, into platform: inout Platform)
    {
        guard platform.ioAPIC == 0, let address = table.number(at: offset + 4, bytes: 4),
            let first = table.number(at: offset + 8, bytes: 4)
        else { return }
        platform.ioAPIC = address
        platform.ioAPICFirstInterrupt = UInt32(first)
    }

    private func addOverride(
        _ table: Table<Reader>, _ offset: UInt64, into platform: inout Platform
    ) {
        guard let source = table.number(at: offset + 3, bytes: 1), source < 16,
            let interrupt = table.number(at: offset + 4, bytes: 4),
            let flags = table.number(at: offset + 8, bytes: 2)
        else { return }
        platform.lines[Int(source)] = Platform.Line(
            interrupt: UInt32(interrupt), isActiveLow: flags & 3 == 3, isLevel: flags >> 2 & 3 == 3)
    }
}
