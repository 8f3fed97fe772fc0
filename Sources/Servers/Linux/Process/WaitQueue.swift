import ABI

/// Threads that wait for one thing to change, and epoll files that watch it: a pipe, a child, a
/// socket. The big lock guards it.
final class WaitQueue {
    private var waiters: [GuestThread] = []
    private var watchers: [EpollInterest] = []

    func add(_ thread: GuestThread) { waiters.append(thread) }

    func remove(_ thread: GuestThread) {
        if let index = waiters.lastIndex(where: { $0 === thread }) { waiters.remove(at: index) }
    }

    func add(_ watcher: EpollInterest) { watchers.append(watcher) }

    func remove(_ watcher: EpollInterest) {
        guard let index = watchers.lastIndex(where: { $0 === watcher }) else { return }
        watchers.swapAt(index, watchers.count - 1)
        watchers.removeLast()
    }

    /// Lets every waiter look again, and tells epoll files which events (`PollEvents`) came.
    func wakeAll(_ events: UInt32 = .max) {
        for thread in waiters { thread.wake() }
        for watcher in watchers { watcher.happened(events) }
    }
}
