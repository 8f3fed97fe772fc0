/// /proc/N/fd and /proc/N/fdinfo: one name for each open descriptor.
final class DescriptorDirectory: GeneratedNode {
    enum Content: UInt8 {
        case link = 0xFD
        case information = 0xFC
    }

    private let process: Int32
    private let content: Content
    private let information: ProcessInformation

    init(_ process: Int32, _ content: Content, _ information: ProcessInformation) {
        self.process = process
        self.content = content
        self.information = information
        super.init()
    }

    override func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? {
        guard let descriptor = name.identifier, information.descriptor(process, descriptor) != nil
        else {
            return nil
        }
        let node = DescriptorNode(process, descriptor, information)
        return ProcessInodes(information: information).make(
            process, content.rawValue, descriptor, kind, content == .link ? 0o700 : 0o444, node)
    }

    override func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        information.descriptors(process).entries(from: cookie, kind) {
            ProcessInodes.number(process, content.rawValue, $0)
        }
    }

    private var kind: NodeKind { content == .link ? .symbolicLink : .regular }
}

/// /proc/N/fd/M: a magic link to what the descriptor refers to; and /proc/N/fdinfo/M.
final class DescriptorNode: GeneratedNode {
    private let process: Int32
    private let descriptor: Int32
    private let information: ProcessInformation

    init(_ process: Int32, _ descriptor: Int32, _ information: ProcessInformation) {
        self.process = process
        self.descriptor = descriptor
        self.information = information
        super.init()
    }

    override func text(_ caller: Caller) throws(Errno) -> Bytes {
        information.descriptorInformation(process, descriptor)
    }

    override func target(_ caller: Caller) throws(Errno) -> Bytes { try found().path }

    override func follow(_ caller: Caller) throws(Errno) -> Inode? {
        guard let inode = try found().inode else { throw .ENXIO }
        return inode
    }

    private func found() throws(Errno) -> (inode: Inode?, path: Bytes) {
        guard let found = information.descriptor(process, descriptor) else { throw .ENOENT }
        return found
    }
}

/// /proc/N/task: one directory for each thread.
final class ThreadDirectory: GeneratedNode {
    private let process: Int32
    private let information: ProcessInformation

    init(_ process: Int32, _ information: ProcessInformation) {
        self.process = process
        self.information = information
        super.init()
    }

    override func lookUp(_ name: Bytes, _ caller: Caller) throws(Errno) -> Inode? {
        guard let thread = name.identifier, information.threadIDs(process).contains(thread) else {
            return nil
        }
        let node = ProcessDirectory(process, isThread: true, information)
        return ProcessInodes(information: information)
            .make(process, ProcessInodes.threadPart, thread, .directory, 0o555, node)
    }

    override func entries(from cookie: UInt64, _ caller: Caller) throws(Errno) -> [DirectoryEntry] {
        information.threadIDs(process).entries(from: cookie, .directory) {
            ProcessInodes.number(process, ProcessInodes.threadPart, $0)
        }
    }
}

extension [UInt8] {
    /// A process, thread or descriptor number as its own name: digits without a leading zero.
    var identifier: Int32? {
        guard let first, first != .newline, last != .newline, first != .zero || count == 1 else {
            return nil
        }
        return decimalValue.flatMap { Int32(exactly: $0) }
    }
}

extension [Int32] {
    /// Entries named by these numbers, in rising order. A number's place follows from the number,
    /// so a reader misses none that stays while others come and go.
    func entries(
        from cookie: UInt64, _ kind: NodeKind, after base: UInt64 = GeneratedNode.firstCookie,
        _ inode: (Int32) -> UInt64
    ) -> [DirectoryEntry] {
        var result: [DirectoryEntry] = []
        for number in sorted() where number >= 0 {
            let place = base + UInt64(number.magnitude)
            if place < cookie { continue }
            var name = Bytes()
            name.append(decimal: Int64(number))
            result.append(
                DirectoryEntry(name: name, inode: inode(number), kind: kind, next: place + 1))
        }
        return result
    }
}
