import ABI

@testable import LinuxServer

/// Everything that can write into the console rings: the host's command with its frames, and a
/// broken or hostile one that changes any word at any time.
final class HostileOutside {
    private let session: LinuxSession
    private let machine: LinuxMachine
    private let console: LinuxConsole
    private let isTerminal: Bool
    private(set) var frames: UInt64 = 0
    private(set) var hostileWords: UInt64 = 0
    private(set) var compared: UInt64 = 0
    /// From then on nothing more can be said about the order of bytes.
    private var isInputHostile = false
    private var isOutputHostile = false
    /// Bytes of plain input that were sent, and that guests got. Each byte is its own position.
    private var sent: UInt64 = 0
    private var received: UInt64 = 0
    private typealias Read = (thread: LinuxThread, space: LinuxSpace, address: UInt64)
    private var reads: [Read] = []
    private var isOrderKnown = true

    init(_ session: LinuxSession, isTerminal: Bool) {
        self.session = session
        self.isTerminal = isTerminal
        machine = session.machine
        console = session.console
    }

    func act(_ choice: UInt8, _ input: inout Input) {
        frames += 1
        Session.trace("outside \(choice % 16)")
        switch choice % 16 {
        case 0..<4: sendData((0..<Int(input.byte() % 48)).map { _ in input.byte() })
        case 4:
            sendData([UInt8](repeating: input.byte(), count: Int(input.half()) % 16385))
        case 5: sendData((0..<8).map { _ in Self.special[Int(input.byte()) % Self.special.count] })
        case 6: console.send(2, [])
        case 7: console.send(3, (0..<Int(input.byte() % 9)).map { _ in input.byte() })
        case 8: console.send(4, [input.byte() % 70, 0, 0, input.byte() & 0x80])
        case 9: console.send(input.byte(), (0..<Int(input.byte() % 20)).map { _ in 65 })
        case 10: console.ring()
        case 11...13: if isOutputHostile { console.ring() } else { console.drain() }
        default: scribble(&input)
        }
    }

    /// Interrupt, quit, erase, kill, end of file, suspend, word, return, newline.
    private static let special: [UInt8] = [3, 28, 127, 21, 4, 26, 23, 13, 10, 0, 32, 65, 4, 10]

    private func sendData(_ bytes: [UInt8]) {
        if isTerminal {
            console.send(1, bytes)
        } else {
            let numbered = bytes.indices.map { UInt8(truncatingIfNeeded: sent + UInt64($0)) }
            if console.send(1, numbered) { sent += UInt64(bytes.count) }
        }
    }

    /// Any word of the rings' pages.
    private func scribble(_ input: inout Input) {
        hostileWords += 1
        let choice = input.byte()
        let ring = choice & 1 == 0 ? machine.input : machine.output
        if choice & 1 == 0 { isInputHostile = true } else { isOutputHostile = true }
        let offsets = [
            Ring.localOffset, Ring.remoteOffset, Ring.remoteOffset, Ring.publishedOffset,
        ]
        let remote = console.word(ring, Ring.remoteOffset)
        let place: UInt64
        switch choice >> 1 & 7 {
        case 0..<4: place = offsets[Int(choice >> 4 & 3)]
        case 4: place = UInt64(choice >> 4) * 8
        default: place = Ring.dataOffset + remote % 32768 & ~7
        }
        console.store(value(remote, &input), ring, place)
        console.ring()
    }

    private func value(_ remote: UInt64, _ input: inout Input) -> UInt64 {
        let choice = input.byte()
        switch choice % 8 {
        case 0: return remote &+ UInt64(input.byte()) * 8
        case 1: return remote &- UInt64(input.byte()) * 8
        case 2: return remote &+ input.half()
        case 3: return ConsoleFrame.word(kind: input.byte() % 6, length: UInt32(input.half()))
        case 4: return ConsoleFrame.word(kind: 1, length: UInt32.max - UInt32(input.byte()))
        case 5: return UInt64.max &- UInt64(input.byte())
        default: return LinuxArguments.decode(UInt8(ascii: "a"), &input)
        }
    }

    /// The outside is good again: it takes the pointers as they are.
    func leave() {
        if isOutputHostile { console.restart(hasExited: !session.scenery.isFirstAlive) }
        console.ring()
        machine.settle()
    }

    // MARK: What guests get

    /// Looks at a call that a guest has just made: a read of plain input is compared when it ends.
    func note(_ thread: LinuxThread, _ space: LinuxSpace?) {
        let registers = session.guests.lastCall
        guard !isTerminal, registers.rax == 0, registers.rdi == 0, machine.preemption == 0,
            let space
        else { return }
        reads.append((thread, space, registers.rsi))
    }

    /// Looks at what the server did in its last step.
    func watch() {
        if !isOutputHostile { console.check() }
        checkInput()
        reads.removeAll { compare($0) }
    }

    /// The server takes whole frames, none that is not there, and keeps little.
    private func checkInput() {
        let kept = session.scenery.server.console.stream.count
        if kept > Console.inputLimit + Int(ConsoleFrame.maximumPayload) {
            finding("the server keeps \(kept) bytes of input")
        }
        if isInputHostile { return }
        let local = console.word(machine.input, Ring.localOffset)
        let remote = console.word(machine.input, Ring.remoteOffset)
        if local % 8 != 0 || local > remote { finding("input was read to \(local) of \(remote)") }
    }

    /// Whether a read has ended; what it brought follows on what was read before.
    private func compare(_ read: Read) -> Bool {
        guard read.thread.state == .guest, let state = read.thread.restricted else { return false }
        let count = Int64(bitPattern: state.pointee.registers.rax)
        guard state.pointee.registers.rip == LinuxGuests.callSite + 2 else {
            // A handler runs first: the count is in its frame.
            isOrderKnown = false
            return true
        }
        guard count > 0, isOrderKnown, !isInputHostile else { return true }
        for index in 0..<UInt64(count) {
            let expected = UInt8(truncatingIfNeeded: received + index)
            if machine.peek(read.space, read.address + index) != expected {
                finding("byte \(received + index) of plain input is not what was sent")
            }
        }
        received += UInt64(count)
        compared += UInt64(count)
        if received > sent { finding("\(received) bytes of input were read, \(sent) sent") }
        return true
    }
}
