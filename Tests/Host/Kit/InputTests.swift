import ABI
import Glibc
import Testing

@testable import HostKit

/// What goes into the input ring arrives whole and in order, through power cuts.
struct InputTests {
    @Test(arguments: 1...20)
    func nothingIsLostOrDoubledThroughCuts(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        let scratch = try Scratch()
        let rings = try ConsoleRings(try scratch.store())
        let writer = InputWriter(ring: rings.input)
        var guest = FakeGuest(rings.file)
        let stream = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var sent = 0
        while guest.committed.received.count < stream.count {
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<3:
                let count = min(
                    writer.room, stream.count - sent, Int.random(in: 1...16384, using: &random))
                if count > 0 {
                    #expect(writer.write(.standardInput, Array(stream[sent..<(sent + count)])))
                    sent += count
                }
            case 3, 4: guest.read()
            case 5, 6: guest.commit()
            default: guest.restore()
            }
        }
        #expect(guest.committed.received == stream, "seed \(seed)")
    }

    @Test func aFullRingTakesNothingMoreUntilTheReaderCommits() throws {
        let scratch = try Scratch()
        let rings = try ConsoleRings(try scratch.store())
        let writer = InputWriter(ring: rings.input)
        var guest = FakeGuest(rings.file)
        var count = 0
        while writer.write(.standardInput, Array(repeating: 0, count: 8184)) { count += 1 }
        #expect(count == 8)
        #expect(writer.freeBytes == 0)
        #expect(!writer.write(.endOfInput, []))
        guest.read()
        #expect(writer.freeBytes == 0)
        guest.commit()
        #expect(writer.write(.endOfInput, []))
        #expect(!writer.write(.standardInput, Array(repeating: 0, count: 16385)))
    }

    @Test func aFileGoesOnWhereItWasAfterAResume() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let text = (0..<40_000).map { "\($0)\n" }.joined()
        let path = try scratch.file("input", text)
        let rings = try ConsoleRings(directory)
        var guest = FakeGuest(rings.file)
        while !guest.committed.inputEnded {
            // Each round is a command of its own, with the file opened anew.
            let descriptor = open(path.string, O_RDONLY)
            defer { close(descriptor) }
            let position = try ConsolePosition(directory.consolePosition, initialCursor: 0)
            var forwarder = InputForwarder(
                descriptor: descriptor, writer: InputWriter(ring: rings.input), position: position)
            for _ in 0..<3 where forwarder.pollDescriptor >= 0 { _ = forwarder.take() }
            guest.read()
            guest.commit()
        }
        #expect(guest.committed.received == Array(text.utf8))
    }
}
