import ABI

/// Requests of ioctl_tty(2) and ioctl(2) that are answered.
enum TerminalRequest {
    static let getAttributes: UInt32 = 0x5401, setAttributes: UInt32 = 0x5402,
        setAttributesWait: UInt32 = 0x5403
    static let setAttributesFlush: UInt32 = 0x5404, sendBreak: UInt32 = 0x5409,
        flow: UInt32 = 0x540A
    static let flush: UInt32 = 0x540B, takeControl: UInt32 = 0x540E, getGroup: UInt32 = 0x540F
    static let setGroup: UInt32 = 0x5410, outputQueued: UInt32 = 0x5411, getSize: UInt32 = 0x5413
    static let setSize: UInt32 = 0x5414, bytesReadable: UInt32 = 0x541B,
        nonBlocking: UInt32 = 0x5421
    static let giveUpControl: UInt32 = 0x5422, getSession: UInt32 = 0x5429
    static let keepOnExec: UInt32 = 0x5450, closeOnExec: UInt32 = 0x5451,
        asynchronous: UInt32 = 0x5452
}

/// The line discipline (termios(3)): what typed bytes become before a program reads them.
final class Terminal {
    private enum Input {
        static let ignoreCR: UInt32 = 0o200, mapCR: UInt32 = 0o400, mapNL: UInt32 = 0o100
    }
    private enum Output { static let process: UInt32 = 1, mapNL: UInt32 = 4 }
    private enum Local {
        static let signals: UInt32 = 1, canonical: UInt32 = 2, echo: UInt32 = 0o10,
            echoErase: UInt32 = 0o20
        static let echoKill: UInt32 = 0o40, echoNL: UInt32 = 0o100, keep: UInt32 = 0o200,
            stopBackground: UInt32 = 0o400
        static let echoControl: UInt32 = 0o1000
    }
    private enum Character {
        static let interrupt = 0, quit = 1, erase = 2, kill = 3, endOfFile = 4, time = 5,
            minimum = 6, suspend = 10
        static let endOfLine = 11, word = 14
    }
    static let controlCharacters = 19
    static let lineLimit = 4096

    private var inputFlags: UInt32 = 0o400 | 0o2000
    private var outputFlags: UInt32 = 5
    private var controlFlags: UInt32 = 0o277
    private var localFlags: UInt32 = 0o105073
    private var characters: Bytes = [
        3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
    ]
    private var rows: UInt16 = 24
    private var columns: UInt16 = 80
    private(set) var foregroundGroup: Int32 = 0
    private(set) var session: Int32 = 0

    /// The line being typed, and what programs may read. An empty element of `lines` is an end of
    /// file.
    private var editing: Bytes = []
    private var lines: [Bytes] = []
    private var isHungUp = false

    private var isCanonical: Bool { localFlags & Local.canonical != 0 }
    var translatesNewlines: Bool {
        outputFlags & (Output.process | Output.mapNL) == Output.process | Output.mapNL
    }
    var stopsBackgroundOutput: Bool { localFlags & Local.stopBackground != 0 }
    /// Ends of file count too: any number of them may be typed.
    var isFull: Bool {
        lines.reduce(editing.count) { $0 + max($1.count, 1) } > 2 * Terminal.lineLimit
    }
    var hasInput: Bool { isHungUp || !lines.isEmpty || (!isCanonical && !editing.isEmpty) }

    func becomeControlling(session: Int32, group: Int32) {
        self.session = session
        foregroundGroup = group
    }

    /// The session leader has ended: the foreground gets SIGHUP and the terminal is free.
    func sessionEnded(_ ended: Int32, _ server: Server) {
        guard ended == session else { return }
        server.raise(.hangup, group: foregroundGroup)
        session = 0
    }

    // MARK: Reading

