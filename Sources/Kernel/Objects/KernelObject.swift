import ABI
import Store

/// A body that an object header may point at. The header's kind says which type a body has: the
/// only place that turns a raw pointer into a typed one is here.
protocol KernelObject {
    var id: ObjectID { get }
    /// Whether objects of a kind have bodies of this type.
    static func isBody(of kind: ObjectKind) -> Bool
}

extension CapGroup: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .capGroup }
}
extension CapabilityTable: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .capabilityTable }
}
extension Thread: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .thread }
}
extension Connection: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .connection }
}
extension Notification: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool {
        kind == .notification || kind == .irqNotification
    }
}
extension VMSpace: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .vmSpace }
}
extension Region: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .region }
}
extension PhysicalMemoryObject: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .pmo }
}
extension SystemAuthority: KernelObject {
    static func isBody(of kind: ObjectKind) -> Bool { kind == .system }
}

/// The authority over checkpoint, debug output, interrupt lines and device memory. There is one.
struct SystemAuthority {
    var id: ObjectID
}

/// A body with its type.
enum ObjectBody {
    case capGroup(CapGroupPointer)
    case capabilityTable(CapabilityTablePointer)
    case thread(ThreadPointer)
    case connection(ConnectionPointer)
    case notification(NotificationPointer)
    case vmSpace(VMSpacePointer)
    case region(RegionPointer)
    case pmo(PMOPointer)
    case system(UnsafeMutablePointer<SystemAuthority>)
}

/// What every object has, whatever its kind. 32 bytes.
struct ObjectHeader {
    var kind = ObjectKind.none
    /// Survives the object: the next use of this record has the next generation.
    var generation: UInt32 = 0
    /// Slot of the record that holds the newest committed state; the next checkpoint writes the
    /// other.
    var slot: UInt8 = 1
    var isDirty = false
    /// Dead, but its record is not yet committed as dead or its frames are not yet given back.
    var isDying = false
    var wasCommitted = false
    /// Capabilities plus references from other objects.
    var references: UInt32 = 0
    /// Capabilities to this object.
    var firstCapability = CapabilityRef.none
    /// Nil: there is none (any more). `body` gives it a type.
    private(set) var rawBody: UnsafeMutableRawPointer?

    var hasBody: Bool { rawBody != nil }

    mutating func setBody<Body: KernelObject>(_ body: UnsafeMutablePointer<Body>) {
        assert(Body.isBody(of: kind), "a body of another kind")
        rawBody = UnsafeMutableRawPointer(body)
    }
    mutating func clearBody() { rawBody = nil }

    /// The body, if the object has one and is of a kind with this type.
    func body<Body: KernelObject>(as type: Body.Type) -> UnsafeMutablePointer<Body>? {
        guard Body.isBody(of: kind) else { return nil }
        return rawBody?.assumingMemoryBound(to: Body.self)
    }

    var body: ObjectBody? {
        switch kind {
        case .none: nil
        case .capGroup: body(as: CapGroup.self).map { .capGroup($0) }
        case .capabilityTable: body(as: CapabilityTable.self).map { .capabilityTable($0) }
        case .thread: body(as: Thread.self).map { .thread($0) }
        case .connection: body(as: Connection.self).map { .connection($0) }
        case .notification, .irqNotification:
            body(as: Notification.self).map { .notification($0) }
        case .vmSpace: body(as: VMSpace.self).map { .vmSpace($0) }
        case .region: body(as: Region.self).map { .region($0) }
        case .pmo: body(as: PhysicalMemoryObject.self).map { .pmo($0) }
        case .system: body(as: SystemAuthority.self).map { .system($0) }
        }
    }
}
