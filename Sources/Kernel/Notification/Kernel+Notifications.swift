import ABI
import Machine
import Store

/// Notifications and IRQ notifications: count, wake, wait.
extension Kernel {
    mutating func makeNotification() throws(NativeError) -> NotificationPointer {
        let id = try newIdentity(large: false)
        guard let place = notifications.allocate(Notification(id: id)) else { throw noRoom(id) }
        attach(.notification, place)
        return place
    }

    mutating func makeIRQNotification(line: UInt8) throws(NativeError) -> NotificationPointer {
        let place = try makeNotification()
        place.pointee.line = line
        header(place.pointee.id).pointee.kind = .irqNotification
        return place
    }

    mutating func buryNotification(_ notification: NotificationPointer) {
        if doorbell == notification { doorbell = nil }
        wakeAll(&notification.pointee.waiters, with: .gone)
        notifications.free(notification)
    }

    mutating func signal(_ notification: NotificationPointer) {
        if let waiter = notification.pointee.waiters.popFirst() {
            wake(waiter, result: 0)
        } else {
            notification.pointee.count &+= 1
            markDirty(notification.pointee.id)
        }
    }

    /// Takes one count, or waits. Nil: the thread waits.
    mutating func takeOrWait(
        _ thread: ThreadPointer, _ notification: NotificationPointer, deadline: UInt64
    ) throws(NativeError) -> UInt64? {
        if notification.pointee.count > 0 {
            notification.pointee.count -= 1
            markDirty(notification.pointee.id)
            return 0
        }
        if deadline <= now { throw .timedOut }
        withUnsafeMutablePointer(to: &notification.pointee.waiters) {
            wait(
                thread, .waitingNotification, on: notification.pointee.id, deadline: deadline,
                queue: $0)
        }
        return nil
    }

    mutating func deviceInterrupt(_ line: UInt8) {
        if let doorbell, doorbell.pointee.line == line {
            // A doorbell says "look": many rings before a look are one.
            if doorbell.pointee.count == 0 { signal(doorbell) }
            machine.unmask(line: line)
            return
        }
        for number in 0..<objects.pointee.highSmall {
            let header = objects.pointee.header(number).pointee
            guard header.kind == .irqNotification,
                let notification = header.body(as: Notification.self),
                notification.pointee.line == line
            else { continue }
            signal(notification)
        }
    }
}
