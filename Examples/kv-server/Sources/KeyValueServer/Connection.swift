import NIOCore
import PersistentHeap

/// One client: gathers and takes apart what it sends, and hands it to the group commit.
///
/// Used on the one event loop only.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes a client may send ahead of the commands that can be read from them.
    static let longestBacklog = 1 << 30
    static let commandsAtOnce = 1024

    private let commits: GroupCommit
    private var context: ChannelHandlerContext?
    /// What has not been consumed. Usually the very buffer that was read into; it is given back
    /// before the next read, so that the channel can use it again.
    private var input = ByteBuffer()
    private var parser = CommandParser()
    private var reply = Reply(buffer: ByteBuffer())
    /// Set by a protocol error or QUIT: nothing more is read, and the connection ends after the
    /// reply.
    private var isEnding = false
    /// Handed to the group commit, not yet answered.
    private var isWaiting = false
    private var isInputClosed = false
    private var problem: CommandParser.Problem?

    init(_ commits: GroupCommit) { self.commits = commits }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        commits.clients += 1
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        commits.clients -= 1
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding, problem == nil else { return }
        var received = unwrapInboundIn(data)
        if input.readableBytes == 0 {
            input = received
        } else if input.readableBytes + received.readableBytes > Self.longestBacklog {
            problem = CommandParser.Problem(message: "too much unread input")
        } else {
            input.writeBuffer(&received)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { parse() }

    /// A client that does not read its replies is not read from either.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
        context.fireChannelWritabilityChanged()
    }

    /// A client that has said all still gets its replies.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        isInputClosed = true
        if !isWaiting { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func parse() {
        guard !isEnding, !isWaiting else { return }
        if problem == nil {
            do throws(CommandParser.Problem) {
                try input.withUnsafeReadableBytes { (bytes) throws(CommandParser.Problem) in
                    try parser.parse(bytes, limit: Self.commandsAtOnce)
                }
            } catch { problem = error }
        }
        isWaiting = !parser.commands.isEmpty || problem != nil
        if isWaiting { commits.add(self) }
    }

    // MARK: Running

    /// Runs the commands that arrived whole, in the transaction of the group commit.
    func run(_ store: Store, _ tx: borrowing Transaction) throws {
        try forEachRequest { request in
            if try !store.run(request, tx, &reply) { isEnding = true }
        }
    }

    /// The same with a transaction for each command: one that fails gets an error as its reply.
    func runOneByOne(_ store: Store) {
        reply.buffer.clear()
        isEnding = false
        forEachRequest { request in
            let before = reply.buffer.writerIndex
            do {
                let goesOn = try store.heap.transaction { try store.run(request, $0, &reply) }
                if !goesOn { isEnding = true }
            } catch {
                reply.buffer.moveWriterIndex(to: before)
                reply.error("ERR \(error)")
            }
        }
    }

    private func forEachRequest(_ body: (Request) throws -> Void) rethrows {
        try input.withUnsafeReadableBytes { bytes in
            try parser.words.withUnsafeBufferPointer { words in
                for range in parser.commands where !isEnding {
                    try body(
                        Request(bytes: bytes, words: UnsafeBufferPointer(rebasing: words[range])))
                }
            }
        }
    }

    // MARK: Answering

    /// Sends the replies, which are durable now, and goes on with what else has arrived.
    func finish() {
        isWaiting = false
        if let problem, !isEnding {
            reply.error("ERR Protocol error: \(problem.message)")
            isEnding = true
        }
        dropConsumed()
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(reply.buffer), promise: nil)
        reply.buffer.clear()
        if input.readableBytes > 0 { parse() }
        if isEnding || (isInputClosed && !isWaiting) { context.close(promise: nil) }
    }

    private func dropConsumed() {
        input.moveReaderIndex(forwardBy: parser.consumed)
        parser.dropConsumed()
        // Not `clear`, which would make a copy of a buffer that the channel keeps too.
        if input.readableBytes == 0 { input = ByteBuffer() }
    }
}
