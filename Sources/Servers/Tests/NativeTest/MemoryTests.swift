import ABI
import CNativeTest
import ServerRuntime

/// Memory that is written again and again while checkpoints make it read-only.
enum MemoryTests {
    static let words = 64 << 10

    static func writesSurviveCheckpoints() -> Bool {
        let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        memory.initialize(repeating: 0, count: words)
        let end = NativeTest.now() + 100_000_000
        var round: UInt64 = 0
        while NativeTest.now() < end {
            round += 1
            for index in stride(from: 0, to: words, by: 64) {
                if memory[index] != round - 1 { return false }
                memory[index] = round
            }
        }
        return round > 0
    }
}

/// Registers of a device, mapped into a program: the high-precision event timer's identity.
enum DeviceTests {
    private static let system = UInt64(RootSlot.system.value)
    private static let eventTimer: UInt64 = 0xFED0_0000
    private static let localAPIC: UInt64 = 0xFEE0_0000
    private static let vendor: UInt64 = 0x8086

    static func registersCanBeMapped() -> Bool {
        let refused = -NativeError.badArgument.rawValue
        for place in [0x10_0000, localAPIC, localAPIC - pageSize] as [UInt64] {
            if Native.call(.deviceMemory, system, place, 2) != refused { return false }
        }
        let object = Native.call(.deviceMemory, system, eventTimer, 1)
        let address: UInt64 = 0x31_0000_0000
        guard object >= 0,
            Native.call(
                .map, SharedMemoryTests.space, address, pageSize, UInt64(object), 0,
                UInt64(Protection.read.rawValue)) == 0
        else { return false }
        // General capabilities and ID register: the vendor is in bits 16-31 (IA-PC HPET, 2.3.4).
        return native_test_load(address) >> 16 & 0xFFFF == vendor
    }
}

/// What things cost here. Printed for the reader; decides nothing.
enum Measurements {
    static func run() {
        let calls: UInt64 = 20_000
        report("null call", calls) { for _ in 0..<calls { _ = Native.call(.null) } }
        report("clock read", calls) { for _ in 0..<calls { _ = NativeTest.now() } }
        let pages: UInt64 = 1000
        let object = Native.call(.pmoCreate, pages)
        let address: UInt64 = 0x30_0000_0000
        guard object >= 0,
            Native.call(
                .map, SharedMemoryTests.space, address, pages * pageSize, UInt64(object), 0,
                SharedMemoryTests.readWrite)
                == 0
        else { panic("no memory to measure with") }
        report("first write to a page", pages) { touch(address, pages) }
        let version = Native.call(.checkpoint, UInt64(RootSlot.system.value))
        if version < 0 { panic("the checkpoint failed") }
        report("first write after a checkpoint", pages) { touch(address, pages) }
    }

    private static func touch(_ address: UInt64, _ pages: UInt64) {
        for page in 0..<pages { native_test_store(address + page * pageSize, page) }
    }

    private static func report(_ name: StaticString, _ count: UInt64, _ body: () -> Void) {
        let start = NativeTest.now()
        body()
        let nanoseconds = NativeTest.now() - start
        DebugOutput.write("native-test: ")
        DebugOutput.write(name)
        DebugOutput.write(" ")
        DebugOutput.write(nanoseconds / count)
        DebugOutput.write(" ns\n")
    }
}
