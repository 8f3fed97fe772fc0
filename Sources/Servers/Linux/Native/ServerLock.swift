import ABI
import CLinuxServer

/// The big server lock: everything the server knows is read and written with it held. It is
/// released while a server thread waits and while its guest runs. A counter, and a notification for
/// those who must wait (a "benaphore").
final class ServerLock {
    private let holders: UnsafeMutablePointer<UInt64>
    private let notification: Slot

    init() throws(Errno) {
        holders = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        holders.pointee = 0
        notification = try Native.slot(Native.call(.notificationCreate))
    }

    @inline(__always)
    func acquire() {
        if evertree_counter_add(holders, 1) > 0 {
            _ = Native.wait(notification, deadline: Native.forever)
        }
    }

    @inline(__always)
    func release() {
        if evertree_counter_add(holders, UInt64.max) > 1 { Native.signal(notification) }
    }
}
