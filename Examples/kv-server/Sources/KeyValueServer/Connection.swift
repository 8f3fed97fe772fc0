import NIOCore

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
    private var input = ByteBuffer()
    private(set) var parser = CommandParser()
    var reply = Reply(buffer: ByteBuffer())
    /// Set by a protocol error or QUIT: nothing more is read, and the connection ends after the
    /// reply.
    var isEnding = false
    /// Handed to the group commit, not yet answered.
    private var isWaiting = false
    private var isInputClosed = false
    private var problem: CommandParser.Problem?

    init(_ commits: GroupCommit) { self.commits = commits }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

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

    /// Calls `body` with each command that arrived whole.
    func forEachRequest(_ body: (Request) throws -> Void) rethrows {
        try input.withUnsafeReadableBytes { bytes in
            try parser.words.withUnsafeBufferPointer { words in
                for range in parser.commands where !isEnding {
                    try body(
                        Request(bytes: bytes, words: UnsafeBufferPointer(rebasing: words[range])))
                }
            }
        }
    }

    /// Sends the replies, which are durable now, and goes on with what else has arrived.
    func finish() {
        isWaiting = false
        if let problem, !isEnding {
            reply.error("ERR Protocol error: \(problem.message)")
            isEnding = true
        }
        input.moveReaderIndex(forwardBy: parser.consumed)
        parser.dropConsumed()
        if input.readableBytes == 0 { input.clear() }
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(reply.buffer), promise: nil)
        reply.buffer.clear()
        if input.readableBytes > 0 { parse() }
        if isEnding || (isInputClosed && !isWaiting) { context.close(promise: nil) }
    }
}
