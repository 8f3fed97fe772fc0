import ABI
import HostedNative
import Testing

@testable import LinuxServer

/// The inside of the connection rings, with an outside of the test's own. Part of the suite that has
/// the one server without guests.
extension ConsoleTests {
    /// The rings, the outside's halves of them, and a program's listener on port 7.
    struct Scene {
        let server: Server
        let rings: ConnectionRings
        let output: UnsafeMutableRawPointer
        let input: UnsafeMutableRawPointer
        let thread: GuestThread
        let listener: TCPSocket
        var capacity: UInt64 { (ConnectionFrame.pages - 1) * 4096 }

        func word(_ base: UnsafeMutableRawPointer, _ offset: UInt64) -> UInt64 {
            base.load(fromByteOffset: Int(offset), as: UInt64.self)
        }
        func set(_ base: UnsafeMutableRawPointer, _ offset: UInt64, _ value: UInt64) {
            base.storeBytes(of: value, toByteOffset: Int(offset), as: UInt64.self)
        }
        var writtenPosition: UInt64 { word(input, Ring.remoteOffset) }

        /// Writes a frame, and tells nobody yet.
        func write(_ kind: UInt8, _ words: [UInt64], length: UInt32) {
            let start = writtenPosition
            let all = [ConsoleFrame.word(kind: kind, length: length)] + words
            for (index, word) in all.enumerated() {
                let place = (start &+ UInt64(index) * 8) & (capacity - 1)
                set(input, Ring.dataOffset + place, word)
            }
            set(input, Ring.remoteOffset, start &+ ConsoleFrame.paddedLength(length))
        }

        func open(port: UInt64 = 7) -> UInt64 {
            let number = writtenPosition
            write(
                ConnectionFrame.Input.open.rawValue,
                [number, port | 4000 << 16, 0, 0xFFFF_7F00_0001], length: 32)
            return number
        }

        /// Takes what the inside wrote: kind, number, first word and length of each frame.
        func take() -> [(kind: UInt8, number: UInt64, word: UInt64, length: UInt32)] {
            var at = word(output, Ring.remoteOffset)
            var frames: [(kind: UInt8, number: UInt64, word: UInt64, length: UInt32)] = []
            func load(_ position: UInt64) -> UInt64 {
                word(output, Ring.dataOffset + (position & (capacity - 1)))
            }
            while at != word(output, Ring.localOffset) {
                let header = load(at)
                let length = ConsoleFrame.length(header)
                frames.append((ConsoleFrame.kind(header), load(at + 8), load(at + 16), length))
                at &+= ConsoleFrame.paddedLength(length)
            }
            set(output, Ring.remoteOffset, at)
            return frames
        }

        func accept() throws(Errno) -> Socket {
            listener.flags |= OpenFlags.nonBlocking
            let socket = try listener.accept(thread, flags: OpenFlags.nonBlocking)
            socket.use()
            return socket
        }
        func send(_ socket: Socket, _ bytes: [UInt8]) throws(Errno) -> Int {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
            defer { memory.deallocate() }
            memory.copyMemory(from: bytes, byteCount: bytes.count)
            let piece = MessagePiece(memory: MemoryReference(memory), count: bytes.count)
            return try socket.send(
                OutgoingMessage(pieces: [piece], flags: MessageFlags.noSignal), thread)
        }
        func receive(_ socket: Socket, _ count: Int) throws(Errno) -> [UInt8] {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
            defer { memory.deallocate() }
            var message = IncomingMessage(
                pieces: [MessagePiece(memory: MemoryReference(memory), count: count)])
            let moved = try socket.receive(&message, thread)
            return [UInt8](UnsafeRawBufferPointer(start: memory, count: moved))
        }
    }

    /// One for all tests: the rings have one place in memory. Reset before each.
    nonisolated(unsafe) private static let scene: Scene? = {
        guard let server, let machine = AddressSpaceTests.machine,
            let rings = try? ConnectionRings(server),
            let output = machine.ring(ConnectionFrame.outputRing),
            let input = machine.ring(ConnectionFrame.inputRing)
        else { return nil }
        let root = server.fileSystem.root
        let process = GuestProcess(
            id: 77, server: server, space: server.emptySpace,
            descriptors: DescriptorTable(server: server),
            view: FileSystemView(root: root, workingDirectory: root), actions: SignalActions())
        let thread = GuestThread(
            id: 77, process: process, registers: Registers(), fpu: FloatingPoint())
        let listener = TCPSocket(thread, .internet, flags: 0)
        listener.use()
        let name = InternetAddress.four(0, port: 7).encoded(.internet)
        guard (try? listener.bind(name, thread)) != nil,
            (try? listener.listen(backlog: 5, thread)) != nil
        else { return nil }
        return Scene(
            server: server, rings: rings, output: output, input: input, thread: thread,
            listener: listener)
    }()

    private func fresh() throws -> Scene {
        let scene = try #require(Self.scene)
        scene.write(ConnectionFrame.Input.reset.rawValue, [], length: 0)
        scene.rings.look()
        while let socket = try? scene.accept() { socket.drop() }
        _ = scene.take()
        return scene
    }

