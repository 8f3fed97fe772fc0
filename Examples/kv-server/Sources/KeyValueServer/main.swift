import Glibc
import NIOCore
import NIOPosix
import PersistentHeap

// kv-server FILE [PORT] [cache-line|file|process]: a redis-protocol server whose data is a persistent heap.
let arguments = CommandLine.arguments
let domains: [String: PersistenceDomain] = [
    "cache-line": .cacheLineFlush, "file": .fileSync, "process": .processCrash,
]

func serve(_ path: String, port: Int, domain: PersistenceDomain) throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let bound = try loop.submit { NIOLoopBound(try Store(path: path, domain: domain), eventLoop: loop) }.wait()
    let channel = try ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 512)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(ByteToMessageHandler(CommandDecoder()))
                try pipeline.addHandler(Connection(bound.value))
            }
        }
        .bind(host: "127.0.0.1", port: port).wait()
    // Not `print`: whoever waits for the line may read it through a pipe, which would be buffered.
    let line = "ready on port \(channel.localAddress?.port ?? port)\n"
    _ = line.withCString { Glibc.write(1, $0, strlen($0)) }
    try channel.closeFuture.wait()
}

if arguments.count >= 2 {
    let port = arguments.count > 2 ? Int(arguments[2]) ?? 6379 : 6379
    let domain = arguments.count > 3 ? domains[arguments[3]] ?? .automatic : .automatic
    try serve(arguments[1], port: port, domain: domain)
} else {
    print("usage: kv-server FILE [PORT] [cache-line|file|process]")
}
