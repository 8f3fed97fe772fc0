/// All sockets of the machine, and the names they are found by.
///
/// Invariants: a socket is in `all` at its `place` from its making to its close; a name leads to a
/// socket that is not closed. The costs of making, binding, finding and closing do not grow with
/// the number of sockets.
final class SocketTable {
    private(set) var all: [Socket] = []
    /// Abstract names of unix(7): an inode for each, which carries a `UnixName`.
    let abstract = Directory()
    private var nextAutomaticName: UInt32 = 0
    let streams = PortTable()
    let datagrams = PortTable()
    /// Descriptors under way in messages.
    private(set) var filesUnderWay = 0
    private var fallen: [OpenFile] = []
    private var isDropping = false

    func add(_ socket: Socket) {
        socket.place = all.count
        all.append(socket)
    }

    func remove(_ socket: Socket) {
        guard socket.place >= 0, socket.place < all.count, all[socket.place] === socket else {
            return
        }
        let last = all.count - 1
        all.swapAt(socket.place, last)
        all[socket.place].place = socket.place
        all.removeLast()
        socket.place = -1
    }

    /// Five hexadecimal digits that no socket has (unix(7), "Autobind feature").
    func automaticName(_ kind: SocketKind) -> Bytes? {
        for _ in 0..<0x10_0000 {
            var name: Bytes = [0]
            name.append(hexadecimal: UInt64(nextAutomaticName), width: 5)
            nextAutomaticName = (nextAutomaticName + 1) & 0xF_FFFF
            let key = UnixPlace.key(name, kind)
            if abstract.inode(named: key[...]) == nil { return name }
        }
        return nil
    }

    /// Descriptors go into a message: one more use each.
    func send(_ files: [OpenFile]) {
        filesUnderWay += files.count
        for file in files { file.use() }
    }

    /// They have arrived: whoever took them holds their uses.
    func arrived(_ files: [OpenFile]) { filesUnderWay -= files.count }

    /// They never will. A loop instead of a recursion: a socket under way may hold messages with
    /// sockets, and so on.
    func drop(_ files: [OpenFile]) {
        filesUnderWay -= files.count
        release(files)
    }

    func release(_ files: [OpenFile]) {
        fallen += files
        if isDropping { return }
        isDropping = true
        while let file = fallen.popLast() { file.drop() }
        isDropping = false
    }
}

/// What a socket's name carries: in the file system, or in the abstract name space.
final class UnixName: InodeAttachment {
    let socket: Socket
    init(_ socket: Socket) {
        self.socket = socket
        super.init()
    }
}
