import ABI

/// Threads that wait for one thing to change: a pipe, a child, a console. The big lock guards it.
final class WaitQueue {
    private var waiters: [GuestThread] = []
    /// Grows at each wake-up: edge-triggered epoll asks whether something happened since.
    private(set) var generation: UInt64 = 0

    func add(_ thread: GuestThread) { waiters.append(thread) }

    func remove(_ thread: GuestThread) {
        if let index = waiters.lastIndex(where: { $0 === thread }) { waiters.remove(at: index) }
    }

    /// Lets every waiter look again.
    func wakeAll() {
        generation = generation &+ 1
        for thread in waiters { thread.wake() }
    }
}
