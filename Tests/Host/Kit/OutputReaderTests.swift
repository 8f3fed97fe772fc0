import ABI
import Testing

@testable import HostKit

/// What comes out of the output ring, through power cuts and killed commands, is what the program
/// wrote.
struct OutputReaderTests {
    /// One command's life: opens the position file anew.
    private func makeReader(_ directory: StoreDirectory) throws -> OutputReader {
        let rings = try ConsoleRings(directory)
        let position = try ConsolePosition(
            directory.consolePosition, initialCursor: rings.output.remote)
        return try OutputReader(ring: rings.output, position: position, path: "test")
    }

    private func expect(
        _ reader: inout OutputReader, _ event: OutputReader.Event?,
        _ place: SourceLocation = #_sourceLocation
    ) throws {
        let next = try reader.next()
        #expect(next == event, sourceLocation: place)
    }

    /// The program's output is a fixed stream, cut into frames of random lengths; a replay after a
    /// restore may cut it only where the first try did, as a deterministic guest does.
    private struct Program {
        var frames: [[UInt8]] = []

        init(_ random: inout Seeded, count: Int) {
            var value: UInt8 = 0
            for _ in 0..<count {
                let length = Int.random(in: 0...700, using: &random)
                frames.append(
                    (0..<length).map { _ in
                        value &+= 7
                        return value
                    })
            }
        }
    }

    @Test(arguments: 1...20)
    func nothingIsLostOrDoubledThroughCutsAndKills(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        let scratch = try Scratch()
        let directory = try scratch.store()
        let rings = try ConsoleRings(directory)
        let program = Program(&random, count: 1200)
        var guest = FakeGuest(rings.file)
        var reader = try makeReader(directory)
        var printed: [UInt8] = []
        let everything = program.frames.flatMap { $0 }
        while printed.count < everything.count {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:  // the program goes on
                for _ in 0..<5 where guest.running.sent < program.frames.count {
                    if guest.write(.standardOutput, program.frames[guest.running.sent]) {
                        guest.running.sent += 1
                    }
                }
            case 4..<6: guest.commit()
            case 6: guest.restore()
            case 7: reader = try makeReader(directory)  // the command was killed, and started again
            default:  // the stream takes some bytes
                guard case .bytes(.standardOutput, let bytes) = try reader.next(limit: 4096) else {
                    continue
                }
                let count = Int.random(in: 0...bytes.count, using: &random)
                printed += bytes[..<count]
                reader.consume(count)
            }
        }
        #expect(printed == everything, "seed \(seed)")
    }

    @Test func onlyPublishedFramesAreRead() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var guest = FakeGuest(try ConsoleRings(directory).file)
        var reader = try makeReader(directory)
        guest.mustWrite(.standardOutput, [1, 2, 3])
        try expect(&reader, nil)
        guest.commit()
        try expect(&reader, .bytes(.standardOutput, [1, 2, 3]))
    }

    @Test func streamsKeepTheirOrder() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var guest = FakeGuest(try ConsoleRings(directory).file)
        var reader = try makeReader(directory)
        for (kind, byte) in [
            (ConsoleFrame.Output.standardOutput, 1), (.standardOutput, 2), (.standardError, 3),
        ] {
            guest.mustWrite(kind, [UInt8(byte)])
        }
        guest.mustWrite(.standardOutput, [4])
        guest.commit()
        var seen: [OutputReader.Event] = []
        while let event = try reader.next(), case .bytes(_, let bytes) = event {
            seen.append(event)
            reader.consume(bytes.count)
        }
        #expect(
            seen == [
                .bytes(.standardOutput, [1, 2]), .bytes(.standardError, [3]),
                .bytes(.standardOutput, [4]),
            ])
    }

    @Test func theExitIsFoundBehindUnreadOutputAndStays() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var guest = FakeGuest(try ConsoleRings(directory).file)
        var reader = try makeReader(directory)
        guest.mustWrite(.standardOutput, [9])
        guest.mustWrite(.exit, [42, 0, 0, 0])
        #expect(reader.pendingExit() == nil)
        guest.commit()
        #expect(reader.pendingExit() == 42)
        try expect(&reader, .bytes(.standardOutput, [9]))
        reader.consume(1)
        try expect(&reader, .exit(status: 42))
        var again = try makeReader(directory)
        try expect(&again, .exit(status: 42))
    }

    @Test func anOlderStoreIsSaidToHaveGoneBack() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var guest = FakeGuest(try ConsoleRings(directory).file)
        guest.mustWrite(.standardOutput, Array(repeating: 1, count: 8))
        guest.commit()
        let older = guest.committed
        guest.mustWrite(.standardOutput, Array(repeating: 2, count: 24))
        guest.commit()
        var reader = try makeReader(directory)
        try expect(
            &reader,
            .bytes(.standardOutput, Array(repeating: 1, count: 8) + Array(repeating: 2, count: 24)))
        reader.consume(32)
        guest.committed = older
        guest.restore()
        try expect(&reader, .wentBack(bytes: 32))
        try expect(&reader, nil)
        guest.mustWrite(.standardOutput, [3])
        guest.commit()
        try expect(&reader, .bytes(.standardOutput, [3]))
    }

    @Test(arguments: [UInt64.max, 1 << 40, 0x5_0000_4E20, 0x7F_0000_0001] as [UInt64])
    func aDamagedFrameIsNamedNotFollowed(word: UInt64) throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let rings = try ConsoleRings(directory)
        var guest = FakeGuest(rings.file)
        guest.mustWrite(.standardOutput, [1])
        guest.commit()
        rings.output.copyIn(withUnsafeBytes(of: word) { Array($0) }, at: 0)
        #expect(throws: HostError.self) {
            var reader = try makeReader(directory)
            _ = try reader.next()
        }
    }

    @Test func aPositionOutsideTheRingIsNamed() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var guest = FakeGuest(try ConsoleRings(directory).file)
        guest.mustWrite(.standardOutput, Array(repeating: 1, count: 100))
        guest.commit()
        let rings = try ConsoleRings(directory)
        rings.file.store(3, at: Int(100 * 4096 + 192))
        let position = try ConsolePosition(directory.consolePosition, initialCursor: 0)
        position.cursor = 1 << 50
        var reader = try makeReader(directory)
        try expect(&reader, .wentBack(bytes: (1 << 50) - 112))
    }
}
