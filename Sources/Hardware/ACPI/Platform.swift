/// What the kernel wants to know of the machine, from the firmware's tables.
public struct Platform {
    public static let maximumCores = 16

    /// Local APIC identities of the usable processors, in the order of the table.
    public var processors = InlineArray<16, UInt32>(repeating: 0)
    public var processorCount = 0
    /// Physical address of the local APIC's registers.
    public var localAPIC: UInt64 = 0xFEE0_0000
    /// Physical address of the first I/O APIC, and the first interrupt it serves.
    public var ioAPIC: UInt64 = 0
    public var ioAPICFirstInterrupt: UInt32 = 0
    /// For each of the 16 old interrupt lines: the I/O APIC's interrupt and its flags (MPS INTI,
    /// ACPI 5.2.12.5).
    public var lines: InlineArray<16, Line>
    /// I/O port of the power-management timer, 3.579545 MHz; 0 = none.
    public var timerPort: UInt16 = 0
    /// True if the timer has 32 bits instead of 24.
    public var timerIs32Bit = false
    /// Persistent memory: physical address and bytes; 0 bytes = none.
    public var persistentBase: UInt64 = 0
    public var persistentBytes: UInt64 = 0

    public struct Line {
        public var interrupt: UInt32
        public var isActiveLow: Bool
        public var isLevel: Bool
    }

    public init() {
        lines = InlineArray { Line(interrupt: UInt32($0), isActiveLow: false, isLevel: false) }
    }
}

/// Why the firmware's tables are of no use.
public enum PlatformError: Error {
    case noRootPointer
    case badRootTable
    /// The MADT names no processor or no I/O APIC.
    case noInterruptControllers
    /// There is no NFIT with a range of persistent memory.
    case noPersistentMemory
    /// The FADT names no power-management timer.
    case noTimer

    public var message: StaticString {
        switch self {
        case .noRootPointer: "no valid ACPI root pointer (RSDP)"
        case .badRootTable: "the ACPI root table (XSDT or RSDT) is damaged"
        case .noInterruptControllers: "no processors or no I/O APIC in the ACPI MADT"
        case .noPersistentMemory:
            "no persistent memory: the ACPI NFIT names none (QEMU: -machine nvdimm=on -device nvdimm)"
        case .noTimer: "no power-management timer in the ACPI FADT"
        }
    }
}