    /// What a read gets now; empty at the end of file; nil: wait.
    func take(_ count: Int) -> Bytes? {
        if !isCanonical {
            if !lines.isEmpty { editing = lines.reduce([], +) + editing }
            lines = []
            if editing.isEmpty { return isHungUp || characters[Character.minimum] == 0 ? [] : nil }
            let part = Bytes(editing.prefix(count))
            editing.removeFirst(part.count)
            return part
        }
        guard let line = lines.first else { return isHungUp ? [] : nil }
        let part = Bytes(line.prefix(count))
        if part.count == line.count {
            lines.removeFirst()
        } else {
            lines[0].removeFirst(part.count)
        }
        return part
    }

    /// Background processes that touch their terminal are stopped (setpgid(2)).
    func checkBackground(_ thread: GuestThread, _ signal: Signal) throws(Errno) {
        let process = thread.process
        guard process.hasTerminal, process.sessionID == session, process.groupID != foregroundGroup,
            foregroundGroup != 0
        else { return }
        if thread.blocked & signal.bit != 0 || process.actions.isIgnored(signal)
            || process.server.isOrphaned(group: process.groupID, session: session)
        {
            if signal == .terminalInput { throw .EIO }
            return
        }
        process.server.raise(signal, group: process.groupID)
        throw .restartWithFlag
    }

    // MARK: Typing

    func hangUp() { isHungUp = true }

    func resize(rows: UInt16, columns: UInt16, _ server: Server) {
        if rows == self.rows, columns == self.columns { return }
        self.rows = rows
        self.columns = columns
        server.raise(.windowChange, group: foregroundGroup)
    }

    /// One byte from the keyboard.
    func type(_ typed: UInt8, _ server: Server) {
        var byte = typed
        if byte == 13 {
            if inputFlags & Input.ignoreCR != 0 { return }
            if inputFlags & Input.mapCR != 0 { byte = 10 }
        } else if byte == 10, inputFlags & Input.mapNL != 0 {
            byte = 13
        }
        if localFlags & Local.signals != 0, let signal = signal(for: byte) {
            echo(byte, server)
            if localFlags & Local.keep == 0 { editing = [] }
            server.raise(signal, group: foregroundGroup)
        } else if isCanonical {
            edit(byte, server)
        } else {
            echo(byte, server)
            editing.append(byte)
        }
    }

    private func signal(for byte: UInt8) -> Signal? {
        if byte == 0 { return nil }
        if byte == characters[Character.interrupt] { return .interrupt }
        if byte == characters[Character.quit] { return .quit }
        if byte == characters[Character.suspend] { return .terminalStop }
        return nil
    }

    private func edit(_ byte: UInt8, _ server: Server) {
        if byte == characters[Character.erase] {
            erase(server)
        } else if byte == characters[Character.kill] {
            while !editing.isEmpty { erase(server) }
        } else if byte == characters[Character.word] {
            while editing.last == 32 { erase(server) }
            while let last = editing.last, last != 32 { erase(server) }
        } else if byte == characters[Character.endOfFile], byte != 0 {
            lines.append(editing)
            editing = []
        } else if byte == 10 || (byte != 0 && byte == characters[Character.endOfLine]) {
            echo(byte, server)
            lines.append(editing + [byte])
            editing = []
        } else if editing.count < Terminal.lineLimit - 1 {
            echo(byte, server)
            editing.append(byte)
        }
    }

    private func erase(_ server: Server) {
        guard let last = editing.popLast(), localFlags & Local.echo != 0 else { return }
        let width = last < 32 ? 2 : 1
        for _ in 0..<width { _ = server.console.write(.standardOutput, [8, 32, 8]) }
    }

    private func echo(_ byte: UInt8, _ server: Server) {
        if localFlags & Local.echo == 0 { return }
        var shown: Bytes = [byte]
        if byte < 32, byte != 10, byte != 9, localFlags & Local.echoControl != 0 {
            shown = [94, byte &+ 64]
        }
        _ = server.console.write(.standardOutput, translate(shown))
    }

