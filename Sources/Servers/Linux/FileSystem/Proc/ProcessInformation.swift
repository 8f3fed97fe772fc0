/// Hundredths of a second (`USER_HZ`).
public typealias ProcessorTicks = (user: UInt64, system: UInt64, idle: UInt64)

/// What /proc shows of processes and of the machine. The server subclasses it; the defaults are
/// those of a machine without processes.
open class ProcessInformation {
    public init() {}

    // MARK: Processes
    /// Identifiers of all processes, in any order.
    open func processIDs() -> [Int32] { [] }
    /// Effective user and group: who owns /proc/N, so that a process that gave up being the
    /// superuser can still list its own descriptors.
    open func owner(_ process: Int32) -> (user: UInt32, group: UInt32) { (0, 0) }
    open func threadIDs(_ process: Int32) -> [Int32] { [] }
    /// Arguments, each ended by a zero byte.
    open func commandLine(_ process: Int32) -> Bytes { [] }
    /// Environment, each entry ended by a zero byte.
    open func environment(_ process: Int32) -> Bytes { [] }
    /// Name of the program, at most 15 bytes (comm).
    open func commandName(_ process: Int32) -> Bytes { [] }
    open func setCommandName(_ process: Int32, _ name: Bytes) {}
    /// Whole text of /proc/N/stat.
    open func statLine(_ process: Int32) -> Bytes { [] }
    /// Whole text of /proc/N/status.
    open func statusText(_ process: Int32) -> Bytes { [] }
    /// Whole text of /proc/N/maps.
    open func maps(_ process: Int32) -> Bytes { [] }
    open func executable(_ process: Int32) -> (inode: Inode, path: Bytes)? { nil }
    open func workingDirectory(_ process: Int32) -> Inode? { nil }
    open func root(_ process: Int32) -> Inode? { nil }
    /// Numbers of open descriptors, in any order.
    open func descriptors(_ process: Int32) -> [Int32] { [] }
    /// What a descriptor refers to; the path is shown by readlink(2), such as "/etc/passwd" or
    /// "pipe:[12]".
    open func descriptor(_ process: Int32, _ fd: Int32) -> (inode: Inode?, path: Bytes)? { nil }
    /// Whole text of /proc/N/fdinfo/M.
    open func descriptorInformation(_ process: Int32, _ fd: Int32) -> Bytes { [] }

    // MARK: Machine
    /// Whole text of a file of /proc/net.
    func network(_ item: NetworkItem) -> Bytes { [] }
    /// Pages of 4 KiB.
    open func memoryPages() -> (total: UInt64, free: UInt64) { (0, 0) }
    open func uptimeNanoseconds() -> UInt64 { 0 }
    /// Processor time since the start, of all processors together.
    open func processorTicks() -> ProcessorTicks { (0, 0, 0) }
    /// What /proc/cpuinfo shows as "model name".
    open func processorName() -> Bytes { .text("virtual processor") }
    /// Wall time at which the uptime was 0, seconds since 1970.
    open func bootEpochSeconds() -> Int64 { 0 }
    open func hostName() -> Bytes { .text("localhost") }
    open func setHostName(_ name: Bytes) {}
    open func cpuCount() -> Int { 1 }
    open func loadedThreads() -> (running: Int, total: Int, lastID: Int32) { (0, 0, 0) }
    /// A new random UUID, 36 characters.
    open func randomUUID() -> Bytes { .text("00000000-0000-4000-8000-000000000000") }
    /// `release` of uname(2), without a newline.
    open func kernelRelease() -> Bytes { .text("6.1.0-evertree") }
    /// `version` of uname(2), without a newline.
    open func kernelVersion() -> Bytes { .text("#1 SMP Evertree") }
}
