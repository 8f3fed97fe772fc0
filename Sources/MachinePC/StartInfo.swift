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
    var commandLine: UInt64
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
            let length = memory.number(at: moduleList &+ 8, bytes: 8), start &+ length <= BootMemory.limit
        else { return }
        bundle = Range(start: start, end: start &+ length)
    }

    /// Calls `body` for each range of usable memory (type 1), as the loader gives it.
    func forEachMemoryRange(_ body: (Range) -> Void) {
        let memory = BootMemory()
        for index in 0..<memoryMapCount {
            let entry = memoryMap &+ index * 24
            guard let start = memory.number(at: entry, bytes: 8), let length = memory.number(at: entry &+ 8, bytes: 8),
                memory.number(at: entry &+ 16, bytes: 4) == 1, length < 1 << 46, start < 1 << 46
            else { continue }
            body(Range(start: start, end: start + length))
        }
    }

    /// Whether the command line holds a word.
    func hasOption(_ word: StaticString) -> Bool {
        let memory = BootMemory()
        let length = UInt64(word.utf8CodeUnitCount)
        var at = commandLine
        guard at != 0 else { return false }
        while let byte = memory.byte(at: at), byte != 0, at < commandLine &+ 4096 {
            var matched: UInt64 = 0
            while matched < length, memory.byte(at: at &+ matched) == word.utf8Start[Int(matched)] { matched += 1 }
            let next = memory.byte(at: at &+ matched) ?? 0
            if matched == length, next == 0 || next == UInt8(ascii: " ") { return true }
            while let skipped = memory.byte(at: at), skipped != 0, skipped != UInt8(ascii: " ") { at &+= 1 }
            while memory.byte(at: at) == UInt8(ascii: " ") { at &+= 1 }
        }
        return false
    }
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
