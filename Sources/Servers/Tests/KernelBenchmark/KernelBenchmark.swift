import ABI
import ServerRuntime

/// Costs of the kernel's primitives, measured from ring 3 inside the guest: a JSON line each on the
/// debug port, the median and the extremes of several batches. Then a quiet stretch and a busy one,
/// for the checkpoint's pause.
@main
struct KernelBenchmark {
    static let batches = 9
    static let area: UInt64 = 0x20_0000_0000

    static func main() {
        Startup.startHeap(pageCount: 1024)
        measure("null_call", operations: 20_000) { for _ in 0..<20_000 { _ = Native.call(.null) } }
        measure("clock_read", operations: 20_000) {
            for _ in 0..<20_000 { _ = Native.call(.clockRead, 0) }
        }
        copies()
        faults()
        restricted()
        for pages: UInt64 in [0, 1, 16, 64, 256] { dirty(pages, milliseconds: 1000) }
        DebugOutput.write("{\"done\":true}\n")
    }

    static var now: UInt64 { UInt64(bitPattern: Native.call(.clockRead, 0)) }

    static func measure(_ name: StaticString, operations: UInt64, _ body: () -> Void) {
        var samples: [UInt64] = []
        for _ in 0..<batches {
            let start = now
            body()
            samples.append((now - start) * 100 / operations)
        }
        samples.sort()
        DebugOutput.write("{\"name\":\"")
        DebugOutput.write(name)
        DebugOutput.write("\",\"ns_median\":")
        writeHundredths(samples[batches / 2])
        DebugOutput.write(",\"ns_min\":")
        writeHundredths(samples[0])
        DebugOutput.write(",\"ns_max\":")
        writeHundredths(samples[batches - 1])
        DebugOutput.write("}\n")
    }

    static func writeHundredths(_ value: UInt64) {
        DebugOutput.write(value / 100)
        DebugOutput.write(".")
        DebugOutput.write(value / 10 % 10)
        DebugOutput.write(value % 10)
    }

    /// A fresh PMO of so many pages, mapped at `area`.
    static func mapFresh(_ pages: UInt64) -> UInt64 {
        let pmo = UInt64(bitPattern: Native.call(.pmoCreate, pages))
        let slot = UInt64(RootSlot.vmSpace.value)
        guard Native.call(.map, slot, area, pages * pageSize, pmo, 0, 3) == 0 else {
            panic("map failed")
        }
        return pmo
    }

    static func drop(_ pmo: UInt64, _ pages: UInt64) {
        _ = Native.call(.unmap, UInt64(RootSlot.vmSpace.value), area, pages * pageSize)
        _ = Native.call(.capabilityDelete, pmo)
    }

    static func touch(_ pages: UInt64, _ value: UInt64) {
        for page in 0..<pages {
            guard let place = UnsafeMutablePointer<UInt64>(bitPattern: UInt(area + page * pageSize))
            else { return }
            place.pointee = value
        }
    }

    static func copies() {
        let pmo = mapFresh(64)
        touch(64, 1)
        measure("memory_copy_4k", operations: 3200) {
            for _ in 0..<100 {
                for page: UInt64 in 0..<32 {
                    _ = Native.call(
                        .memoryCopy, pmo, page * pageSize, pmo, (page + 32) * pageSize, pageSize)
                }
            }
        }
        drop(pmo, 64)
    }

    static func faults() {
        measure("first_touch_fault", operations: 512) {
            let pmo = mapFresh(512)
            touch(512, 1)
            drop(pmo, 512)
        }
        let pmo = mapFresh(512)
        var round: UInt64 = 1
        touch(512, round)
        measure("copy_on_write_fault", operations: 512) {
            _ = Native.call(.checkpoint, UInt64(RootSlot.system.value))
            round += 1
            touch(512, round)
        }
        drop(pmo, 512)
    }

    /// A guest that does nothing but system calls: the round trip of a Linux call without the call.
    static func restricted() {
        let space = UInt64(bitPattern: Native.call(.vmSpaceCreate))
        let code = mapFresh(1)
        // syscall; jmp back to it
        guard let place = UnsafeMutablePointer<UInt32>(bitPattern: UInt(area)) else { return }
        place.pointee = 0xFCEB_050F
        _ = Native.call(.map, space, 0x40_0000, pageSize, code, 0, 5)
        var state = RestrictedState()
        state.registers.rip = 0x40_0000
        withUnsafeMutablePointer(to: &state) { pointer in
            let address = UInt64(UInt(bitPattern: pointer))
            measure("restricted_round_trip", operations: 5000) {
                for _ in 0..<5000 { _ = Native.call(.enterRestricted, space, address) }
            }
        }
        _ = Native.call(.capabilityDelete, space)
        drop(code, 1)
    }

    /// Writes so many pages again and again for a while; the pause is in the statistics.
    static func dirty(_ pages: UInt64, milliseconds: UInt64) {
        let pmo = mapFresh(max(pages, 1))
        let first = UInt64(bitPattern: Native.call(.clockRead, 3))
        let end = now + milliseconds * 1_000_000
        var rounds: UInt64 = 0
        while now < end {
            rounds += 1
            touch(pages, rounds)
        }
        let checkpoints = UInt64(bitPattern: Native.call(.clockRead, 3)) - first
        DebugOutput.write("{\"name\":\"dirty_pages\",\"pages\":")
        DebugOutput.write(pages)
        DebugOutput.write(",\"checkpoints\":")
        DebugOutput.write(checkpoints)
        DebugOutput.write(",\"rounds\":")
        DebugOutput.write(rounds)
        DebugOutput.write("}\n")
        drop(pmo, max(pages, 1))
    }
}
