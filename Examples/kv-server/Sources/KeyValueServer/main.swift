import Glibc
import NIOCore
import NIOPosix
import PersistentHeap

// kv-server FILE [PORT] [cache-line|file|process]: a redis-protocol server whose data is a
// persistent heap. It listens on the loopback interface only. Port 0 takes a free one; the port is
// printed.

let arguments = CommandLine.arguments
let domains: [String: PersistenceDomain] = [
    "cache-line": .cacheLineFlush, "file": .fileSync, "process": .processCrash,
]

/// Not `print`: whoever waits for the line may read it through a pipe, which would be buffered.
func say(_ line: String, to descriptor: Int32) {
    _ = line.withCString { Glibc.write(descriptor, $0, strlen($0)) }
}

func serve(_ path: String, port: Int, domain: PersistenceDomain) throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let commits = try loop.submit {
        let store = try Store(path: path, domain: domain)
        return NIOLoopBound(GroupCommit(store, loop), eventLoop: loop)
    }.wait()
    let channel = try ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 512)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        // Larger than what usually arrives: a read that fills its buffer is followed by another.
        .childChannelOption(
            .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 16 << 10)
        )
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Connection(commits.value))
            }
        }
        .bind(host: "127.0.0.1", port: port).wait()
    say("ready on port \(channel.localAddress?.port ?? port)\n", to: 1)
    try channel.closeFuture.wait()
}

let usage = "usage: kv-server FILE [PORT] [cache-line|file|process]\n"
let port = arguments.count > 2 ? UInt16(arguments[2]) : 6379
let domain = arguments.count > 3 ? domains[arguments[3]] : .automatic
if let port, let domain, (2...4).contains(arguments.count) {
    do { try serve(arguments[1], port: Int(port), domain: domain) } catch {
        say("kv-server: \(error)\n", to: 2)
        exit(1)
    }
} else {
    say(usage, to: 2)
    exit(2)
}
