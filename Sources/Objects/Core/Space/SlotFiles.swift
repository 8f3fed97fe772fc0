import CObjectSpace
import CPersistentMemory
import Glibc
import PersistentMemory
import Synchronization

/// The mapped files of a space as one region: slot after slot, 1 GiB each.
final class SlotFiles: RegionBacking, @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    private let state: Mutex<State>

    private struct State {
        var descriptors: [Int: Int32] = [:]
        /// Pages to write at the next fence.
        var pages: Set<UInt64> = []
        /// Slots with stores that may not be durable.
        var touched: Set<Int> = []
        var diskWaits = 0
    }

    private static let bytes = ObjectLayout.slots << ObjectLayout.slotShift

    init() throws(ObjectError) {
        // Twice: the second half is for translations.
        guard let base = os_reserve(Self.bytes * 2, ObjectLayout.slotBytes) else {
            throw .system(call: "mmap", path: "an object space", code: errno)
        }
        self.base = base
        state = Mutex(State())
    }

    func region(_ domain: PersistenceDomain) -> PersistentRegion {
        PersistentRegion(
            base: base, reservedBytes: Self.bytes, domain: domain, backing: self,
            foundBytes: Self.bytes)
    }

    private func address(_ slot: Int) -> UnsafeMutableRawPointer {
        base + slot << Int(ObjectLayout.slotShift)
    }

    /// Maps a file into a slot; the descriptor is closed with the slot.
    func map(_ slot: Int, _ descriptor: Int32, _ bytes: UInt64, writable: Bool) -> Int32 {
        let code = os_map_file(address(slot), bytes, descriptor, writable ? 1 : 0)
        if code == 0 { state.withLock { $0.descriptors[slot] = descriptor } }
        return code
    }

    func mapMemory(_ slot: Int, _ bytes: UInt64) -> Int32 { os_map_memory(address(slot), bytes) }

    func unmap(_ slot: Int, _ bytes: UInt64) {
        os_unmap(address(slot), bytes)
        let descriptor = state.withLock { state in
            state.touched.remove(slot)
            state.pages = state.pages.filter { Int($0 >> 18) != slot }
            return state.descriptors.removeValue(forKey: slot)
        }
        if let descriptor { _ = Glibc.close(descriptor) }
    }

    func descriptor(_ slot: Int) -> Int32? { state.withLock { $0.descriptors[slot] } }

    func touch(_ slot: Int) { state.withLock { _ = $0.touched.insert(slot) } }

    // MARK: Backing

    var committedBytes: UInt64 { Self.bytes }
    func grow(to bytes: UInt64) throws(PersistentMemoryError) {}
    var diskWaits: Int { state.withLock { $0.diskWaits } }

    func flush(_ offset: UInt64, _ length: Int) {
        state.withLock { state in
            for page in offset >> 12...(offset + UInt64(length) - 1) >> 12 {
                state.pages.insert(page)
            }
        }
    }

    /// Writes the touched pages: runs of neighbours by msync(2); a file with many by fdatasync(2).
    func fence() {
        let (pages, descriptors) = state.withLock { state in
            defer { state.pages.removeAll(keepingCapacity: true) }
            return (state.pages.sorted(), state.descriptors)
        }
        var waits = 0
        var index = 0
        while index < pages.count {
            let slot = Int(pages[index] >> 18)
            let end = pages[index...].firstIndex { Int($0 >> 18) != slot } ?? pages.count
            defer { index = end }
            waits += 1
            if Int(pages[end - 1] - pages[index]) == end - 1 - index {
                let code = msync(
                    base + Int(pages[index] << 12), (end - index) << 12, MS_SYNC)
                precondition(code == 0, "msync failed for an object: errno \(errno)")
            } else if let descriptor = descriptors[slot] {
                synchronize(descriptor)
            }
        }
        state.withLock { $0.diskWaits += waits }
    }

    func settle() {
        let descriptors = state.withLock { state in
            defer {
                state.touched = []
                state.pages = []
            }
            let slots = state.touched.union(state.pages.map { Int($0 >> 18) })
            state.diskWaits += slots.count
            return slots.compactMap { state.descriptors[$0] }
        }
        for descriptor in descriptors { synchronize(descriptor) }
    }

    /// A write-back that failed cannot be undone, and going on would lose durability silently.
    private func synchronize(_ descriptor: Int32) {
        precondition(fdatasync(descriptor) == 0, "fdatasync failed for an object: errno \(errno)")
    }

    /// Transactions on objects never store in place where fences wait for a disk.
    func makePrivate(_ offset: UInt64, _ length: UInt64) -> Bool { false }
    func makeShared(_ offset: UInt64, _ length: UInt64) {}

    func close(keepingReadable: Bool) {
        for slot in state.withLock({ Array($0.descriptors.keys) }) {
            unmap(slot, ObjectLayout.slotBytes)
        }
        munmap(base, Int(Self.bytes * 2))
    }
}
