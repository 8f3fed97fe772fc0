import ABI
import Machine
import Store

/// Native calls on notifications and IRQ notifications, decoded.
extension Kernel {
    mutating func notificationCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .notificationCreate:
            return try give(try makeNotification().pointee.id, to: frame)
        case .notificationSignal:
            signal(try object(frame.slot(0), of: frame, .write))
            return 0
        case .notificationWait:
            let notification: NotificationPointer = try object(frame.slot(0), of: frame, .read)
            return try takeOrWait(frame.thread, notification, deadline: frame.word(1))
        case .irqAcknowledge:
            let notification: NotificationPointer = try object(frame.slot(0), of: frame, .write)
            if header(notification.pointee.id).pointee.kind == .irqNotification {
                machine.unmask(line: notification.pointee.line)
            }
            return 0
        case .irqCreate:
            try requireSystem(frame.slot(0), of: frame)
            let line = frame.word(1)
            // The outside's line is the console's: after a restore its notification is known by its
            // number.
            guard line < machine.deviceLineCount, line != UInt64(Kernel.doorbellLine) else {
                throw .badArgument
            }
            return try give(try makeIRQNotification(line: UInt8(line)).pointee.id, to: frame)
        default: throw .unknownCall
        }
    }
}
