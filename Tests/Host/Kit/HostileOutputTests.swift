import ABI
import Store
import Testing

@testable import HostKit

/// The output ring belongs to the guest: its program may write anything there, frames and pointers,
/// at any time.
struct HostileOutputTests {
    /// The command's reader ends with bytes, an event or a reason; it never traps, never goes on
    /// for ever, and never hands out more than was asked for.
    @Test(arguments: 1...40)
    func whateverTheGuestWritesTheReaderEnds(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        let scratch = try Scratch()
        let directory = try scratch.store()
        let rings = try ConsoleRings(directory)
        let ring = Int(StoreLayout.outputRing.offset)
        var delivered = 0
        var refused = 0
        for _ in 0..<150 {
            for _ in 0...Int.random(in: 0..<6, using: &random) {
                rings.file.store(word(&random), at: ring + place(&random))
            }
            do throws(HostError) {
                delivered += try read(directory, &random)
            } catch { refused += 1 }
        }
        #expect(refused > 0)
        #expect(delivered >= 0)
    }

    /// Pointers, and the words where frames begin.
    private func place(_ random: inout Seeded) -> Int {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: Int(Ring.publishedOffset)
        case 1: Int(Ring.remoteOffset)
        case 2: Int(Ring.localOffset)
        default: Int(Ring.dataOffset) + Int.random(in: 0..<200, using: &random) * 8
        }
    }

    private func word(_ random: inout Seeded) -> UInt64 {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: random.next()
        case 1: UInt64.random(in: 0..<4096, using: &random) * 8
        case 2: UInt64.max - UInt64.random(in: 0..<64, using: &random)
        default:
            ConsoleFrame.word(
                kind: UInt8.random(in: 0..<6, using: &random),
                length: UInt32.random(in: 0..<300, using: &random))
        }
    }

    /// One command's life. Returns the events that it met.
    private func read(_ directory: StoreDirectory, _ random: inout Seeded) throws(HostError) -> Int
    {
        let rings = try ConsoleRings(directory)
        let position = try ConsolePosition(
            directory.consolePosition, initialCursor: rings.output.remote)
        var reader = try OutputReader(ring: rings.output, position: position, path: "test")
        _ = reader.pendingExit()
        var events = 0
        // 256 KiB hold at most 32,768 empty frames.
        while events < 40_000 {
            guard let event = try reader.next(limit: 4096) else { return events }
            events += 1
            switch event {
            case .exit: return events
            case .wentBack: continue
            case .bytes(_, let bytes):
                #expect(bytes.count <= 4096)
                reader.consume(bytes.count)
            }
        }
        Issue.record("the reader goes on for ever")
        return events
    }
}
