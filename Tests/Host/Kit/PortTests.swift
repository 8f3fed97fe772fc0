import ABI
import Glibc
import Testing

@testable import HostKit

/// Published ports: the host's sockets on one side, a program of ours behind the rings on the other.
@Suite(.serialized) struct PortTests {
    @Test(arguments: [
        ("8080:80", "127.0.0.1:8080:80"), ("0:80", "127.0.0.1:0:80"),
        ("0.0.0.0:8080:80/tcp", "0.0.0.0:8080:80"), ("[::1]:8080:80", "[::1]:8080:80"),
    ])
    func mappingsAreRead(text: String, meaning: String) {
        #expect(PortMapping(text)?.description == meaning)
        #expect(PortMapping(text).map { PortMapping($0.description) } == PortMapping(text))
    }

    @Test(arguments: ["", "80", "a:80", "80:0", "1:65536", "::1:80:80", ":80:80", "80:80/udp"])
    func otherMappingsAreRefused(text: String) { #expect(PortMapping(text) == nil) }

    /// The port of the only listener of a publisher.
    private func publish() throws -> (ports: PublishedPorts, port: UInt16) {
        // A free port; the test that takes it twice shows that two cannot have it.
        let finder = hostListener()
        let port = finder.port
        close(finder.socket)
        let mapping = try #require(PortMapping("127.0.0.1:\(port):7"))
        return (try #require(try PublishedPorts([mapping], log: quiet)), port)
    }

    private func hostListener() -> (socket: Int32, port: UInt16) {
        let finder = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(finder, $0, length)
                _ = getsockname(finder, $0, &length)
            }
        }
        return (finder, UInt16(bigEndian: name.sin_port))
    }

