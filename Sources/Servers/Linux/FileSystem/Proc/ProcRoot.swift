/// The mounts that /proc/mounts tells of.
enum MountTable {
    static let text: StaticString = """
        evertree / tmpfs rw,relatime 0 0
        devtmpfs /dev tmpfs rw,relatime 0 0
        proc /proc proc rw,relatime 0 0
        sysfs /sys sysfs ro,relatime 0 0

        """
}

/// /proc itself: fixed names, then one directory for each process.
final class ProcRoot: GeneratedNode {
    private let information: ProcessInformation
    private let fixed: FixedDirectory
    /// Cookies of processes start here, far behind those of the fixed names.
    private static let processBase: UInt64 = 1000

    init(_ fixed: FixedDirectory, _ information: ProcessInformation) {
        self.fixed = fixed
        self.information = information
        super.init()
    }

    override func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? {
        guard let process = name.identifier else { return try fixed.lookUp(name, caller) }
        guard information.processIDs().contains(process) else { return nil }
        let node = ProcessDirectory(process, isThread: false, information)
        return ProcessInodes(information: information)
            .make(process, ProcessInodes.directoryPart, 0, .directory, 0o555, node)
    }

    override func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        let processes = information.processIDs().entries(
            from: cookie, .directory, after: Self.processBase
        ) {
            ProcessInodes.number($0, ProcessInodes.directoryPart)
        }
        return try fixed.entries(from: cookie, caller) + processes
    }
}

/// /proc/self and /proc/thread-self: another target for each reader.
final class SelfLink: GeneratedNode {
    private let isThread: Bool

    init(isThread: Bool) {
        self.isThread = isThread
        super.init()
    }

    override func target(_ caller: Caller) throws(Errno) -> Bytes {
        var text = Bytes()
        text.append(decimal: Int64(caller.processID))
        guard isThread else { return text }
        text.append("/task/")
        text.append(decimal: Int64(caller.threadID))
        return text
    }
}

/// A fixed symbolic link in a generated directory.
final class FixedLink: GeneratedNode {
    private let text: StaticString

    init(_ text: StaticString) {
        self.text = text
        super.init()
    }

    override func target(_ caller: Caller) throws(Errno) -> Bytes { .text(text) }
}
