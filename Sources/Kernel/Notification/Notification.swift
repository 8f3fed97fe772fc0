import ABI

/// A counting semaphore. An IRQ notification is one that an interrupt line signals.
struct Notification {
    var id: ObjectID
    var count: UInt64 = 0
    var waiters = ThreadQueue()
    /// Interrupt line, for an IRQ notification.
    var line: UInt8 = 0
}

typealias NotificationPointer = UnsafeMutablePointer<Notification>