    @Test func aPortIsPublishedOnce() throws {
        let (first, port) = try publish()
        defer { extendLifetime(first) }
        let mapping = try #require(PortMapping("127.0.0.1:\(port):8"))
        #expect {
            _ = try PublishedPorts([mapping], log: quiet)
        } throws: {
            "\($0)".contains("127.0.0.1:\(port)") && "\($0)".contains("another machine")
        }
    }

    /// Clients send and read by turns of their own while the inside echoes, commits, and loses its
    /// power.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func streamsOutliveTheMachine(seed: UInt64) throws {
        let isRight = try areStreamsRight(seed, nil)
        #expect(isRight)
    }

    /// The same with a kernel that keeps a rule less: it is noticed.
    @Test(arguments: EchoInside.Plant.allCases)
    func plantedBugsAreCaught(plant: EchoInside.Plant) throws {
        for seed in 1...50 as ClosedRange<UInt64> {
            if try !areStreamsRight(seed, plant) { return }
        }
        Issue.record("nobody noticed")
    }

    /// Echoes through power cuts; false: a client did not get what it should, or the outside not.
    private func areStreamsRight(_ seed: UInt64, _ plant: EchoInside.Plant?) throws -> Bool {
        var random = Seeded(seed)
        let scratch = try Scratch()
        var inside = try EchoInside(scratch)
        inside.plant = plant
        let (ports, port) = try publish()
        ports.join(output: inside.output, input: inside.input)
        var clients = (0..<5).map { TestClient(port, goal: 20_000 * $0, seed: seed &+ UInt64($0)) }
        // A planted bug may leave clients waiting for ever: no seed takes a tenth of these turns.
        var turns = 0
        while !clients.allSatisfy(\.isFinished) {
            turns += 1
            if plant != nil, turns > 1_000_000 { return false }
            for index in clients.indices where Bool.random(using: &random) {
                clients[index].step(&random)
            }
            if Int.random(in: 0..<3, using: &random) > 0 {
                do throws(HostError) { _ = try ports.serve() } catch { return false }
            }
            for _ in 0..<Int.random(in: 0..<8, using: &random) { inside.step() }
            switch Int.random(in: 0..<8, using: &random) {
            case 0...3: inside.commit()
            case 4: inside.restore()
            default: break
            }
            guard clients.allSatisfy(\.isRight), !inside.isWrong else { return false }
        }
        return ports.connections.isEmpty
    }

    /// Someone who connects and goes, ten thousand times, leaves nothing behind; nor does one who
    /// never reads hold more than a window.
    @Test func comingAndGoingLeavesNothing() throws {
        let scratch = try Scratch()
        var inside = try EchoInside(scratch)
        let (ports, port) = try publish()
        ports.join(output: inside.output, input: inside.input)
        let deaf = TestClient.connect(port)
        defer { close(deaf) }
        var taken = 0
        let chunk = [UInt8](repeating: 1, count: 65536)
        for round in 0..<10_000 {
            let client = TestClient.connect(port)
            if round % 3 > 0 { _ = send(client, chunk, 1000, Int32(MSG_NOSIGNAL)) }
            if round % 3 == 1 {
                var reset = linger(l_onoff: 1, l_linger: 0)
                setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, 8)
            }
            close(client)
            if round < 2000 {
                let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                taken += max(0, send(deaf, chunk, chunk.count, flags))
            }
            for _ in 0..<2 {
                _ = try ports.serve()
                for _ in 0..<20 { inside.step() }
                inside.commit()
            }
        }
        for _ in 0..<2000 where ports.connections.count > 1 {
            _ = try ports.serve()
            for _ in 0..<20 { inside.step() }
            inside.commit()
        }
        #expect(ports.connections.count == 1)
        #expect(inside.running.connections.count == 1)
        let unsent = ports.connections.values.map(\.unsentCount).max() ?? 0
        #expect(unsent <= ConnectionFrame.window)
        #expect(taken < 64 << 20)
        #expect(!inside.isWrong)
    }

    /// The ring belongs to the inside: whatever is there, the command goes on or says that it is
    /// damaged.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func whateverTheInsideWritesIsRefused(seed: UInt64) throws {
        var random = Seeded(seed)
        let scratch = try Scratch()
        let inside = try EchoInside(scratch)
        let (ports, port) = try publish()
        ports.join(output: inside.output, input: inside.input)
        let client = TestClient.connect(port)
        defer { close(client) }
        var refused = 0
        for _ in 0..<100 {
            let numbers = Array(ports.connections.keys) + [random.next() & 0xFFF8]
            var at = inside.output.remote
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                let length = UInt32.random(in: 0..<300, using: &random)
                let kind = UInt8.random(in: 0..<8, using: &random)
                let hostile = Int.random(in: 0..<8, using: &random) == 0
                let word = hostile ? random.next() : ConsoleFrame.word(kind: kind, length: length)
                inside.place(word, at: at)
                inside.place(numbers.randomElement(using: &random) ?? 0, at: at &+ 8)
                at &+= ConsoleFrame.paddedLength(length)
            }
            let published = Int.random(in: 0..<8, using: &random) == 0 ? random.next() : at
            inside.publish(output: published)
            do throws(HostError) { _ = try ports.serve() } catch {
                refused += 1
                inside.publish(output: inside.output.remote)
            }
        }
        #expect(refused > 0)
    }

    /// A machine that ends again and again without a commit is given up.
    @Test func restartsEnd() {
        let death = HostError.machineDied(path: "", how: "was killed")
        var count = RestartCount(.onCrash)
        for version in 1...10 as ClosedRange<UInt64> {
            let isAllowed = count.allows(after: death, version)
            #expect(isAllowed)
        }
        let panic = HostError.machinePanicked(path: "", message: "")
        let again = [death, panic, death].map { count.allows(after: $0, 10) }
        #expect(again == [true, true, false])
        let isAllowed = count.allows(after: .storeDamaged(path: "", reason: ""), 11)
        #expect(!isAllowed)
        var never = RestartCount(.never)
        let isEver = never.allows(after: death, 1)
        #expect(!isEver)
    }
}
