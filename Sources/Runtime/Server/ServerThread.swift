import ABI
import CServerRuntime

/// Further threads of a server, in its own cap group and VM space.
public enum ServerThread {
    /// Starts a thread that calls `run(argument)` on a fresh stack and then ends. The stack stays
    /// allocated: a server's threads live as long as the server. Returns the thread's slot, or the
    /// error.
    public static func start(
        stackBytes: Int = 64 << 10, argument: UInt64, _ run: @convention(c) (UInt64) -> Void
    ) -> Result<Slot, NativeError> {
        let stack = UnsafeMutableRawPointer.allocate(byteCount: stackBytes, alignment: 16)
        let start = UnsafeMutablePointer<evertree_thread>.allocate(capacity: 1)
        start.initialize(to: evertree_thread(run: run, argument: argument))
        let top = UInt64(UInt(bitPattern: stack + stackBytes))
        let result = Native.call(
            .threadCreate, UInt64(RootSlot.capGroup.value), UInt64(RootSlot.vmSpace.value),
            evertree_thread_entry(),
            top, UInt64(UInt(bitPattern: start)))
        guard result >= 0 else { return .failure(NativeError(rawValue: -result) ?? .unknownCall) }
        return .success(Slot(UInt32(truncatingIfNeeded: result)))
    }
}