    /// Output processing: a newline becomes carriage return and newline.
    func translate(_ bytes: Bytes) -> Bytes {
        if !translatesNewlines { return bytes }
        var result = Bytes()
        result.reserveCapacity(bytes.count)
        for byte in bytes {
            if byte == 10 { result.append(13) }
            result.append(byte)
        }
        return result
    }

    // MARK: Attributes

    /// struct termios of the kernel: four flag words, the line number and 19 control characters (36
    /// bytes).
    private var attributes: Bytes {
        var writer = ByteWriter(capacity: 36)
        for word in [inputFlags, outputFlags, controlFlags, localFlags] { writer.put32(word) }
        writer.put8(0)
        writer.put(characters)
        return writer.bytes
    }

    /// The same bytes as `attributes`.
    func setAttributes(_ bytes: Bytes) {
        inputFlags = bytes.load32(0)
        outputFlags = bytes.load32(4)
        controlFlags = bytes.load32(8)
        localFlags = bytes.load32(12)
        characters = Bytes(bytes[17..<36])
    }

    func control(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread) throws(Errno)
        -> Int64
    {
        let memory = thread.memory
        switch request {
        case TerminalRequest.getAttributes: try memory.write(attributes, to: argument)
        case TerminalRequest.setAttributes, TerminalRequest.setAttributesWait,
            TerminalRequest.setAttributesFlush:
            setAttributes(try memory.read(argument, count: 36))
            if request == TerminalRequest.setAttributesFlush { clear() }
        case TerminalRequest.flush: clear()
        case TerminalRequest.sendBreak, TerminalRequest.flow: break
        case TerminalRequest.getSize:
            var writer = ByteWriter(capacity: 8)
            for word in [rows, columns, 0, 0] { writer.put16(word) }
            try memory.write(writer.bytes, to: argument)
        case TerminalRequest.setSize:
            let bytes = try memory.read(argument, count: 8)
            resize(rows: bytes.load16(0), columns: bytes.load16(2), thread.server)
        case TerminalRequest.outputQueued: try memory.store32(0, to: argument)
        case TerminalRequest.bytesReadable:
            let count = lines.reduce(isCanonical ? 0 : editing.count) { $0 + $1.count }
            try memory.store32(UInt32(truncatingIfNeeded: count), to: argument)
        default: return try controlSession(request, argument, thread)
        }
        return 0
    }

    private func clear() {
        editing = []
        lines = []
    }

    private func controlSession(_ request: UInt32, _ argument: UInt64, _ thread: GuestThread)
        throws(Errno) -> Int64
    {
        let process = thread.process
        let isMine = process.hasTerminal && process.sessionID == session
        switch request {
        case TerminalRequest.getGroup:
            guard isMine else { throw .ENOTTY }
            try thread.memory.store32(UInt32(bitPattern: foregroundGroup), to: argument)
        case TerminalRequest.setGroup:
            guard isMine else { throw .ENOTTY }
            try checkBackground(thread, .terminalOutput)
            let group = Int32(bitPattern: try thread.memory.load32(argument))
            guard group > 0 else { throw .EINVAL }
            let members = thread.server.members(ofGroup: group)
            guard let first = members.first else { throw .ESRCH }
            guard first.sessionID == session else { throw .EPERM }
            foregroundGroup = group
        case TerminalRequest.getSession:
            guard isMine else { throw .ENOTTY }
            try thread.memory.store32(UInt32(bitPattern: session), to: argument)
        case TerminalRequest.takeControl:
            guard process.id == process.sessionID, session == 0 || isMine else { throw .EPERM }
            process.hasTerminal = true
            becomeControlling(session: process.sessionID, group: process.groupID)
        case TerminalRequest.giveUpControl:
            guard isMine else { throw .ENOTTY }
            process.hasTerminal = false
        default: throw .ENOTTY
        }
        return 0
    }
}
