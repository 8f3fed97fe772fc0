import ABI

/// The Linux server: one object that owns everything a guest can name. Its methods are called with
/// `lock` held.
final class Server {
    static let maximumThreads = 4096
    static let maximumID: Int32 = 4_194_304

    let lock: ServerLock
    let calls: CallTable
    let console: Console
    let timers: TimerQueue
    let random: RandomSource
    let futexes = FutexTable()
    let locks = FileLocks()
    let sockets = SocketTable()
    /// Connections from outside of the machine; nil: the store has no room for their rings.
    var connectionRings: ConnectionRings?
    let recordLocks = RecordLockTable()
    let fileSystem: FileSystem
    let processInformation: ServerProcessInformation
    /// Woken at every signal: signalfd(2) and sigtimedwait(2).
    let signalQueue = WaitQueue()
    /// What processes that have ended have instead of memory.
    let emptySpace: AddressSpace
    let startWallClock = Native.wallClock()
    let startMonotonic = Native.monotonic()
    var hostName = Bytes("evertree")

    /// Sorted by id.
    private(set) var processes: [GuestProcess] = []
    private(set) var threads: [GuestThread] = []
    var firstProcess: GuestProcess?
    private var lastID: Int32 = 1

    var workers: [Worker] = []
    var idleWorkers: [Worker] = []

    init(console: Console, statistics: CallStatistics) throws(Errno) {
        lock = try ServerLock()
        self.console = console
        calls = CallTable(statistics: statistics)
        timers = TimerQueue()
        emptySpace = try AddressSpace()
        random = RandomSource()
        processInformation = ServerProcessInformation()
        fileSystem = FileSystem(
            makeContents: { PMOContents() }, process: processInformation,
            now: Timestamp(Native.wallClock()))
        processInformation.server = self
    }

    /// The clock that file times are taken from.
    func stampTime() { fileSystem.now = Timestamp(Native.wallClock()) }

    // MARK: Identifiers

    /// An id that no process, group, session or thread has. 1 belongs to the built-in process.
    func takeID() -> Int32 {
        repeat {
            lastID = lastID >= Server.maximumID ? 2 : lastID &+ 1
        } while isUsed(lastID)
        return lastID
    }

    private func isUsed(_ id: Int32) -> Bool {
        thread(id) != nil || process(id) != nil
            || processes.contains { $0.groupID == id || $0.sessionID == id }
    }

    var newestID: Int32 { lastID }

    func process(_ id: Int32) -> GuestProcess? {
        let index = Server.position(id, processes.count) { processes[$0].id }
        return index < processes.count && processes[index].id == id ? processes[index] : nil
    }

    func thread(_ id: Int32) -> GuestThread? {
        let index = Server.position(id, threads.count) { threads[$0].id }
        return index < threads.count && threads[index].id == id ? threads[index] : nil
    }

    func add(_ process: GuestProcess) {
        processes.insert(
            process, at: Server.position(process.id, processes.count) { processes[$0].id })
    }

    func add(_ thread: GuestThread) {
        threads.insert(thread, at: Server.position(thread.id, threads.count) { threads[$0].id })
    }

    func forget(_ thread: GuestThread) { threads.removeAll { $0 === thread } }

    /// First index whose id is not below `id`.
    private static func position(_ id: Int32, _ count: Int, _ idAt: (Int) -> Int32) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if idAt(middle) < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Process relations

    /// Removes a process that has ended from the tables.
    func reap(_ process: GuestProcess) {
        processes.removeAll { $0 === process }
        process.parent?.children.removeAll { $0 === process }
        process.parent = nil
    }

    /// A program that runs may not be written (ETXTBSY): its text is the file's own pages.
    func isExecuting(_ inode: Inode) -> Bool {
        inode.kind == .regular && processes.contains { $0.executable?.inode === inode }
    }

    func members(ofGroup group: Int32) -> [GuestProcess] {
        processes.filter { $0.groupID == group && !$0.isZombie }
    }

    /// setpgid(2): a group is orphaned when no member has a parent in the same session but another
    /// group.
    func isOrphaned(group: Int32, session: Int32) -> Bool {
        !processes.contains { member in
            guard member.groupID == group, !member.isZombie, let parent = member.parent else {
                return false
            }
            return parent.groupID != group && parent.sessionID == session
        }
    }

    /// Sends a signal to every process of a group, such as ^C to the foreground.
    func raise(_ signal: Signal, group: Int32) {
        for member in members(ofGroup: group) { member.raise(signal) }
    }
}
