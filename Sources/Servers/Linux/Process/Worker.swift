import ABI
import CLinuxServer

/// A server thread: it serves one guest thread at a time, and then waits for the next one. Server
/// threads never end, so their stacks are never given back while they still stand on them.
final class Worker {
    let server: Server
    /// What this worker's guest, or the worker itself, waits on.
    let notification: Slot
    /// Where `enterRestricted` finds and leaves the guest's registers. Its address never changes.
    let state: UnsafeMutablePointer<RestrictedState>
    private(set) var nativeThread = Slot(0)
    private var assigned: GuestThread?
    private var isIdle = false

    private init(server: Server) throws(Errno) {
        self.server = server
        notification = try Native.slot(Native.call(.notificationCreate))
        state = UnsafeMutablePointer<RestrictedState>.allocate(capacity: 1)
        state.initialize(to: RestrictedState())
    }

    /// Only a worker whose thread could not be started goes.
    deinit {
        Native.delete(notification)
        state.deallocate()
    }

    /// Has `thread` served, by an idle worker or a new one.
    static func serve(_ thread: GuestThread, server: Server) throws(Errno) {
        if let worker = server.idleWorkers.popLast() {
            worker.assign(thread)
            if worker.isIdle {
                worker.isIdle = false
                Native.signal(worker.notification)
            }
            return
        }
        let worker = try Worker(server: server)
        worker.assign(thread)
        server.workers.append(worker)
        let argument = UInt64(UInt(bitPattern: Unmanaged.passUnretained(worker).toOpaque()))
        let started = evertree_start_server_thread(
            { argument in
                guard let pointer = UnsafeRawPointer(bitPattern: UInt(argument)) else { return }
                Unmanaged<Worker>.fromOpaque(pointer).takeUnretainedValue().run()
            }, argument)
        if started < 0 {
            thread.worker = nil
            server.workers.removeLast()
            throw .EAGAIN
        }
        worker.nativeThread = Slot(UInt32(truncatingIfNeeded: started))
    }

    private func assign(_ thread: GuestThread) {
        assigned = thread
        thread.worker = self
        state.pointee.registers = thread.startRegisters
    }

    private func run() {
        server.lock.acquire()
        while true {
            if let thread = assigned {
                thread.startFPU.load()
                thread.run()
                thread.worker = nil
                assigned = nil
                server.idleWorkers.append(self)
            } else {
                isIdle = true
                server.lock.release()
                _ = Native.wait(notification, deadline: Native.forever)
                server.lock.acquire()
            }
        }
    }
}