    @Test func aClientIsConnectedAndRead() throws {
        let scene = try fresh()
        let number = scene.open()
        scene.write(ConnectionFrame.Input.data.rawValue, [number, 0x6F_6C6C_6568], length: 13)
        scene.rings.look()
        let socket = try scene.accept()
        #expect(try scene.receive(socket, 100) == Array("hello".utf8))
        #expect(
            try socket.peerName()
                == InternetAddress.four(0x7F00_0001, port: 4000).encoded(.internet))
        #expect(try scene.send(socket, Array("world".utf8)) == 5)
        let frames = scene.take()
        #expect(frames.count == 1 && frames[0].number == number && frames[0].length == 13)
        socket.drop()
        #expect(scene.take().map(\.kind) == [ConnectionFrame.Output.close.rawValue])
        #expect(scene.rings.ends.isEmpty)
    }

    @Test func aPortWithoutAListenerResets() throws {
        let scene = try fresh()
        let number = scene.open(port: 8)
        scene.rings.look()
        let frames = scene.take()
        #expect(frames.map(\.kind) == [ConnectionFrame.Output.abort.rawValue])
        #expect(frames.first?.number == number)
    }

    /// A new command holds nothing of the old connections.
    @Test func aResetEndsEveryConnection() throws {
        let scene = try fresh()
        for _ in 0..<3 { _ = scene.open() }
        scene.rings.look()
        let socket = try scene.accept()
        scene.write(ConnectionFrame.Input.reset.rawValue, [], length: 0)
        scene.rings.look()
        #expect(throws: Errno.ECONNRESET) { try scene.receive(socket, 1) }
        #expect(throws: Errno.EPIPE) { try scene.send(socket, [1]) }
        socket.drop()
        #expect(scene.rings.ends.isEmpty)
        #expect(scene.take().isEmpty)
    }

    /// Nobody gets more than a window from outside, or sends more than one there; a full ring holds
    /// back, and nothing of it is lost.
    @Test func windowsAndAFullRingHoldBack() throws {
        let scene = try fresh()
        let number = scene.open()
        scene.rings.look()
        let socket = try scene.accept()
        var sent = 0
        while let count = try? scene.send(socket, [UInt8](repeating: 9, count: 50_000)) {
            sent += count
        }
        let first = scene.take().reduce(0) { $0 + Int($1.length) - 8 }
        #expect(first == Int(ConnectionFrame.window))
        #expect(sent > first && sent < 300_000)
        var got = first
        while got < sent {
            scene.write(ConnectionFrame.Input.window.rawValue, [number, 1000], length: 12)
            scene.rings.look()
            let part = scene.take().reduce(0) { $0 + Int($1.length) - 8 }
            #expect(part == min(1000, sent - got))
            got += part
        }
        // More than the window: the connection is reset, both ways.
        for _ in 0..<5 {
            scene.write(
                ConnectionFrame.Input.data.rawValue, [number], length: ConsoleFrame.maximumPayload)
        }
        scene.rings.look()
        #expect(scene.take().map(\.kind) == [ConnectionFrame.Output.abort.rawValue])
        #expect(scene.rings.ends.isEmpty)
        socket.drop()
    }

    /// Frames of every kind, right ones and wrong ones, with programs that accept, read, write and
    /// close between them: the server goes on, and nothing is left at the end.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func whateverTheOutsideWritesTheServerGoesOn(seed: UInt64) throws {
        let scene = try fresh()
        let sockets = scene.server.sockets.all.count
        var random = SeededGenerator(seed: seed)
        var open: [Socket] = []
        var numbers: [UInt64] = [0]
        for _ in 0..<300 {
            let number = numbers.randomElement(using: &random) ?? 0
            switch UInt8.random(in: 0..<12, using: &random) {
            case 0...1: numbers.append(scene.open(port: UInt64.random(in: 6...7, using: &random)))
            case 2...5:
                let kind = UInt8.random(in: 3...6, using: &random)
                let length = UInt32.random(in: 8..<(kind == 3 ? 9000 : 40), using: &random)
                scene.write(kind, [number, random.next() >> 40], length: length)
            case 6: scene.rings.look()
            case 7: if let socket = try? scene.accept() { open.append(socket) }
            case 8:
                if let socket = open.randomElement(using: &random) {
                    _ = try? scene.receive(socket, 5000)
                    _ = try? scene.send(socket, [UInt8](repeating: 1, count: 30_000))
                }
            case 9:
                if !open.isEmpty {
                    open.remove(at: Int.random(in: 0..<open.count, using: &random)).drop()
                }
            case 10:
                try? open.randomElement(using: &random)?.shutDown(receiving: false, sending: true)
            default: _ = scene.take()
            }
            // The outside keeps to the ring's size.
            if scene.writtenPosition &- scene.word(scene.input, Ring.localOffset) > 100_000 {
                _ = scene.take()
                scene.rings.look()
            }
        }
        #expect(!scene.rings.isDamaged)
        _ = try fresh()
        for socket in open { socket.drop() }
        #expect(scene.rings.ends.isEmpty)
        #expect(scene.server.sockets.all.count == sockets)
    }
}
