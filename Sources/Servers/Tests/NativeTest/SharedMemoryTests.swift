import ABI
import CNativeTest
import ServerRuntime

/// Changes of mappings that another core is using.
enum SharedMemoryTests {
    static let address: UInt64 = 0x20_0000_0000
    static let rounds: UInt32 = 200
    static let readWrite = UInt64(Protection.read.rawValue | Protection.write.rawValue)
    static let space = UInt64(RootSlot.vmSpace.value)

    /// A thread reads a word without end while another maps now one object there and now the other.
    /// After `map` has returned, the old object must not be seen any more.
    static func remappingIsSeenEverywhere() -> Bool {
        let first = Native.call(.pmoCreate, 1)
        let second = Native.call(.pmoCreate, 1)
        guard first >= 0, second >= 0, fill(UInt64(first), with: 0), fill(UInt64(second), with: 1)
        else { return false }
        let shared = UnsafeMutablePointer<Shared>.allocate(capacity: 1)
        shared.initialize(to: Shared())
        let started = ServerThread.start(argument: UInt64(UInt(bitPattern: shared))) { argument in
            guard let shared = UnsafeMutablePointer<Shared>(bitPattern: UInt(argument)) else {
                return
            }
            SharedMemoryTests.watch(shared)
        }
        guard case .success = started else { return false }
        for round in 1...rounds {
            let object = UInt64(round % 2 == 0 ? first : second)
            guard Native.call(.map, space, address, pageSize, object, 0, readWrite) == 0 else {
                return false
            }
            native_test_add(&shared.pointee.generation, 1)
            while native_test_read(&shared.pointee.seen) < round { native_test_pause() }
        }
        return native_test_read(&shared.pointee.failures) == 0
    }

    /// For each generation: reads, and says whether it was the object of that generation.
    private static func watch(_ shared: UnsafeMutablePointer<Shared>) {
        var round: UInt32 = 1
        while round <= rounds {
            // The translation stays in use while the mapping changes.
            _ = native_test_load(UInt64(UInt(bitPattern: shared)))
            if round > 1 { _ = native_test_load(address) }
            guard native_test_read(&shared.pointee.generation) >= round else { continue }
            if native_test_load(address) != UInt64(round % 2) {
                native_test_add(&shared.pointee.failures, 1)
            }
            native_test_add(&shared.pointee.seen, 1)
            round += 1
        }
    }

    private static func fill(_ object: UInt64, with value: UInt64) -> Bool {
        guard Native.call(.map, space, address, pageSize, object, 0, readWrite) == 0 else {
            return false
        }
        native_test_store(address, value)
        return native_test_load(address) == value
    }

    /// Ranges over page tables and gaps: mapped, written, unmapped, and zero again when fresh
    /// memory is mapped there.
    static func protectionIsSeenEverywhere() -> Bool {
        let pages: UInt64 = 1100
        let base: UInt64 = 0x20_0020_0000 - 20 * pageSize
        for round: UInt64 in 1...3 {
            let object = Native.call(.pmoCreate, pages)
            guard object >= 0,
                Native.call(.map, space, base, pages * pageSize, UInt64(object), 0, readWrite) == 0
            else { return false }
            for page in stride(from: UInt64(0), to: pages, by: 7) {
                if native_test_load(base + page * pageSize) != 0 { return false }
                native_test_store(base + page * pageSize, round << 32 | page)
            }
            for page in stride(from: UInt64(0), to: pages, by: 7)
            where native_test_load(base + page * pageSize) != round << 32 | page { return false }
            guard Native.call(.unmap, space, base, pages * pageSize) == 0,
                Native.call(.capabilityDelete, UInt64(object)) == 0
            else { return false }
        }
        return true
    }
}
