import ABI

/// Working directory, root and umask: shared by threads (CLONE_FS).
final class FileSystemView {
    var root: Inode
    var workingDirectory: Inode
    var umask: UInt32 = 0o022

    init(root: Inode, workingDirectory: Inode) {
        self.root = root
        self.workingDirectory = workingDirectory
    }
    init(copying other: FileSystemView) {
        root = other.root
        workingDirectory = other.workingDirectory
        umask = other.umask
    }
}

/// Who a process is, for permissions (credentials(7)).
struct Identity {
    var realUser: UInt32 = 0, effectiveUser: UInt32 = 0, savedUser: UInt32 = 0
    var realGroup: UInt32 = 0, effectiveGroup: UInt32 = 0, savedGroup: UInt32 = 0
    var groups: [UInt32] = [0]
    var isSuperuser: Bool { effectiveUser == 0 }

    /// The superuser.
    init() {}

    /// As after setgroups(2), setgid(2) and setuid(2).
    init(user: UInt32, group: UInt32, groups: [UInt32]) {
        (realUser, effectiveUser, savedUser) = (user, user, user)
        (realGroup, effectiveGroup, savedGroup) = (group, group, group)
        self.groups = groups.isEmpty ? [group] : groups
    }
}

/// Nanoseconds that threads were served, less what they waited.
struct ProcessTimes {
    var own: UInt64 = 0
    var children: UInt64 = 0
}

/// How a process ended or changed, in wait(2)'s encoding.
struct WaitStatus: Equatable {
    let value: UInt32
    static func exited(_ code: UInt32) -> WaitStatus { WaitStatus(value: (code & 0xFF) << 8) }
    static func killed(_ signal: Signal) -> WaitStatus {
        WaitStatus(value: UInt32(bitPattern: signal.number))
    }
    static func stopped(_ signal: Signal) -> WaitStatus {
        WaitStatus(value: UInt32(bitPattern: signal.number) << 8 | 0x7F)
    }
    static let proceeded = WaitStatus(value: 0xFFFF)

    var isExit: Bool { value & 0x7F == 0 }
    /// As `$?` in a shell.
    var shellStatus: UInt32 { isExit ? value >> 8 & 0xFF : 128 &+ (value & 0x7F) }
}

/// A Linux process: a thread group with its address space, descriptors and signal actions.
final class GuestProcess {
    let id: Int32
    let server: Server
    /// nil: a child of the built-in process 1.
    var parent: GuestProcess?
    var children: [GuestProcess] = []
    var threads: [GuestThread] = []
    var space: AddressSpace
    var descriptors: DescriptorTable
    var view: FileSystemView
    var actions: SignalActions
    var signals = SignalQueue()
    var identity = Identity()
    var groupID: Int32
    var sessionID: Int32
    var hasTerminal = true
    /// Sent to the parent at the end (clone's low byte); 0: none.
    var exitSignal: Int32 = Signal.child.number

    var isExiting = false
    var exitStatus = WaitStatus.exited(0)
    var isZombie = false
    var stopSignal: Signal?
    /// A stop or a continuation that wait(2) has not reported yet.
    var unreported: WaitStatus?
    let childQueue = WaitQueue()
    let threadQueue = WaitQueue()
    var vforkDone = true

    var hasExecuted = false
    var executable: FileMapping?
    var commandLine: (start: UInt64, end: UInt64) = (0, 0)
    var environment: (start: UInt64, end: UInt64) = (0, 0)
    var name: Bytes = []
    var alarm: ServerTimer?
    let startNanoseconds = Native.monotonic()
    var times = ProcessTimes()
    var limits = ResourceLimits()
    var isDumpable: UInt64 = 1
    var isSubreaper = false

    init(
        id: Int32, server: Server, space: AddressSpace, descriptors: DescriptorTable,
        view: FileSystemView,
        actions: SignalActions
    ) {
        self.id = id
        self.server = server
        self.space = space
        self.descriptors = descriptors
        self.view = view
        self.actions = actions
        groupID = id
        sessionID = id
    }

    var parentID: Int32 { parent?.id ?? (id == 1 ? 0 : 1) }
    var memory: GuestMemory { space.memory }

    /// Wakes every thread that waits or runs, so that it looks at its signals and at the state of
    /// the process.
    func interruptThreads() {
        for thread in threads { thread.interrupt() }
    }

    /// CPU time of the process so far, nanoseconds: of threads that ended and of those that live.
    var ownTime: UInt64 {
        threads.reduce(times.own) { $0 &+ $1.servedNanoseconds }
    }
}
