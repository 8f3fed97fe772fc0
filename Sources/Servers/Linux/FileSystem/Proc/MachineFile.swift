/// The files of /proc and /sys that tell of the machine, not of a process (proc(5), sysfs(5)).
enum MachineItem {
    case commandLine, cpuInformation, filesystems, loadAverage, memoryInformation, statistics,
        uptime, version
    case hostName, domainName, kernelType, kernelRelease, kernelVersion
    case randomUUID, bootUUID, entropyAvailable
    case lastCapability, greatestGroupCount, lowestMapping, overflowUser
    case cpuRange, cpuMaximum, hugePages, clockSource
}

/// One such file: its text is made at each read.
final class MachineFile: GeneratedNode {
    private let item: MachineItem
    private let information: ProcessInformation
    /// Text that stays the same from the first read on (boot_id).
    private var kept: Bytes?

    init(_ item: MachineItem, _ information: ProcessInformation) {
        self.item = item
        self.information = information
        super.init()
    }

    override func text(_ caller: Caller) throws(Errno) -> Bytes {
        switch item {
        case .commandLine: .text("evertree\n")
        case .cpuInformation: cpuInformation()
        case .filesystems: .text("nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\n")
        case .loadAverage: loadAverage()
        case .memoryInformation: memoryInformation()
        case .statistics: statistics()
        case .uptime: uptime()
        case .version: version()
        case .hostName: line(information.hostName())
        case .domainName: .text("(none)\n")
        case .kernelType: .text("Linux\n")
        case .kernelRelease: line(information.kernelRelease())
        case .kernelVersion: line(information.kernelVersion())
        case .randomUUID: line(information.randomUUID())
        case .bootUUID: bootUUID()
        case .entropyAvailable: .text("256\n")
        case .lastCapability: .text("40\n")
        case .greatestGroupCount: .text("65536\n")
        case .lowestMapping: .text("65536\n")
        case .overflowUser: .text("65534\n")
        case .cpuRange: cpuRange()
        case .cpuMaximum: number(cpuCount - 1)
        case .hugePages: .text("always madvise [never]\n")
        case .clockSource: .text("tsc\n")
        }
    }

    override func write(_ bytes: Bytes, _ caller: Caller) throws(Errno) {
        guard item == .hostName else { throw .EACCES }
        guard caller.credentials.isSuperuser else { throw .EPERM }
        let name = Bytes(bytes.prefix { $0 != .newline })
        guard name.count <= 64 else { throw .EINVAL }
        information.setHostName(name)
    }

    private var cpuCount: UInt64 { UInt64(max(information.cpuCount(), 1)) }

    private func line(_ text: Bytes) -> Bytes { text + [.newline] }

    private func number(_ value: UInt64) -> Bytes {
        var text = Bytes()
        text.append(decimal: value)
        return line(text)
    }

    private func cpuRange() -> Bytes {
        guard cpuCount > 1 else { return .text("0\n") }
        return .text("0-") + number(cpuCount - 1)
    }

    private func bootUUID() -> Bytes {
        let uuid = kept ?? information.randomUUID()
        kept = uuid
        return line(uuid)
    }
}

extension MachineFile {
    private func cpuInformation() -> Bytes {
        var text = Bytes()
        for index in 0..<cpuCount {
            text.append("processor\t: ")
            text.append(decimal: index)
            text.append("\nvendor_id\t: Evertree\nmodel name\t: ")
            text.append(contentsOf: information.processorName())
            text.append("\ncpu cores\t: ")
            text.append(decimal: cpuCount)
            text.append("\n\n")
        }
        return text
    }

    /// The load is not measured: the three averages are 0.
    private func loadAverage() -> Bytes {
        let threads = information.loadedThreads()
        var text = Bytes.text("0.00 0.00 0.00 ")
        text.append(decimal: Int64(threads.running))
        text.append("/")
        text.append(decimal: Int64(threads.total))
        text.append(" ")
        text.append(decimal: Int64(threads.lastID))
        return line(text)
    }

    private func memoryInformation() -> Bytes {
        let pages = information.memoryPages()
        var text = Bytes()
        appendMemory("MemTotal:       ", pages.total, to: &text)
        appendMemory("MemFree:        ", pages.free, to: &text)
        appendMemory("MemAvailable:   ", pages.free, to: &text)
        appendMemory("Buffers:        ", 0, to: &text)
        appendMemory("Cached:         ", 0, to: &text)
        appendMemory("SwapCached:     ", 0, to: &text)
        appendMemory("SwapTotal:      ", 0, to: &text)
        appendMemory("SwapFree:       ", 0, to: &text)
        appendMemory("Shmem:          ", 0, to: &text)
        appendMemory("SReclaimable:   ", 0, to: &text)
        return text
    }

    private func appendMemory(_ name: StaticString, _ pages: UInt64, to text: inout Bytes) {
        text.append(name)
        text.append(decimal: pages.multipliedClamped(by: 4), width: 8)
        text.append(" kB\n")
    }

    private func statistics() -> Bytes {
        let ticks = information.processorTicks()
        let threads = information.loadedThreads()
        var text = Bytes()
        appendTicks(" ", ticks, to: &text)
        for index in 0..<cpuCount {
            var name = Bytes()
            name.append(decimal: index)
            appendTicks(
                name, (ticks.user / cpuCount, ticks.system / cpuCount, ticks.idle / cpuCount),
                to: &text)
        }
        text.append("ctxt 0\nbtime ")
        text.append(decimal: information.bootEpochSeconds())
        text.append("\nprocesses ")
        text.append(decimal: Int64(threads.lastID))
        text.append("\nprocs_running ")
        text.append(decimal: Int64(threads.running))
        text.append("\nprocs_blocked 0\n")
        return text
    }

    private func appendTicks(_ name: StaticString, _ ticks: ProcessorTicks, to text: inout Bytes) {
        appendTicks(.text(name), ticks, to: &text)
    }

    private func appendTicks(_ name: Bytes, _ ticks: ProcessorTicks, to text: inout Bytes) {
        text.append("cpu")
        text.append(contentsOf: name)
        text.append(" ")
        text.append(decimal: ticks.user)
        text.append(" 0 ")
        text.append(decimal: ticks.system)
        text.append(" ")
        text.append(decimal: ticks.idle)
        text.append(" 0 0 0 0 0 0\n")
    }

    private func uptime() -> Bytes {
        var text = Bytes()
        append(hundredths: information.uptimeNanoseconds() / 10_000_000, to: &text)
        text.append(" ")
        append(hundredths: information.processorTicks().idle, to: &text)
        return line(text)
    }

    private func append(hundredths value: UInt64, to text: inout Bytes) {
        text.append(decimal: value / 100)
        text.append(".")
        text.append(decimal: value % 100, width: 2, pad: .zero)
    }

    private func version() -> Bytes {
        .text("Linux version ") + information.kernelRelease() + .text(" (evertree) ")
            + information.kernelVersion()
            + [.newline]
    }
}

/// A number that programs read and may set, and that changes nothing else (sysctl(8)).
final class StoredNumber: GeneratedNode {
    private var value: UInt64

    init(_ value: UInt64) {
        self.value = value
        super.init()
    }

    override func text(_ caller: Caller) throws(Errno) -> Bytes {
        var text = Bytes()
        text.append(decimal: value)
        return text + [.newline]
    }

    override func write(_ bytes: Bytes, _ caller: Caller) throws(Errno) {
        guard let number = bytes.decimalValue else { throw .EINVAL }
        value = number
    }
}
