import ABI
import Machine
import Store

/// A notification's record (Docs/store-format.md).
extension Kernel {
    func encode(_ notification: NotificationPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(notification.pointee.count)
        writer.append(UInt64(notification.pointee.line))
    }

    mutating func decodeNotification(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> NotificationPointer? {
        var body = Notification(id: id)
        body.count = reader.next()
        body.line = UInt8(truncatingIfNeeded: reader.next())
        return notifications.allocate(body)
    }

    func describe(_ notification: NotificationPointer, _ emit: (UInt64) -> Void) {
        emit(notification.pointee.count)
        emit(UInt64(notification.pointee.line))
        describe(notification.pointee.waiters, emit)
    }
}
