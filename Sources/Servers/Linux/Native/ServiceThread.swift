import ABI
import CLinuxServer

/// A server thread that serves no guest: timers, the console's doorbell. Runs `work` with the
/// server lock held, again and again; `work` says until when to wait for the thread's notification.
final class ServiceThread {
    let notification: Slot
    private let isInterrupt: Bool
    private let lock: ServerLock
    private let work: () -> UInt64

    /// `notification` nil: one of its own. An interrupt notification is acknowledged after each
    /// round.
    init(lock: ServerLock, notification: Slot?, work: @escaping () -> UInt64) throws(Errno) {
        self.lock = lock
        self.work = work
        isInterrupt = notification != nil
        if let notification {
            self.notification = notification
        } else {
            self.notification = try Native.slot(Native.call(.notificationCreate))
        }
    }

    /// Starts the thread, which lives as long as the server.
    func start() throws(Errno) {
        let argument = UInt64(UInt(bitPattern: Unmanaged.passRetained(self).toOpaque()))
        let started = evertree_start_server_thread(
            { argument in
                guard let pointer = UnsafeRawPointer(bitPattern: UInt(argument)) else { return }
                Unmanaged<ServiceThread>.fromOpaque(pointer).takeUnretainedValue().run()
            }, argument)
        try Native.check(started)
    }

    private func run() {
        while true {
            lock.acquire()
            let deadline = work()
            lock.release()
            if isInterrupt { _ = Native.call(.irqAcknowledge, UInt64(notification.value)) }
            _ = Native.wait(notification, deadline: deadline)
        }
    }
}
