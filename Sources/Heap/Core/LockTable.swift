import Glibc
import Synchronization

/// Locks that transactions own until they end (strict two-phase locking), with deadlocks found when
/// a wait would close a circle. Volatile: no lock survives a restart.
///
/// Invariants
/// 1. An object has either one exclusive holder or any number of shared ones.
/// 2. The waits-for graph (waiting lane -> holding lanes) has no circle: the wait that would close
///    one is refused.
final class LockTable: @unchecked Sendable {
    private struct Entry {
        var exclusive: Int?
        var shared: Set<Int> = []
    }

    private var entries: [UInt64: Entry] = [:]
    private var held: [[UInt64]]
    private var waitsFor: [Set<Int>]
    /// Threads that run a transaction, by lane; 0 = lane free.
    private var owners: [UInt64]
    private var depths: [Int]
    private var isGateClosed = false
    private var mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(laneCount: Int) {
        held = Array(repeating: [], count: laneCount)
        waitsFor = Array(repeating: [], count: laneCount)
        owners = Array(repeating: 0, count: laneCount)
        depths = Array(repeating: 0, count: laneCount)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    // MARK: Lanes

    /// The lane of a thread's running transaction, deeper by one, or a free lane (waiting for one
    /// if need be).
    func enter(thread: UInt64) -> (lane: Int, isNew: Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if let lane = owners.firstIndex(of: thread) {
            depths[lane] += 1
            return (lane, false)
        }
        while true {
            // Lane 0 is the heap's own.
            if !isGateClosed,
                let lane = owners.indices.dropFirst().first(where: { owners[$0] == 0 })
            {
                owners[lane] = thread
                return (lane, true)
            }
            pthread_cond_wait(changed, mutex)
        }
    }

    /// True if this was the outermost end.
    func isOutermost(_ lane: Int) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if depths[lane] == 0 { return true }
        depths[lane] -= 1
        return false
    }

    /// Releases all locks of a lane, and the lane.
    func end(_ lane: Int) {
        pthread_mutex_lock(mutex)
        for offset in held[lane] {
            entries[offset]?.shared.remove(lane)
            if entries[offset]?.exclusive == lane { entries[offset]?.exclusive = nil }
            if let entry = entries[offset], entry.exclusive == nil, entry.shared.isEmpty {
                entries[offset] = nil
            }
        }
        held[lane].removeAll(keepingCapacity: true)
        owners[lane] = 0
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Waits until no transaction runs and keeps new ones out until the gate is opened.
    func closeGate() {
        pthread_mutex_lock(mutex)
        while isGateClosed { pthread_cond_wait(changed, mutex) }
        isGateClosed = true
        while owners.contains(where: { $0 != 0 }) { pthread_cond_wait(changed, mutex) }
        pthread_mutex_unlock(mutex)
    }

    func openGate() {
        pthread_mutex_lock(mutex)
        isGateClosed = false
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    // MARK: Locks

    func holdsExclusively(_ offset: UInt64, lane: Int) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return entries[offset]?.exclusive == lane
    }

    func acquire(_ offset: UInt64, lane: Int, exclusive: Bool) throws {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            let blockers = blockers(offset, lane, exclusive)
            if blockers.isEmpty { break }
            waitsFor[lane] = blockers
            if let cycle = cycle(from: lane) {
                waitsFor[lane] = []
                throw HeapError.deadlock(cycle: cycle)
            }
            pthread_cond_wait(changed, mutex)
            waitsFor[lane] = []
        }
        grant(offset, lane, exclusive)
    }

    private func blockers(_ offset: UInt64, _ lane: Int, _ exclusive: Bool) -> Set<Int> {
        guard let entry = entries[offset] else { return [] }
        var others: Set<Int> = exclusive ? entry.shared : []
        if let holder = entry.exclusive { others.insert(holder) }
        others.remove(lane)
        return others
    }

    private func grant(_ offset: UInt64, _ lane: Int, _ exclusive: Bool) {
        var entry = entries[offset] ?? Entry()
        let isNew = entry.exclusive != lane && !entry.shared.contains(lane)
        if exclusive {
            entry.exclusive = lane
            entry.shared.remove(lane)
        } else if entry.exclusive != lane {
            entry.shared.insert(lane)
        }
        entries[offset] = entry
        if isNew { held[lane].append(offset) }
    }

    /// Lanes on a path from `lane` back to itself.
    private func cycle(from lane: Int) -> [Int]? {
        var path: [Int] = []
        var visited: Set<Int> = []
        func visit(_ at: Int) -> Bool {
            path.append(at)
            for next in waitsFor[at].sorted() {
                if next == lane { return true }
                if visited.insert(next).inserted, visit(next) { return true }
            }
            path.removeLast()
            return false
        }
        return visit(lane) ? path : nil
    }
}
