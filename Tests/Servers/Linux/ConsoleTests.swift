import ABI
import HostedNative
import Testing

@testable import LinuxServer

/// The terminal and epoll files, on a server without guests.
@Suite(.serialized) struct ConsoleTests {
    /// One server for all tests: the console's rings have one place in memory.
    nonisolated(unsafe) static let server: Server? = {
        // The suites share one machine: the seam's C functions know only one.
        guard AddressSpaceTests.machine != nil, let console = try? Console(),
            let statistics = try? CallStatistics()
        else { return nil }
        return try? Server(console: console, statistics: statistics)
    }()

    private func type(_ text: String, _ terminal: Terminal, _ server: Server) {
        for byte in text.utf8 { terminal.type(byte, server) }
    }

    /// As tcsetattr(3) would.
    private func makeRaw(_ terminal: Terminal) {
        terminal.setAttributes(Bytes(repeating: 0, count: 36))
    }

    /// Lines that were typed ahead keep their order when a program turns to raw input.
    @Test func typedLinesKeepTheirOrderInRawMode() throws {
        let server = try #require(Self.server)
        let terminal = Terminal()
        type("one\ntwo\nthr", terminal, server)
        makeRaw(terminal)
        #expect(terminal.take(100) == Bytes("one\ntwo\nthr"))
    }

    /// Ends of file are lines too: typing them for ever fills the terminal.
    @Test func endsOfFileFillTheTerminal() throws {
        let server = try #require(Self.server)
        let terminal = Terminal()
        var typed = 0
        while !terminal.isFull, typed < 100_000 {
            terminal.type(4, server)
            typed += 1
        }
        #expect(typed < 10_000)
    }

    private func makeEpoll(_ server: Server) -> EpollFile {
        let inode = server.fileSystem.makeAnonymous(kind: .regular, permissions: 0o600)
        server.fileSystem.retain(inode)
        let file = EpollFile(server: server, inode: inode, flags: 0)
        file.use()
        return file
    }

    private func watch(_ inner: EpollFile, by outer: EpollFile, as descriptor: Int32) throws(Errno)
    {
        try outer.add(
            EpollInterest(
                descriptor: descriptor, file: inner, events: PollEvents.input, data: 0))
    }

    /// A look at a chain goes down it on the server's stack, so chains are short, in whatever order
    /// they are made.
    @Test(arguments: [true, false]) func chainsOfEpollFilesAreShort(isFromOutside: Bool) throws {
        let server = try #require(Self.server)
        var files = [makeEpoll(server)]
        var refusal: Errno?
        for descriptor in 1...100 as ClosedRange<Int32> where refusal == nil {
            guard let last = files.last else { break }
            let next = makeEpoll(server)
            do throws(Errno) {
                if isFromOutside {
                    try watch(next, by: last, as: descriptor)
                } else {
                    try watch(last, by: next, as: descriptor)
                }
                files.append(next)
            } catch { refusal = error }
        }
        #expect(refusal == .ELOOP)
        #expect(files.count == EpollFile.maximumNesting)
    }

    /// Otherwise a look would cost the product of all widths.
    @Test func anEpollFileWatchesFewOthers() throws {
        let server = try #require(Self.server)
        let outer = makeEpoll(server)
        for descriptor in 0..<Int32(EpollFile.maximumNested) {
            try watch(makeEpoll(server), by: outer, as: descriptor)
        }
        #expect(throws: Errno.ELOOP) { try watch(makeEpoll(server), by: outer, as: 99) }
    }
}
