/// What a capability lets its holder do. Rights only shrink: a copy or a mint may drop bits, never
/// add them.
public struct Rights: OptionSet, Equatable, Sendable {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// PMO, VM space: read contents. Connection, notification: wait or receive.
    public static let read = Rights(rawValue: 1 << 0)
    /// PMO, VM space: change contents. Notification: signal. Thread: kick.
    public static let write = Rights(rawValue: 1 << 1)
    /// PMO: may be mapped executable.
    public static let execute = Rights(rawValue: 1 << 2)
    /// VM space: map, unmap, protect, run threads in it. PMO: resize, decommit.
    public static let manage = Rights(rawValue: 1 << 3)
    /// The capability may be copied, minted, granted and sent.
    public static let grant = Rights(rawValue: 1 << 4)
    /// Connection: call.
    public static let call = Rights(rawValue: 1 << 5)
    /// System: request a checkpoint, write to the debug port, bind interrupts.
    public static let system = Rights(rawValue: 1 << 6)

    public static let all: Rights = [.read, .write, .execute, .manage, .grant, .call, .system]
}

/// The kinds of kernel object (TreeSLS section 3.1, and the region, capability table and system
/// objects of ours).
public enum ObjectKind: UInt8, Sendable {
    case none = 0
    case capGroup = 1
    case thread = 2
    case connection = 3
    case notification = 4
    case irqNotification = 5
    case vmSpace = 6
    case pmo = 7
    /// Part of a cap group: 32 capability slots.
    case capabilityTable = 8
    /// Part of a VM space: one mapped range.
    case region = 9
    /// The authority over checkpoint, debug output and interrupt lines.
    case system = 10
}

/// The kinds of physical memory object.
public enum PMOKind: UInt8, Sendable {
    /// Zero-filled on demand, versioned, rolled back at a restore.
    case anonymous = 0
    /// Contiguous frames that are neither versioned nor rolled back: rings, statistics.
    case eternal = 1
    /// Device registers at a physical address: never cached, never in the store.
    case device = 2
}

/// Access of a mapping. Write implies read.
public struct Protection: OptionSet, Equatable, Sendable {
    public var rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let read = Protection(rawValue: 1)
    public static let write = Protection(rawValue: 2)
    public static let execute = Protection(rawValue: 4)
}
