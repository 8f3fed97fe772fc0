/// Who waits on which futex word (futex(2)). All operations hold the server lock, which makes
/// "check and wait" atomic.
final class FutexTable {
    /// Private words are named by space and address; shared ones by PMO and offset.
    struct Key: Equatable {
        let object: ObjectIdentifier
        let offset: UInt64
        var bucket: Int { Int(truncatingIfNeeded: (offset >> 2 ^ offset >> 12) & 63) }
    }

    final class Waiter {
        let thread: GuestThread
        var key: Key
        let bits: UInt32
        var isWoken = false
        init(thread: GuestThread, key: Key, bits: UInt32) {
            self.thread = thread
            self.key = key
            self.bits = bits
        }
    }

    private var buckets = [[Waiter]](repeating: [], count: 64)

    static func key(_ space: AddressSpace, _ address: UInt64) -> Key {
        if let area = space.area(at: address), area.isShared, let memory = area.memory {
            return Key(
                object: ObjectIdentifier(memory), offset: area.offset &+ (address &- area.start))
        }
        return Key(object: ObjectIdentifier(space), offset: address)
    }

    func add(_ waiter: Waiter) { buckets[waiter.key.bucket].append(waiter) }

    func remove(_ waiter: Waiter) { buckets[waiter.key.bucket].removeAll { $0 === waiter } }

    @discardableResult
    func wake(space: AddressSpace, address: UInt64, count: UInt64, bits: UInt32 = .max) -> UInt64 {
        wake(FutexTable.key(space, address), count: count, bits: bits)
    }

    func wake(_ key: Key, count: UInt64, bits: UInt32 = .max) -> UInt64 {
        var woken: UInt64 = 0
        buckets[key.bucket].removeAll { waiter in
            guard woken < count, waiter.key == key, waiter.bits & bits != 0 else { return false }
            waiter.isWoken = true
            waiter.thread.wake()
            woken += 1
            return true
        }
        return woken
    }

    /// Wakes some and lets others wait on another word instead.
    func requeue(_ key: Key, to other: Key, wake count: UInt64, move limit: UInt64) -> (
        woken: UInt64, moved: UInt64
    ) {
        let woken = wake(key, count: count)
        var moved: [Waiter] = []
        buckets[key.bucket].removeAll { waiter in
            guard UInt64(moved.count) < limit, waiter.key == key else { return false }
            moved.append(waiter)
            return true
        }
        for waiter in moved {
            waiter.key = other
            add(waiter)
        }
        return (woken, UInt64(moved.count))
    }
}
