import ACPI
import CMachinePC

/// What the boot loader says (Xen public/arch-x86/hvm/start_info.h, version 1).
struct StartInfo {
    struct Range {
        var start: UInt64
        var end: UInt64
        var byteCount: UInt64 { end > start ? end - start : 0 }
    }

    var rootPointer: UInt64
    /// The boot bundle; empty if the loader passed no module.
    var bundle = Range(start: 0, end: 0)
    private let commandLine: UInt64
    private var memoryMap: UInt64
    private var memoryMapCount: UInt64

    /// Reads the structure at a physical address. Nil if it is not one.
    init?(at address: UInt64) {
        let memory = BootMemory()
        guard memory.number(at: address, bytes: 4) == 0x336E_C578,
            let modules = memory.number(at: address &+ 12, bytes: 4),
            let moduleList = memory.number(at: address &+ 16, bytes: 8),
            let commandLine = memory.number(at: address &+ 24, bytes: 8),
            let rootPointer = memory.number(at: address &+ 32, bytes: 8),
            let memoryMap = memory.number(at: address &+ 40, bytes: 8),
            let count = memory.number(at: address &+ 48, bytes: 4)
        else { return nil }
        self.rootPointer = rootPointer
        self.commandLine = commandLine
        self.memoryMap = memoryMap
        memoryMapCount = min(count, 128)
        guard modules > 0, let start = memory.number(at: moduleList, bytes: 8),
            let length = memory.number(at: moduleList &+ 8, bytes: 8),
            start &+ length <= BootMemory.limit
        else { return }
        bundle = Range(start: start, end: start &+ length)
    }

    /// Calls `body` for each range of usable memory (type 1), as the loader gives it.
    func forEachMemoryRange(_ body: (Range) -> Void) {
        let memory = BootMemory()
        for index in 0..<memoryMapCount {
            let entry = memoryMap &+ index * 24
            guard let start = memory.number(at: entry, bytes: 8),
                let length = memory.number(at: entry &+ 8, bytes: 8),
                memory.number(at: entry &+ 16, bytes: 4) == 1, length < 1 << 46, start < 1 << 46
            else { continue }
            body(Range(start: start, end: start + length))
        }
    }

    /// The command line; empty if there is none.
    var options: BootOptions { BootOptions(address: commandLine) }
}

/// Physical memory as the first page tables map it: the low 4 GiB.
struct BootMemory: PhysicalReader {
    static let limit: UInt64 = 4 << 30

    func byte(at address: UInt64) -> UInt8? {
        guard address < Self.limit else { return nil }
        return UnsafePointer<UInt8>(bitPattern: UInt(Window.address(address)))?.pointee
    }

    /// A little-endian number.
    func number(at address: UInt64, bytes count: UInt64) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<count {
            guard let byte = byte(at: address &+ index) else { return nil }
            value |= UInt64(byte) << (8 * index)
        }
        return value
    }
}
