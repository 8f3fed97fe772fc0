import ABI

/// The outside of the console: what the host's command does, and what it never would.
final class LinuxConsole {
    private let machine: LinuxMachine
    private let capacity: UInt64
    /// How far output was read.
    private(set) var seen: UInt64 = 0
    private(set) var exitStatus: UInt32?
    private(set) var frames: UInt64 = 0
    /// Bytes of each kind of output frame.
    private(set) var payload = [UInt64](repeating: 0, count: 5)

    init(_ machine: LinuxMachine, ringPages: UInt64) {
        self.machine = machine
        capacity = ringPages * pageSize
    }

    /// A word of a ring's header.
    func word(_ ring: LinuxPMO, _ offset: UInt64) -> UInt64 {
        ring.home?.load(fromByteOffset: Int(offset), as: UInt64.self) ?? 0
    }
    func store(_ value: UInt64, _ ring: LinuxPMO, _ offset: UInt64) {
        ring.home?.storeBytes(of: value, toByteOffset: Int(offset), as: UInt64.self)
    }
    func byte(_ ring: LinuxPMO, _ position: UInt64) -> UInt8 {
        let offset = Int(Ring.dataOffset + position % capacity)
        return ring.home?.load(fromByteOffset: offset, as: UInt8.self) ?? 0
    }
    func storeByte(_ value: UInt8, _ ring: LinuxPMO, _ position: UInt64) {
        let offset = Int(Ring.dataOffset + position % capacity)
        ring.home?.storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    func ring() { machine.signal(machine.doorbell) }

    // MARK: Output

    /// Reads what the server wrote and checks it: whole frames of known kinds, nothing behind the
    /// exit frame's status that is longer than it.
    func check() {
        let local = word(machine.output, Ring.localOffset)
        guard local >= seen, local - seen <= capacity, local < 1 << 62 else {
            finding("the output ring's pointer went from \(seen) to \(local)")
        }
        while seen < local {
            var header: UInt64 = 0
            for index in 0..<UInt64(8) {
                header |= UInt64(byte(machine.output, seen + index)) << (index * 8)
            }
            let length = ConsoleFrame.length(header)
            let span = ConsoleFrame.paddedLength(length)
            guard let kind = ConsoleFrame.Output(rawValue: ConsoleFrame.kind(header)),
                header >> 40 == 0, length <= ConsoleFrame.maximumPayload, span <= local - seen
            else { finding("an output frame at \(seen) of \(local) is \(header)") }
            if kind == .exit {
                if length != 4 || exitStatus != nil { finding("a bad exit frame at \(seen)") }
                exitStatus = UInt32(byte(machine.output, seen + 8))
            }
            payload[Int(kind.rawValue)] += UInt64(length)
            frames += 1
            seen += span
        }
    }

    /// The pointers are at the ring's beginning again. What was in it is not known.
    func restart(hasExited: Bool) {
        seen = 0
        exitStatus = hasExited ? 0 : nil
        store(0, machine.output, Ring.localOffset)
        store(0, machine.output, Ring.remoteOffset)
    }

    /// As the host does: reads everything and says so.
    func drain() {
        check()
        store(seen, machine.output, Ring.remoteOffset)
        ring()
    }

    // MARK: Input

    /// A good frame. False: there is no room.
    @discardableResult
    func send(_ kind: UInt8, _ payload: [UInt8]) -> Bool {
        let start = word(machine.input, Ring.remoteOffset)
        let used = start &- word(machine.input, Ring.localOffset)
        let span = ConsoleFrame.paddedLength(UInt32(payload.count))
        guard used <= capacity, span <= capacity - used, start < 1 << 62 else { return false }
        let header = ConsoleFrame.word(kind: kind, length: UInt32(payload.count))
        for index in 0..<UInt64(8) {
            storeByte(
                UInt8(truncatingIfNeeded: header >> (index * 8)), machine.input, start + index)
        }
        for (index, value) in payload.enumerated() {
            storeByte(value, machine.input, start + 8 + UInt64(index))
        }
        store(start + span, machine.input, Ring.remoteOffset)
        ring()
        return true
    }
}
