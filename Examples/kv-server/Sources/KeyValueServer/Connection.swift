import NIOCore

/// Gathers what arrived in one read, runs it as one transaction, and answers.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = Command
    typealias OutboundOut = ByteBuffer

    private let store: Store
    private var commands: [Command] = []

    init(_ store: Store) { self.store = store }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { commands.append(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard !commands.isEmpty else { return }
        var replies = context.channel.allocator.buffer(capacity: 64 * commands.count)
        do { try store.run(commands, into: &replies) } catch { replies.write(.error("ERR \(error)")) }
        commands.removeAll(keepingCapacity: true)
        context.writeAndFlush(wrapOutboundOut(replies), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
