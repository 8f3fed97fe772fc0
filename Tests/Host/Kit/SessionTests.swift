import ABI
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import HostKit

/// The console loop over pipes, with a guest of our own behind the rings.
@Suite(.serialized) struct SessionTests {
    /// A pipe; what is not closed by a test is closed at its end.
    final class Pipe: @unchecked Sendable {
        private(set) var reading: Int32
        private(set) var writing: Int32

        init() {
            var ends: [Int32] = [-1, -1]
            pipe(&ends)
            reading = ends[0]
            writing = ends[1]
        }

        func closeWriting() {
            if writing >= 0 { close(writing) }
            writing = -1
        }

        func closeReading() {
            if reading >= 0 { close(reading) }
            reading = -1
        }

        /// Everything until the writing end is closed.
        func readAll() -> [UInt8] {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 8192)
            while case let count = read(reading, &chunk, chunk.count), count > 0 {
                bytes += chunk[..<count]
            }
            return bytes
        }

        deinit {
            closeWriting()
            closeReading()
        }
    }

    /// The ends of one session's console, and a descriptor that stands for the machine.
    final class Console: Sendable {
        let input = Pipe()
        let output = Pipe()
        let error = Pipe()
        let machine = Pipe()
        var streams: ConsoleStreams {
            ConsoleStreams(input: input.reading, output: output.writing, error: error.writing)
        }
    }

    private func converse(
        _ directory: StoreDirectory, _ console: Console
    ) async throws -> ConsoleSession.Outcome {
        try await onThread {
            var session = try ConsoleSession(
                directory, try ConsoleRings(directory), streams: console.streams,
                machineEnd: console.machine.reading, log: quiet)
            let outcome = try session.run(SignalSource())
            console.output.closeWriting()
            console.error.closeWriting()
            return outcome
        }
    }

    /// Writes frames of a stream as the ring has room, with a commit now and then, then the exit.
    private func produce(_ stream: [UInt8], exit: UInt8?, _ directory: StoreDirectory) throws {
        var guest = FakeGuest(try ConsoleRings(directory).file)
        var at = 0
        while at < stream.count {
            let count = min(3000, stream.count - at)
            if guest.write(.standardOutput, Array(stream[at..<(at + count)])) {
                at += count
            } else {
                usleep(1000)
            }
            guest.commit()
        }
        if let exit { while !guest.write(.exit, [exit, 0, 0, 0]) { usleep(1000) } }
        guest.commit()
    }

    @Test func moreOutputThanTheRingHoldsArrivesWithTheStatus() async throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let console = Console()
        let stream = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
        async let outcome = converse(directory, console)
        async let printed = onThread { console.output.readAll() }
        try await onThread { try produce(stream, exit: 17, directory) }
        #expect(try await outcome == .exited(status: 17))
        #expect(try await printed == stream)
    }

    @Test func whatWasPublishedIsDeliveredAfterTheMachineEnded() async throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let console = Console()
        let stream = [UInt8](repeating: 5, count: 200_000)
        try produce(stream, exit: nil, directory)
        console.machine.closeWriting()
        async let printed = onThread { console.output.readAll() }
        #expect(try await converse(directory, console) == .machineEnded)
        #expect(try await printed == stream)
    }

    @Test func aClosedOutputEndsTheSessionAndLosesNothing() async throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let first = Console()
        try produce([1, 2, 3], exit: 4, directory)
        first.output.closeReading()
        #expect(try await converse(directory, first) == .outputClosed)
        let second = Console()
        async let printed = onThread { second.output.readAll() }
        #expect(try await converse(directory, second) == .exited(status: 4))
        #expect(try await printed == [1, 2, 3])
    }

    @Test(.timeLimit(.minutes(10))) func inputAndItsEndReachTheGuest() async throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let console = Console()
        let text = [UInt8]("hello\n".utf8)
        write(console.input.writing, text, text.count)
        console.input.closeWriting()
        async let outcome = converse(directory, console)
        let received = try await onThread {
            var guest = FakeGuest(try ConsoleRings(directory).file)
            while !guest.running.inputEnded {
                guest.read()
                guest.commit()
                usleep(5000)
            }
            _ = guest.write(.exit, [0, 0, 0, 0])
            guest.commit()
            return guest.committed
        }
        #expect(try await outcome == .exited(status: 0))
        #expect(received.received == text && received.inputEnded)
    }
}
