import ABI
import HostConsole

/// The host's `OutputReader` on an output ring that belongs to the guest. What good frames hold is
/// delivered once and in order, whatever the reader's lives and pieces; and when the guest writes
/// anything else, the reader still ends, with bytes, an event or a reason.
final class HostReader {
    private static let ringBytes = 8192
    private let file = MappedFile(byteCount: HostReader.ringBytes + Int(Ring.dataOffset))
    private var position = ConsolePosition(cursor: 0)
    private var reader: OutputReader?
    private var isHostile = false
    /// What was written and not delivered: stream and byte.
    private var expected: [(stream: UInt8, byte: UInt8)] = []
    private var delivered = 0
    private var exits = 0

    private func word(_ offset: UInt64) -> UInt64 { file.load(Int(offset)) }
    private func store(_ value: UInt64, _ offset: UInt64) { file.store(value, at: Int(offset)) }

    /// The frames that were written.
    func run(_ input: inout Input) -> UInt64 {
        var frames: UInt64 = 0
        file.clear()
        store(Ring.magic, Ring.magicOffset)
        store(UInt64(HostReader.ringBytes), Ring.capacityOffset)
        position = ConsolePosition(cursor: 0)
        (isHostile, expected, delivered, exits) = (false, [], 0, 0)
        attach()
        while !input.isEmpty {
            let choice = input.byte()
            switch choice & 7 {
            case 0..<3:
                write(kind: 1 + choice >> 3 % 4, &input)
                frames += 1
            case 3: attach()
            case 4, 5: read(&input)
            case 6: _ = reader?.pendingExit()
            default: if choice & 8 != 0 { scribble(&input) }
            }
        }
        if !isHostile { finish() }
        return frames
    }

    /// A command starts: it finds the ring and the position as they are.
    private func attach() {
        guard
            let ring = RingView(file, offset: 0, byteCount: UInt64(file.byteCount))
        else {
            reader = nil
            if !isHostile { finding("a good ring is not taken") }
            return
        }
        do throws(HostError) {
            reader = try OutputReader(ring: ring, position: position, path: "fuzz")
        } catch {
            reader = nil
            if !isHostile { finding("a good ring is damaged: \(error)") }
        }
    }

    /// The guest writes a frame, and a commit publishes it.
    private func write(kind: UInt8, _ input: inout Input) {
        let start = word(Ring.publishedOffset)
        let used = start &- word(Ring.remoteOffset)
        let bytes = (0..<Int(input.byte() % 100)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let span = ConsoleFrame.paddedLength(UInt32(bytes.count))
        let size = UInt64(HostReader.ringBytes)
        guard used <= size, span <= size - used, start < 1 << 62 else { return }
        if kind == ConsoleFrame.Output.exit.rawValue, isHostile || exits > 0 { return }
        let header = ConsoleFrame.word(kind: kind, length: UInt32(bytes.count))
        for index in 0..<UInt64(8) {
            put(UInt8(truncatingIfNeeded: header >> (index * 8)), start + index)
        }
        for (index, byte) in bytes.enumerated() { put(byte, start + 8 + UInt64(index)) }
        store(start + span, Ring.publishedOffset)
        if kind == ConsoleFrame.Output.exit.rawValue {
            exits += 1
        } else if exits == 0 {
            expected += bytes.map { (kind, $0) }
        }
    }

    private func put(_ byte: UInt8, _ position: UInt64) {
        let place = Int(Ring.dataOffset) + Int(position % UInt64(HostReader.ringBytes))
        file.base.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
    }

    private func scribble(_ input: inout Input) {
        isHostile = true
        let choice = input.byte()
        let offsets = [Ring.publishedOffset, Ring.remoteOffset, Ring.localOffset, Ring.dataOffset]
        var place = offsets[Int(choice & 3)]
        if choice & 3 == 3 { place += input.half() % UInt64(HostReader.ringBytes) & ~7 }
        let near = word(Ring.remoteOffset)
        let value: UInt64
        switch choice >> 2 % 4 {
        case 0: value = near &+ UInt64(input.byte()) * 8
        case 1:
            value = ConsoleFrame.word(kind: input.byte() % 6, length: UInt32(input.half()))
        case 2: value = UInt64.max &- UInt64(input.byte())
        default: value = LinuxArguments.decode(UInt8(ascii: "a"), &input)
        }
        store(value, place)
    }

    // MARK: Reading

    /// One delivery, perhaps of a part; the frames may change between look and delivery.
    private func read(_ input: inout Input) {
        let limit = Int(input.byte()) * 16 + 1
        do throws(HostError) {
            guard let event = try reader?.next(limit: limit) else { return }
            switch event {
            case .bytes(let stream, let bytes):
                if bytes.count > limit { finding("\(bytes.count) bytes for at most \(limit)") }
                let part = Int(input.byte()) * bytes.count / 255
                if !isHostile { compare(stream.rawValue, Array(bytes.prefix(part))) }
                reader?.consume(part)
            case .exit: if !isHostile, exits == 0 { finding("an exit that was not written") }
            case .wentBack: if !isHostile { finding("good output went back") }
            }
        } catch {
            if !isHostile { finding("good output is damaged: \(error)") }
        }
    }

    private func compare(_ stream: UInt8, _ bytes: [UInt8]) {
        for byte in bytes {
            guard delivered < expected.count, expected[delivered] == (stream, byte) else {
                finding("byte \(delivered) of the output is not what was written")
            }
            delivered += 1
        }
    }

    /// Everything that was written comes in the end.
    private func finish() {
        attach()
        for _ in 0...HostReader.ringBytes {
            do throws(HostError) {
                guard case .bytes(let stream, let bytes)? = try reader?.next() else { break }
                compare(stream.rawValue, bytes)
                reader?.consume(bytes.count)
            } catch { finding("good output is damaged: \(error)") }
        }
        if delivered != expected.count {
            finding("\(delivered) of \(expected.count) bytes were delivered")
        }
    }
}
