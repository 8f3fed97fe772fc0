import ABI

/// A way to call a server: callers wait for a receiver, receivers for a caller.
struct Connection {
    var id: ObjectID
    /// The PMO that both sides may share, and the capability that it was given with: what
    /// `connectionMemory` hands out derives from it, and goes with it. Neither is a reference: both
    /// are checked when they are used.
    var memory = ObjectID.none
    var source = CapabilityRef.none
    var callers = ThreadQueue()
    var receivers = ThreadQueue()
}

typealias ConnectionPointer = UnsafeMutablePointer<Connection>
